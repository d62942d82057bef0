"""Every route, asked by those whom it does not concern."""

import asyncio
import re
from typing import Any

import httpx
from fastapi.routing import RouteContext, iter_route_contexts
from starlette.routing import Mount, WebSocketRoute

from runner.errors import SessionNotFound, ws_close_code
from runner.sessions import SessionManager
from tests.app import key_of, knock, service
from tests.unit.test_auth import start

FILES = {"/client", "", "/"}
"""Pages of the browser clients: Pipecat's, and ours or, where it is not built, the way there."""

DESCRIPTION = {"/openapi.json", "/docs", "/docs/oauth2-redirect", "/redoc"}

OPEN_TO_ALL = {
    *DESCRIPTION,
    "/health",
    "/ready",
    "/metrics",
    "/agents",
    "/status",
    "/voice/realtime/health",
    # The secret of the session is in the path.
    "/sessions/{token}/api/offer",
    # Daily signs what it sends there.
    "/daily-dialin-webhook",
}

SDP = "v=0\r\nm=audio nowhere RTP/AVP 0\r\n"
OFFER = {"sdp": SDP, "type": "offer"}
CANDIDATES = {"pc_id": "of-nobody", "candidates": []}
BODIES: dict[str, Any] = {
    "POST /start": {},
    "POST /api/offer": OFFER,
    "PATCH /api/offer": CANDIDATES,
    "POST /sessions/{token}/api/offer": OFFER,
    "PATCH /sessions/{token}/api/offer": CANDIDATES,
    "POST /daily-dialin-webhook": {"test": "test"},
    "POST /voice/realtime/session": {"agent_type": "single_agent"},
    "PUT /voice/realtime/config": {},
}


def all_routes(http: httpx.AsyncClient) -> list[RouteContext]:
    """Return every route that the service has, whether it is described or not."""
    app: Any = http.app  # type: ignore[attr-defined]
    return list(iter_route_contexts(app.routes))


def requests(http: httpx.AsyncClient) -> list[tuple[str, str]]:
    """Return the method and path of every request that the service answers but with a file."""
    return [
        (method, route.path or "")
        for route in all_routes(http)
        if route.path not in FILES
        for method in sorted((route.methods or set()) - {"HEAD"})
    ]


def sockets(http: httpx.AsyncClient) -> list[str]:
    """Return the path of every WebSocket."""
    routes = all_routes(http)
    return [it.path or "" for it in routes if isinstance(it.original_route, WebSocketRoute)]


def filled(path: str, name: str) -> str:
    """Put a name in place of every parameter of a path."""
    return re.sub(r"{.*?}", name, path)


def of_session(path: str, name: str) -> str:
    """Return where the client of a session comes to at a WebSocket."""
    if "{token}" in path:
        return filled(path, name)
    return f"{filled(path, 'receptionist')}?token={name}"


async def test_every_route_is_walked() -> None:
    async with service() as http:
        walked = {path for _, path in requests(http)} | set(sockets(http)) | FILES
        assert {route.path for route in all_routes(http)} <= walked
        mounted = {r.path for r in all_routes(http) if isinstance(r.original_route, Mount)}
        assert mounted <= FILES
        described = http.app.openapi()["paths"]  # type: ignore[attr-defined]
        assert {path for _, path in requests(http)} - DESCRIPTION == set(described)


async def test_nothing_but_what_is_meant_to_be_is_open() -> None:
    async with service(server={"host": "0.0.0.0"}) as http:
        asked = [(method, path) for method, path in requests(http) if path not in OPEN_TO_ALL]
        assert ("POST", "/start") in asked
        for method, path in asked:
            answer = await http.request(method, filled(path, "x"), json={})
            assert answer.status_code == 401, (method, path, answer.text)


async def test_two_users_with_ten_sessions_each_see_nothing_of_each_others() -> None:
    limits = {"sessions": 30, "sessions_per_user": 10}
    async with service(voice={"realtime": {"limits": limits}}) as http:
        keys = {user: await key_of(http, user) for user in ("ada", "eve")}
        operator = await key_of(http, "ops", is_operator=True)
        started = await asyncio.gather(
            *(start(http, X_API_Key=key) for _ in range(10) for key in keys.values())
        )
        names = [answer.json()["sessionId"].split(".")[0] for answer in started]
        of_user = {"ada": names[::2], "eve": names[1::2]}
        for user, key in keys.items():
            listed = await http.get("/voice/realtime/sessions", headers={"X-API-Key": key})
            mine = [status["session_id"] for status in listed.json()["sessions"]]
            assert sorted(mine) == sorted(of_user[user])

        async def ask(method: str, path: str, name: str, key: str) -> httpx.Response:
            body = BODIES.get(f"{method} {path}")
            headers = {"X-API-Key": key}
            return await http.request(method, filled(path, name), headers=headers, json=body)

        for method, path in requests(http):
            nowhere = await ask(method, path, "of-nobody", keys["eve"])
            if "{" not in path:
                assert '"INVALID_REQUEST"' not in nowhere.text, f"{method} {path} needs a body"
                assert not [name for name in of_user["ada"] if name in nowhere.text], (method, path)
                continue
            assert nowhere.status_code == 404, (method, path, nowhere.text)
            for name in of_user["ada"]:
                refused = await ask(method, path, name, keys["eve"])
                assert refused.status_code == 404, (method, path)
                assert refused.json() == nowhere.json(), "nor is it told that there is one"
        for path in sockets(http):
            for name in of_user["ada"]:
                refusal = await knock(http, of_session(path, name), X_API_Key=keys["eve"])
                assert refusal.code == ws_close_code(SessionNotFound(""))
        sessions: SessionManager = http.app.state.sessions  # type: ignore[attr-defined]
        assert set(of_user["ada"]) <= set(sessions.here), "they are as they were"
        assert not sessions.is_draining
        transcript = "/voice/realtime/session/{session_id}/transcript"
        for key in (keys["ada"], operator):
            seen = await ask("GET", transcript, of_user["ada"][0], key)
            assert seen.status_code == 200
