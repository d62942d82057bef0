"""Who is let in, by a key or by a token, and to what."""

import asyncio
import base64
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt import jwks_client

from bots.errors import ConfigError
from bots.settings import DEFAULT_CONFIG, load_settings
from runner import auth, keys
from runner.auth import OpenToOthers, check_exposure, is_loopback
from runner.tables import ApiKeyRow
from tests.app import key_of, knock, service

SECRET = "a secret that is thirty-two characters long"


async def start(http: httpx.AsyncClient, **headers: str) -> httpx.Response:
    return await http.post(
        "/start", json={}, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )


async def test_without_any_key_everybody_on_this_machine_is_let_in_until_there_is_one() -> None:
    async with service() as http:
        assert (await start(http)).status_code == 200
        key = await key_of(http, "ada")
        refused = await start(http)
        assert refused.status_code == 401
        assert refused.json()["error"]["code"] == "UNAUTHENTICATED"
        assert refused.headers["WWW-Authenticate"] == "Bearer"
        assert (await start(http, X_API_Key=key)).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://127.0.0.1:5173"}, 200),
        ({"Origin": "https://app.example.com"}, 200),
        ({"Origin": "https://evil.example.com"}, 401),
        ({"Origin": "null"}, 401),
        ({"Host": "[::1]:7860"}, 200),
        ({"Host": "evil.example.com"}, 401),
        ({"Host": "["}, 401),
        ({"X-Forwarded-For": "203.0.113.7"}, 401),
        ({"Forwarded": "for=203.0.113.7"}, 401),
    ],
)
async def test_without_any_key_whoever_may_be_elsewhere_is_not_let_in(
    headers: dict[str, str], status: int
) -> None:
    async with service(server={"allowed_origins": ["https://app.example.com"]}) as http:
        assert (await start(http, **headers)).status_code == status
        key = await key_of(http, "ada")
        assert (await start(http, **headers, X_API_Key=key)).status_code == 200


async def test_without_any_key_no_socket_is_open_to_whoever_may_be_elsewhere() -> None:
    async with service() as http:
        for path in ("/ws/realtime", "/v1/realtime", "/ws"):
            refusal = await knock(http, path, host="evil.example.com")
            assert refusal.reason.startswith("a key is needed"), path


async def test_where_other_machines_can_come_nobody_is_let_in_without_a_key() -> None:
    async with service(server={"host": "0.0.0.0"}) as http:
        assert (await start(http)).status_code == 401


async def test_a_key_is_good_in_either_header() -> None:
    async with service(voice={"realtime": {"limits": {"sessions": 10}}}) as http:
        key = await key_of(http, "ada")
        assert (await start(http, X_API_Key=key)).status_code == 200
        assert (await start(http, Authorization=f"Bearer {key}")).status_code == 200


@pytest.mark.parametrize(
    "spoil",
    [
        lambda key: key[:-1] + ("A" if key[-1] != "A" else "B"),
        lambda key: key[:-1],
        lambda key: key.replace("parlante_", "parlante_0"),
        lambda key: "parlante_",
        lambda key: "parlante__",
        lambda key: key.removeprefix("parlante_"),
        lambda key: "secret",
        lambda key: "parlante_' OR 1=1 --_x",
    ],
)
async def test_what_is_nearly_a_key_is_none(spoil: Any) -> None:
    async with service() as http:
        key = await key_of(http, "ada")
        assert (await start(http, X_API_Key=spoil(key))).status_code == 401
        assert (await start(http, Authorization=f"Bearer {spoil(key)}")).status_code == 401


async def test_a_revoked_key_is_of_no_use_when_trust_in_it_has_run_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with service() as http:
        key = await key_of(http, "ada")
        revoked = ApiKeyRow(id=key.split("_")[1], revoked_at=datetime.now(UTC))
        assert (await start(http, X_API_Key=key)).status_code == 200
        await http.app.state.store.save([revoked])  # type: ignore[attr-defined]
        later = SimpleNamespace(monotonic=lambda: time.monotonic() + auth.TRUST_SECS)
        monkeypatch.setattr(auth, "time", later)
        assert (await start(http, X_API_Key=key)).status_code == 401
        assert (await start(http)).status_code == 401, "and the service is not open again"


async def test_secrets_are_not_kept() -> None:
    async with service() as http:
        key = await key_of(http, "ada")
        [row] = await http.app.state.store.api_keys()  # type: ignore[attr-defined]
        assert key.split("_", 2)[2] not in str(vars(row))
        assert row.secret_hash.startswith("$argon2id$")


