"""The routes of the JSON protocols, and how the call of any WebSocket is held.

What a client sends and gets is in docs/protocols.md.
"""

from collections.abc import Awaitable, Callable
from functools import partial

from fastapi import APIRouter, Request, WebSocket
from starlette.datastructures import URL

from bots.config import PHONE_PROVIDERS
from bots.errors import ParlanteError
from bots.protocols import OPENAI_REALTIME
from bots.registry import UnknownBot
from runner.api.deps import Sessions
from runner.auth import Gate
from runner.errors import is_retryable, ws_close_code
from runner.phones import stream_url
from runner.session import Session
from runner.sessions import SessionManager
from runner.sockets import SocketConnection, check_origin
from runner.wishes import Wish

INVALID_AGENT = "Invalid agent ID"
"""The reason that a WebSocket is closed with where there is no such bot."""

_BY_TOKEN = {"websocket": "client_socket", "eval": "evaluation_socket"}
_BY_QUERY = {
    "sandwich": "sandwich_socket",
    "realtime": "realtime_socket",
    OPENAI_REALTIME: "openai_realtime_socket",
}

router = APIRouter(tags=["Protocols"])


def socket_url(request: Request, session: Session) -> URL | None:
    """Return where the client of a session comes to; None if it comes over no WebSocket."""
    if route := _BY_TOKEN.get(session.transport):
        return request.url_for(route, token=session.token)
    if route := _BY_QUERY.get(session.transport):
        return request.url_for(route).include_query_params(token=session.token)
    if session.transport in PHONE_PROVIDERS:
        telephony = request.app.state.resources.settings.voice.realtime.telephony
        return URL(stream_url(telephony, session.transport, session.token))
    if session.transport == "voice-agent":
        url = request.url_for("voice_agent_socket", agent_id=session.bot_name)
        return url.include_query_params(token=session.token)
    return None


@router.websocket("/ws/voice-agent/{agent_id}")
async def voice_agent_socket(
    sessions: Sessions, websocket: WebSocket, agent_id: str, token: str | None = None
) -> None:
    """Hold a call by push to talk, with what browsers record and play."""
    await _hold(websocket, sessions, "voice-agent", agent_id, token)


@router.websocket("/ws/sandwich")
async def sandwich_socket(
    sessions: Sessions, websocket: WebSocket, bot: str | None = None, token: str | None = None
) -> None:
    """Hold a call that tells each step: what is heard, thought and spoken."""
    await _hold(websocket, sessions, "sandwich", bot, token)


@router.websocket("/ws/realtime")
async def realtime_socket(
    sessions: Sessions, websocket: WebSocket, bot: str | None = None, token: str | None = None
) -> None:
    """Hold a call in which either side may speak at any time."""
    await _hold(websocket, sessions, "realtime", bot, token)


async def _hold(
    websocket: WebSocket,
    sessions: SessionManager,
    transport: str,
    bot: str | None,
    token: str | None,
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


async def hold(
    socket: SocketConnection,
    sessions: SessionManager,
    find: Callable[[], Awaitable[Session]],
    transport: str,
) -> None:
    """Hold the call of a session that is yet to be found.

    Raises:
        OriginNotAllowed: If it comes from a page that may not.
        ParlanteError: If there is no session, or no call of it.
    """
    check_origin(socket, socket.app.state.resources.settings.server.allowed_origins)
    await sessions.join(await find(), socket, transport)


async def _session(
    socket: SocketConnection,
    sessions: SessionManager,
    transport: str,
    bot: str | None,
    token: str | None,
) -> Session:
    """Return the session that a token lets into; without one, start one.

    Raises:
        UnknownBot: If there is no such bot, or the session has another.
        ParlanteError: If nobody is let in.
    """
    if token:
        session = await sessions.admit(token)
        if bot not in (None, session.bot_name):
            raise UnknownBot(f"this session is held with '{session.bot_name}', not with '{bot}'")
        return session
    gate: Gate = socket.app.state.gate
    scheme, _, bearer = socket.headers.get("authorization", "").partition(" ")
    is_bearer = scheme.lower() == "bearer"
    key = socket.headers.get("x-api-key")
    caller = await gate.admit(key, bearer if is_bearer else None, socket.headers)
    return await sessions.create(Wish(caller.user, transport, bot or transport, is_here=True))


async def _refuse(socket: SocketConnection, error: ParlanteError) -> None:
    """Say why there is no call, and close."""
    said = {"type": "error", "message": error.message, "code": error.code}
    await socket.send_json(said | {"retryable": is_retryable(error)})
    reason = INVALID_AGENT if isinstance(error, UnknownBot) else error.message
    await socket.refuse(ws_close_code(error), reason)
