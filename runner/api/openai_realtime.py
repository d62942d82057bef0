"""The route for clients of OpenAI's Realtime protocol.

What they send and get is in docs/protocols.md.
"""

from functools import partial
from http import HTTPStatus

from fastapi import APIRouter, WebSocket

from bots.errors import ParlanteError
from bots.protocols import OPENAI_REALTIME
from bots.registry import UnknownBot
from processors.protocols.openai_events import error_event
from runner.api.deps import Sessions
from runner.api.protocols import accept, hold
from runner.auth import LOCAL, Gate, Principal
from runner.errors import WS_REFUSED, Unauthenticated, http_status, ws_close_code
from runner.session import Session
from runner.sessions import SessionManager
from runner.sockets import SocketConnection
from runner.wishes import Wish

PROTOCOL = "realtime"
KEY_PREFIX = "openai-insecure-api-key."
"""Browsers can send no headers with a WebSocket: OpenAI's clients name the key as if it were
another protocol."""

CODES = {UnknownBot: "model_not_found", Unauthenticated: "invalid_api_key"}
"""What OpenAI's service calls errors that have other names here."""

router = APIRouter(tags=["Protocols"])


@router.websocket("/v1/realtime")
async def openai_realtime_socket(
    sessions: Sessions,
    websocket: WebSocket,
    model: str | None = None,
    token: str | None = None,
) -> None:
    """Hold a call with a client of OpenAI's; `model` is the name of a bot."""
    protocols = websocket.scope.get("subprotocols", ())
    socket = await accept(websocket, PROTOCOL if PROTOCOL in protocols else None)
    find = partial(_session, socket, sessions, model, token)
    try:
        await hold(socket, sessions, find, OPENAI_REALTIME)
    except ParlanteError as error:
        code = CODES.get(type(error), error.code)
        is_of_client = http_status(type(error)) < HTTPStatus.INTERNAL_SERVER_ERROR
        await socket.send_json(error_event(code, error.message, is_of_client=is_of_client))
        close_code = WS_REFUSED if is_of_client else ws_close_code(error)
        await socket.refuse(close_code, error.message)


async def _session(
    socket: SocketConnection, sessions: SessionManager, model: str | None, token: str | None
) -> Session:
    """Return the session that a token lets into; without one, start one."""
    if token:
        return await sessions.admit(token)
    caller = await _caller(socket)
    return await sessions.create(Wish(caller.user, OPENAI_REALTIME, model, is_here=True))


async def _caller(socket: SocketConnection) -> Principal:
    """Say who is asking. OpenAI's clients do not go without a key, even where none is needed."""
    gate: Gate = socket.app.state.gate
    if await gate.is_open_to(socket.headers):
        return LOCAL
    scheme, _, key = socket.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        keys = [it for it in socket.scope.get("subprotocols", ()) if it.startswith(KEY_PREFIX)]
        key = keys[0].removeprefix(KEY_PREFIX) if keys else ""
    return await gate.admit(socket.headers.get("x-api-key"), key or None, socket.headers)