async def test_only_its_token_lets_into_a_session() -> None:
    async with service() as http:
        token = (await start(http)).json()["sessionId"]
        name, secret = token.split(".")
        offer = {"sdp": "v=0\r\nm=audio nowhere RTP/AVP 0\r\n", "type": "offer"}
        assert (await http.post(f"/sessions/{token}/api/offer", json=offer)).status_code == 422
        for wrong in (name, f"{name}.", f"{name}.{secret[:-1]}", f"{name}.{secret}x", f".{secret}"):
            answer = await http.post(f"/sessions/{wrong}/api/offer", json=offer)
            assert answer.json()["error"]["code"] == "SESSION_NOT_FOUND"


async def test_a_token_lets_in_for_two_hours() -> None:
    async with service() as http:
        token = (await start(http)).json()["sessionId"]
        session = await http.app.state.sessions.admit(token)  # type: ignore[attr-defined]
        for minutes, status, words in ((119, 422, "cannot be answered"), (121, 404, "expired")):
            session.created_at = datetime.now(UTC) - timedelta(minutes=minutes)
            offer = {"sdp": "v=0\r\nm=audio nowhere RTP/AVP 0\r\n", "type": "offer"}
            answer = await http.post(f"/sessions/{token}/api/offer", json=offer)
            assert answer.status_code == status
            assert words in answer.json()["error"]["message"]


def token(
    secret: Any = SECRET, algorithm: str = "HS256", kid: str | None = None, **claims: Any
) -> str:
    whole = {"sub": "ada", "exp": time.time() + 600, **claims}
    whole = {name: value for name, value in whole.items() if value is not None}
    return jwt.encode(whole, secret, algorithm, headers={"kid": kid} if kid else None)


@asynccontextmanager
async def with_tokens(**config: str) -> AsyncIterator[httpx.AsyncClient]:
    config = config or {"secret": SECRET, "issuer": "https://issuer", "audience": "parlante"}
    lines = {"realtime": {"limits": {"sessions": 20}}}
    async with service(server={"jwt": config}, voice=lines) as http:
        yield http


OURS = {"iss": "https://issuer", "aud": "parlante"}


@pytest.mark.parametrize(
    ("credential", "status"),
    [
        (lambda: token(**OURS), 200),
        (lambda: token(**OURS, exp=time.time() - 10), 200),
        (lambda: token(**OURS, exp=time.time() - 60), 401),
        (lambda: token(**OURS, exp=None), 401),
        (lambda: token(**OURS, sub=None), 401),
        (lambda: token(**OURS, sub=7), 401),
        (lambda: token(**OURS, nbf=time.time() + 600), 401),
        (lambda: token(iss="https://issuer", aud="others"), 401),
        (lambda: token(iss="https://others", aud="parlante"), 401),
        (lambda: token(aud="parlante"), 401),
        (lambda: token("another secret that is as long as the first", **OURS), 401),
        (lambda: token("", "none", **OURS), 401),
        (lambda: token(algorithm="HS512", secret=SECRET * 2, **OURS), 401),
        (lambda: "a.b.c", 401),
        (lambda: "", 401),
    ],
    ids=[
        "good",
        "expired within the skew of clocks",
        "expired",
        "without an end",
        "of nobody",
        "of a number",
        "not yet good",
        "for others",
        "of others",
        "of unknown origin",
        "with a wrong signature",
        "without a signature",
        "with another algorithm",
        "no token",
        "empty",
    ],
)
async def test_a_token_is_looked_at_from_all_sides(
    credential: Callable[[], str], status: int
) -> None:
    async with with_tokens() as http:
        assert (await start(http, Authorization=f"Bearer {credential()}")).status_code == status
        assert (await start(http)).status_code == 401


async def test_users_of_tokens_are_not_those_of_keys() -> None:
    async with with_tokens() as http:
        key = await key_of(http, "ada")
        session_id = (await start(http, X_API_Key=key)).json()["sessionId"]
        path = f"/voice/realtime/session/{session_id}/transcript"
        for claims, status in (({}, 404), ({"scope": "read operator"}, 200), ({"scope": "o"}, 404)):
            bearer = {"Authorization": f"Bearer {token(**OURS, **claims)}"}
            assert (await http.get(path, headers=bearer)).status_code == status


