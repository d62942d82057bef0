"""Other settings, for sessions that are started from now on."""

import httpx
import pytest

from bots.errors import ConfigError
from bots.settings import DEFAULT_CONFIG, load_settings
from runner.app import reconfigure
from runner.sessions import SessionManager
from tests.app import service


@pytest.fixture(autouse=True)
def cloud(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-standin")


async def reload(http: httpx.AsyncClient, **settings: object) -> None:
    await reconfigure(http.app, load_settings(DEFAULT_CONFIG, settings))  # type: ignore[attr-defined]


def limits(**more: object) -> dict[str, object]:
    return {"realtime": {"limits": more}}


async def start(http: httpx.AsyncClient) -> int:
    return (await http.post("/start", json={})).status_code


async def test_sessions_that_are_started_from_then_on_go_by_them() -> None:
    bots = {"receptionist": {"module": "bots.receptionist", "greeting": "Good evening."}}
    ice = [{"urls": "stun:stun.example.com"}]
    async with service(voice=limits(sessions=1)) as http:
        manager: SessionManager = http.app.state.sessions  # type: ignore[attr-defined]
        before = (await http.post("/start", json={})).json()["sessionId"]
        assert await start(http) == 429
        await reload(http, bots=bots, voice={"realtime": {"ice_servers": ice}})
        answer = await http.post("/start", json={"enableDefaultIceServers": True})
        greetings = [
            (await manager.admit(token)).bot.greeting
            for token in (before, answer.json()["sessionId"])
        ]
    assert answer.status_code == 200
    assert ice[0]["urls"] in str(answer.json()["iceConfig"])
    assert greetings[0] != greetings[1] == "Good evening."


async def test_a_smaller_limit_ends_no_session() -> None:
    async with service(voice=limits(sessions=3)) as http:
        assert [await start(http) for _ in range(3)] == [200] * 3
        await reload(http, voice=limits(sessions=2))
        assert http.app.state.sessions.count == 3  # type: ignore[attr-defined]
        assert await start(http) == 429


async def test_sessions_can_be_switched_off_and_those_that_there_are_stay() -> None:
    async with service() as http:
        assert await start(http) == 200
        await reload(http, voice={"realtime": {"enabled": False}})
        answer = await http.post("/start", json={})
        assert answer.status_code == (await http.get("/ready")).status_code == 503
        assert answer.json()["error"]["code"] == "SESSIONS_DISABLED"
        assert http.app.state.sessions.count == 1  # type: ignore[attr-defined]
        await reload(http)
        assert await start(http) == 200


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"server": {"port": 9000}}, "server"),
        ({"data_dir": "elsewhere"}, "data_dir"),
        ({"profile": "offline"}, "the offline models"),
        ({"voice": limits(lost_peer_timeout=3)}, "lost_peer_timeout"),
    ],
)
async def test_what_takes_a_restart_is_named_and_nothing_changes(
    changed: dict[str, object], name: str
) -> None:
    async with service(voice=limits(sessions=1)) as http:
        with pytest.raises(ConfigError, match=rf"{name}: takes a restart"):
            await reload(http, **changed)
        assert await start(http) == 200
        assert await start(http) == 429
