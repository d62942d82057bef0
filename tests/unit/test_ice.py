"""STUN and TURN servers, as each session is given them."""

import base64
import hashlib
import hmac
import time

import pytest

from bots.config import IceServerConfig
from bots.errors import ConfigError
from bots.settings import load_settings
from runner.rooms.ice import ice_servers
from tests.app import service

SECRET = "shared-with-coturn"
TURN = {"urls": "turn:turn.example.com", "secret": SECRET}


def test_credentials_are_what_a_turn_server_with_the_secret_makes_of_them_itself() -> None:
    [server] = ice_servers([IceServerConfig(**TURN)], "ada-1", 1_800_000_000)
    assert server.username == "1800000000:ada-1"
    wanted = hmac.new(SECRET.encode(), b"1800000000:ada-1", hashlib.sha1).digest()
    assert base64.b64decode(server.credential or "") == wanted


def test_servers_with_fixed_users_or_none_are_handed_out_as_they_are() -> None:
    fixed = {"urls": ["turn:a.example.com", "turns:a.example.com"], "username": "u"}
    configured = [
        IceServerConfig(urls="stun:stun.example.com"),
        IceServerConfig(**fixed, credential="c"),
    ]
    assert [s.model_dump(exclude_none=True) for s in ice_servers(configured, "x", 1)] == [
        {"urls": "stun:stun.example.com"},
        {**fixed, "credential": "c"},
    ]


async def test_every_session_gets_credentials_of_its_own_and_never_the_secret() -> None:
    ice = {"ice_servers": [TURN], "limits": {"session_duration": 600, "sessions": 2}}
    async with service(voice={"realtime": ice}) as http:
        by_api = await http.post(
            "/voice/realtime/session", json={"agent_type": "single_agent", "bot": "receptionist"}
        )
        by_start = await http.post("/start", json={})
    servers = by_api.json()["ice_servers"] + by_start.json()["iceConfig"]["iceServers"]
    expiries, sessions = zip(*(server["username"].split(":") for server in servers), strict=True)
    assert sessions[0] == by_api.json()["session_id"]
    assert len(set(sessions)) == 2
    for expiry in expiries:
        assert int(expiry) - time.time() == pytest.approx(2 * 3600 + 600, abs=10)
    assert SECRET not in by_api.text + by_start.text


@pytest.mark.parametrize(
    "server",
    [
        {"urls": "turn.example.com"},
        {"urls": "turn://turn.example.com"},
        {"urls": []},
        {**TURN, "credential": "c"},
    ],
    ids=["no scheme", "slashes", "none", "two kinds of credentials"],
)
def test_a_server_that_no_client_could_use_is_named_at_start(server: dict) -> None:
    with pytest.raises(ConfigError, match=r"voice\.realtime\.ice_servers\.0"):
        load_settings(overrides={"voice": {"realtime": {"ice_servers": [server]}}})