@dataclass
class Issuer:
    """Who signs tokens, and tells its public keys over HTTP."""

    url: str = ""
    keys: dict[str, rsa.RSAPrivateKey] = field(default_factory=dict)
    asked: int = 0
    is_broken: bool = False

    def add(self, kid: str) -> None:
        self.keys[kid] = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    async def answer(self, _: web.Request) -> web.Response:
        self.asked += 1
        if self.is_broken:
            raise web.HTTPServiceUnavailable
        public = [
            json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
            | {"kid": kid, "use": "sig", "alg": "RS256"}
            for kid, key in self.keys.items()
        ]
        return web.json_response({"keys": public})


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    issuer = Issuer()
    issuer.add("first")
    app = web.Application()
    app.router.add_get("/jwks.json", issuer.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    issuer.url = f"http://127.0.0.1:{runner.addresses[0][1]}/jwks.json"
    yield issuer
    await runner.cleanup()


async def status_of(
    http: httpx.AsyncClient, issuer: Issuer, kid: str, by: str | None = None
) -> int:
    signed = token(issuer.keys[by or kid], "RS256", kid)
    return (await start(http, Authorization=f"Bearer {signed}")).status_code


async def test_tokens_may_be_signed_by_an_issuer_who_changes_keys(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with with_tokens(jwks_url=issuer.url) as http:
        assert await status_of(http, issuer, "first") == 200
        assert await status_of(http, issuer, "first") == 200
        assert issuer.asked == 1
        issuer.add("second")
        for _ in range(5):
            assert await status_of(http, issuer, "second") == 401
        assert issuer.asked == 1, "anybody can make up the name of a key"
        later = SimpleNamespace(monotonic=lambda: time.monotonic() + auth.JWKS_PAUSE_SECS)
        monkeypatch.setattr(jwks_client, "time", later)
        assert await status_of(http, issuer, "second") == 200
        assert await status_of(http, issuer, "first", by="second") == 401


async def test_a_public_key_is_no_secret_to_sign_with(issuer: Issuer) -> None:
    async with with_tokens(jwks_url=issuer.url) as http:
        public = issuer.keys["first"].public_key()
        pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        parts = [{"alg": "HS256", "kid": "first"}, {"sub": "ada", "exp": time.time() + 600}]
        signed = ".".join(base64url(json.dumps(part).encode()) for part in parts)
        forged = f"{signed}.{base64url(hmac.digest(pem, signed.encode(), 'sha256'))}"
        assert (await start(http, Authorization=f"Bearer {forged}")).status_code == 401


def base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


async def test_an_issuer_who_is_away_is_not_the_caller_s_fault(issuer: Issuer) -> None:
    issuer.is_broken = True
    async with with_tokens(jwks_url=issuer.url) as http:
        for _ in range(2):
            signed = token(issuer.keys["first"], "RS256", "first")
            answer = await start(http, Authorization=f"Bearer {signed}")
            assert answer.status_code == 503
            assert answer.json()["error"]["code"] == "KEY_SET_UNAVAILABLE"
            assert int(answer.headers["Retry-After"]) > 0
        issuer.is_broken = False
        assert await status_of(http, issuer, "first") == 200


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({}, "either secret or jwks_url"),
        ({"secret": SECRET, "jwks_url": "https://issuer"}, "either secret or jwks_url"),
        ({"secret": "short"}, "at least 32 characters"),
    ],
)
def test_settings_for_tokens_are_checked(config: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as refused:
        load_settings(DEFAULT_CONFIG, {"server": {"jwt": config}})
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    ("host", "is_private"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("localhost", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.0.7", False),
        ("example.com", False),
        ("", False),
    ],
)
def test_only_loopback_is_private(host: str, is_private: bool) -> None:
    assert is_loopback(host) is is_private


def test_a_service_that_others_can_reach_does_not_start_without_a_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def settings(**server: Any) -> Any:
        return load_settings(DEFAULT_CONFIG, {"data_dir": str(tmp_path / "data"), "server": server})

    exposed = settings(host="0.0.0.0")
    with pytest.raises(OpenToOthers, match="keys add"):
        asyncio.run(check_exposure(exposed))
    assert asyncio.run(check_exposure(settings())) is True
    assert asyncio.run(check_exposure(settings(host="0.0.0.0", jwt={"secret": SECRET}))) is False

    assert keys.add(exposed, "ada", is_operator=False) == 0
    key = capsys.readouterr().out.strip()
    assert asyncio.run(check_exposure(exposed)) is False
    assert asyncio.run(check_exposure(settings())) is False

    key_id = key.split("_")[1]
    assert keys.revoke(exposed, key_id) == 0
    capsys.readouterr()
    assert keys.show(exposed) == 0
    listed = capsys.readouterr().out
    assert key_id in listed
    assert "ada" in listed
    assert key.split("_", 2)[2] not in listed
    assert asyncio.run(check_exposure(exposed)) is False, "who has revoked all keys wants nobody in"


@pytest.mark.parametrize("name", ["", "a b", "jwt:ada", "local", "ä", "x" * 65, "a/b"])
def test_not_every_name_is_a_user_s(name: str, tmp_path: Path) -> None:
    settings = load_settings(DEFAULT_CONFIG, {"data_dir": str(tmp_path)})
    with pytest.raises(keys.UserNotAllowed, match="cannot be a user's name"):
        keys.add(settings, name, is_operator=False)
