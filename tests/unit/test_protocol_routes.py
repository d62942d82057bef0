"""Who is let in at the WebSockets of the JSON protocols, and how the others are told."""

import httpx
import pytest

from runner.sessions import SessionManager
from tests import asyncapi
from tests.app import Refusal, key_of, knock, service

PATHS = {
    "voice-agent": "/ws/voice-agent/receptionist",
    "sandwich": "/ws/sandwich",
    "realtime": "/ws/realtime",
}
OPEN_TO_OTHERS = {"server": {"host": "0.0.0.0"}}


async def start(
    http: httpx.AsyncClient, transport: str, bot: str = "receptionist", **headers: str
) -> str:
    """Start a session; return the path of its socket, with its token."""
    wish = {"transport": transport, "body": {"bot": bot}}
    answer = await http.post("/start", json=wish, headers=headers)
    assert answer.status_code == 200, answer.text
    assert list(answer.json()) == ["wsUrl"], "Pipecat's client takes no other key"
    url: str = answer.json()["wsUrl"]
    return url.removeprefix("ws://localhost")


def check(refusal: Refusal, code: int, error: str, *, retryable: bool = False) -> None:
    """See whether a client was told why it is refused, and then closed."""
    [told] = refusal.said
    assert told == {
        "type": "error",
        "message": told["message"],
        "code": error,
        "retryable": retryable,
    }
    asyncapi.check("sandwich", told)
    assert refusal.code == code


@pytest.mark.parametrize("transport", PATHS)
async def test_a_session_has_an_address_with_its_token(transport: str) -> None:
    async with service() as http:
        path, _, query = (await start(http, transport)).partition("?")
    assert path == PATHS[transport]
    assert query.startswith("token=")


async def test_an_agent_that_there_is_not_is_an_invalid_id() -> None:
    async with service() as http:
        for path in (
            "/ws/voice-agent/nobody",
            "/ws/sandwich?bot=nobody",
            "/ws/realtime?bot=nobody",
        ):
            refusal = await knock(http, path)
            check(refusal, 1003, "UNKNOWN_BOT")
            assert refusal.reason == "Invalid agent ID"


async def test_the_agent_of_an_address_has_to_be_that_of_its_token() -> None:
    async with service() as http:
        path = await start(http, "voice-agent", "sales")
        check(
            await knock(http, path.replace("/sales?", "/receptionist?")),
            1003,
            "UNKNOWN_BOT",
        )


@pytest.mark.parametrize("path", PATHS.values())
async def test_without_a_good_key_or_token_nobody_is_let_in(path: str) -> None:
    async with service(**OPEN_TO_OTHERS) as http:
        key = await key_of(http, "ada")
        check(await knock(http, path), 4003, "UNAUTHENTICATED")
        check(await knock(http, path, X_API_Key="x"), 4003, "UNAUTHENTICATED")
        check(await knock(http, f"{path}?token=of.nobody"), 4003, "SESSION_NOT_FOUND")
        for header in ({"X_API_Key": key}, {"Authorization": f"Bearer {key}"}):
            nobody = await knock(http, "/ws/voice-agent/nobody", **header)
            check(nobody, 1003, "UNKNOWN_BOT")


@pytest.mark.parametrize("transport", PATHS)
async def test_a_token_is_good_for_its_own_way_only(transport: str) -> None:
    async with service() as http:
        for other in PATHS:
            if other == transport:
                continue
            _, _, token = (await start(http, other)).partition("?")
            refusal = await knock(http, f"{PATHS[transport]}?{token}")
            check(refusal, 4003, "SESSION_NOT_FOUND")
            assert other in refusal.reason


@pytest.mark.parametrize("path", PATHS.values())
async def test_pages_of_other_origins_are_refused(path: str) -> None:
    async with service() as http:
        refusal = await knock(http, path, Origin="https://elsewhere.example")
        check(refusal, 4003, "ORIGIN_NOT_ALLOWED")


@pytest.mark.parametrize("path", PATHS.values())
async def test_who_comes_when_all_lines_are_busy_is_told_to_try_again(path: str) -> None:
    async with service(voice={"realtime": {"limits": {"sessions": 1}}}) as http:
        await http.post("/start", json={})
        check(await knock(http, path), 1013, "SESSION_LIMIT_EXCEEDED", retryable=True)


@pytest.mark.parametrize("path", PATHS.values())
async def test_who_comes_as_the_service_stops_is_told_to_try_again(path: str) -> None:
    async with service() as http:
        sessions: SessionManager = http.app.state.sessions  # type: ignore[attr-defined]
        await sessions.drain()
        check(await knock(http, path), 1013, "SERVICE_DRAINING", retryable=True)


async def test_a_bot_that_cannot_be_had_here_is_refused_for_good() -> None:
    async with service(profile="offline") as http:
        check(await knock(http, "/ws/sandwich"), 1008, "INVALID_REQUEST")
