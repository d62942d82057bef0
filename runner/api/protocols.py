"""The routes of the JSON protocols, and how the call of any WebSocket is held.

What a client sends and gets is in docs/protocols.md.
"""

from collections.abc import Awaitable, Callable
from functools import partial

from fastapi import APIRouter, Request, WebSocket
from starlette.datastructures import URL

from bots.errors import ParlanteError
from bots.registry import UnknownBot
from runner.api.deps import Sessions
from runner.auth import Gate
from runner.errors import is_retryable, ws_close_code
from runner.session import Session
from runner.sessions import SessionManager
from runner.sockets import SocketConnection, check_origin
from runner.wishes import Wish

INVALID_AGENT = 1003
"""What a WebSocket of `/ws/voice-agent` is closed with where there is no such bot."""

_BY_TOKEN = {"websocket": "client_socket", "eval": "evaluation_socket"}
_BY_QUERY = {
    "sandwich": "sandwich_socket",
    "realtime": "realtime_socket",
    "openai-realtime": "openai_realtime_socket",
}

router = APIRouter(tags=["Protocols"])


def socket_url(request: Request, session: Session) -> URL | None:
    """Return where the client of a session comes to; None if it comes over no WebSocket."""
    if route := _BY_TOKEN.get(session.transport):
        return request.url_for(route, token=session.token)
    if route := _BY_QUERY.get(session.transport):
        return request.url_for(route).include_query_params(token=session.token)
    if session.transport == "voice-agent":
        url = request.url_for("voice_agent_socket", agent_id=session.bot_name)
        return url.include_query_params(token=session.token)
    return None


@router.websocket("/ws/voice-agent/{agent_id}")
async def voice_agent_socket(
    sessions: Sessions, websocket: WebSocket, agent_id: str, token: str | None = None
) -> None:
    """Hold a call by push to talk, with what browsers record and play."""

    async def greet(session: Session) -> None:
        hello = {"type": "connection_established", "session_id": session.id, "agent": agent_id}
        await socket.send_json(hello)

    socket = await accept(websocket)
    find = partial(_session, socket, sessions, "voice-agent", agent_id, token)
    try:
        await hold(socket, sessions, find, "voice-agent", greet)
    except UnknownBot:
        await socket.refuse(INVALID_AGENT, "Invalid agent ID")
    except ParlanteError as error:
        await _refuse(socket, error)


@router.websocket("/ws/sandwich")
async def sandwich_socket(
    sessions: Sessions, websocket: WebSocket, bot: str = "sandwich", token: str | None = None
) -> None:
    """Hold a call that tells each step: what is heard, thought and spoken."""
    await _hold(websocket, sessions, "sandwich", bot, token)


@router.websocket("/ws/realtime")
async def realtime_socket(
    sessions: Sessions, websocket: WebSocket, bot: str = "realtime", token: str | None = None
) -> None:
    """Hold a call in which either side may speak at any time."""
    await _hold(websocket, sessions, "realtime", bot, token)


async def _hold(
    websocket: WebSocket, sessions: SessionManager, transport: str, bot: str, token: str | None
) -> None:
    socket = await accept(websocket)
    find = partial(_session, socket, sessions, transport, bot, token)
    try:
        await hold(socket, sessions, find, transport)
    except ParlanteError as error:
        await _refuse(socket, error)


async def accept(websocket: WebSocket, protocol: str | None = None) -> SocketConnection:
    """Accept a WebSocket.

    Whoever refuses it does so afterwards: before, a page would not learn the reason.

    Args:
        websocket: The one.
        protocol: That of those it offers which is spoken; None where it offers none.
    """
    settings = websocket.app.state.resources.settings
    socket = SocketConnection(websocket, settings.voice.realtime.limits.lost_peer_timeout)
    await socket.accept(protocol)
    return socket


async def _nothing(_: Session) -> None:
    """Say nothing before the call."""


async def hold(
    socket: SocketConnection,
    sessions: SessionManager,
    find: Callable[[], Awaitable[Session]],
    transport: str,
    greet: Callable[[Session], Awaitable[None]] = _nothing,
) -> None:
    """Hold the call of a session that is yet to be found.

    Raises:
        OriginNotAllowed: If it comes from a page that may not.
        ParlanteError: If there is no session, or no call of it.
    """
    check_origin(socket, socket.app.state.resources.settings.server.allowed_origins)
    session = await find()
    await greet(session)
    await sessions.join(session, socket, transport)


async def _session(
    socket: SocketConnection,
    sessions: SessionManager,
    transport: str,
    bot: str,
    token: str | None,
) -> Session:
    """Return the session that a token lets into; without one, start one."""
    if token:
        return await sessions.admit(token)
    gate: Gate = socket.app.state.gate
    scheme, _, bearer = socket.headers.get("authorization", "").partition(" ")
    is_bearer = scheme.lower() == "bearer"
    caller = await gate.admit(socket.headers.get("x-api-key"), bearer if is_bearer else None)
    return await sessions.create(Wish(caller.user, transport, bot))


async def _refuse(socket: SocketConnection, error: ParlanteError) -> None:
    """Say why there is no call, and close."""
    said = {"type": "error", "message": error.message, "code": error.code}
    await socket.send_json(said | {"retryable": is_retryable(error)})
    await socket.refuse(ws_close_code(error), error.message)
