"""The routes that Pipecat's own clients expect: start, status, WebRTC offers and WebSockets."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter, Request, WebSocket
from pipecat.transports.smallwebrtc.request_handler import (
    IceCandidate,
    SmallWebRTCPatchRequest,
    SmallWebRTCRequest,
)
from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from bots.config import BotChanges
from bots.errors import ParlanteError
from bots.registry import UnknownBot
from runner.api.deps import Body, Caller, Sessions
from runner.api.protocols import accept, hold, socket_url
from runner.api.refusals import OF_STARTS, TO_CALLERS, refusals
from runner.auth import Gate
from runner.errors import (
    ConnectionFailed,
    ProcessUnavailable,
    ServiceDraining,
    SessionLimitExceeded,
    SessionNotFound,
    SessionTaken,
    ws_close_code,
)
from runner.rooms.ice import IceServer
from runner.session import Session, not_found
from runner.sessions import SessionManager
from runner.wishes import Wish

OF_OFFERS = (
    SessionNotFound,
    SessionTaken,
    SessionLimitExceeded,
    ServiceDraining,
    ProcessUnavailable,
    UnknownBot,
    ConnectionFailed,
)
OF_CANDIDATES = (SessionNotFound, ProcessUnavailable, ConnectionFailed)

CANDIDATE = r"^$|^\S+ [0-9]{1,5} \S+ [0-9]{1,10} \S+ [0-9]{1,5} typ \S+( .*)?$"

router = APIRouter(tags=["Pipecat clients"])


class StartBody(Body, BotChanges):
    """Which bot is wanted, and what is different about it. Keys of others' are ignored.

    Attributes:
        bot: Name of the bot; None for the default one.
    """

    model_config = ConfigDict(extra="ignore")

    bot: str | None = None

    def to_wish(self, user: str, transport: str | None) -> Wish:
        """Return it as sessions are made from it."""
        changes = self.model_dump(exclude={"bot"}, exclude_none=True)
        return Wish(user, transport, self.bot, BotChanges(**changes))


class StartRequest(Body):
    """A wish for a session. Keys that only other transports know are ignored.

    Attributes:
        transport: How the client will come; None for the way of voice.yaml.
        createDailyRoom: Says the same as "daily" does, where no transport is named.
        body: What the bot is told.
    """

    transport: str | None = None
    createDailyRoom: bool = False
    body: StartBody = StartBody()


class IceServers(BaseModel):
    """STUN and TURN servers for the client."""

    iceServers: list[IceServer]


class StartResponse(BaseModel):
    """A session that waits for its client."""

    sessionId: str
    iceConfig: IceServers | None = None


class SocketResponse(BaseModel):
    """A session that waits for its client at a WebSocket; Pipecat's takes no other keys."""

    wsUrl: str


class DailyResponse(BaseModel):
    """A session whose bot waits in a room at Daily."""

    dailyRoom: str
    dailyToken: str
    sessionId: str


class LiveKitResponse(BaseModel):
    """A session whose bot waits in a room at a LiveKit server."""

    url: str
    token: str
    sessionId: str


class Offer(Body):
    """A WebRTC offer, in the form that Pipecat's SmallWebRTC transport sends."""

    sdp: Annotated[str, Field(pattern=r"\Av=0\s")]
    type: Literal["offer"]
    pc_id: str | None = None
    restart_pc: bool | None = None
    request_data: StartBody | None = Field(
        default=None, validation_alias=AliasChoices("request_data", "requestData")
    )

    def to_pipecat(self) -> SmallWebRTCRequest:
        """Return it as Pipecat's handler takes it."""
        return SmallWebRTCRequest(self.sdp, self.type, self.pc_id, self.restart_pc)


class Answer(BaseModel):
    """The answer to an offer."""

    sdp: str
    type: str
    pc_id: str


class Candidate(Body):
    """An ICE candidate, as in RFC 8839; an empty one ends the list."""

    candidate: Annotated[str, Field(pattern=CANDIDATE)]
    sdp_mid: str
    sdp_mline_index: int


class Status(BaseModel):
    """How clients may come.

    Attributes:
        agent_name: Names this service among others.
    """

    status: Literal["ready"] = "ready"
    transports: tuple[str, ...]
    agent_name: str


class Success(BaseModel):
    """What was sent is taken."""

    status: Literal["success"] = "success"


class Candidates(Body):
    """ICE candidates that were found after the offer."""

    pc_id: str
    candidates: list[Candidate]

    def to_pipecat(self) -> SmallWebRTCPatchRequest:
        """Return it as Pipecat's handler takes it."""
        return SmallWebRTCPatchRequest(
            self.pc_id, [IceCandidate(**c.model_dump()) for c in self.candidates]
        )


@router.post(
    "/start",
    response_model_exclude_none=True,
    responses=refusals(*OF_STARTS),
)
async def start(
    caller: Caller, sessions: Sessions, request: Request, wish: StartRequest
) -> StartResponse | SocketResponse | DailyResponse | LiveKitResponse:
    """Start a session; its bot answers when the client connects."""
    transport = wish.transport or ("daily" if wish.createDailyRoom else None)
    session = await sessions.create(wish.body.to_wish(caller.user, transport))
    if session.room and session.transport == "daily":
        return DailyResponse(
            dailyRoom=session.room.url, dailyToken=session.room.token, sessionId=session.id
        )
    if session.room:
        return LiveKitResponse(url=session.room.url, token=session.room.token, sessionId=session.id)
    if url := socket_url(request, session):
        return SocketResponse(wsUrl=str(url))
    servers = sessions.ice_servers(session)
    ice = IceServers(iceServers=servers) if servers else None
    return StartResponse(sessionId=session.token, iceConfig=ice)


@router.websocket("/ws-client")
@router.websocket("/ws-client/{token}")
async def client_socket(sessions: Sessions, websocket: WebSocket, token: str = "") -> None:
    """Hold the call of a session, in the protocol of Pipecat's websocket transport."""
    await _hold(websocket, sessions, partial(sessions.admit, token), "websocket")


@router.websocket("/ws/{token}")
async def evaluation_socket(sessions: Sessions, websocket: WebSocket, token: str) -> None:
    """Hold the call of Pipecat's eval harness, with a bot that a session was started with."""
    await _hold(websocket, sessions, partial(sessions.admit, token), "eval")


@router.websocket("/ws")
async def open_evaluation_socket(
    sessions: Sessions, websocket: WebSocket, bot: str | None = None
) -> None:
    """Hold the call of Pipecat's eval harness, which has no key: where none is needed."""

    async def start() -> Session:
        gate: Gate = websocket.app.state.gate
        caller = await gate.admit(None, None, websocket.headers)
        return await sessions.create(Wish(caller.user, "eval", bot, is_here=True))

    await _hold(websocket, sessions, start, "eval")


async def _hold(
    websocket: WebSocket,
    sessions: SessionManager,
    find: Callable[[], Awaitable[Session]],
    transport: str,
) -> None:
    socket = await accept(websocket)
    try:
        await hold(socket, sessions, find, transport)
    except ParlanteError as error:
        await socket.refuse(ws_close_code(error), error.message)


@router.get("/status")
async def status(request: Request, sessions: Sessions) -> Status:
    """Say which transports are offered."""
    worker = request.app.state.resources.settings.voice.realtime.worker
    return Status(transports=sessions.transports, agent_name=worker.agent_name)


@router.post("/sessions/{token}/api/offer", responses=refusals(*OF_OFFERS))
async def session_offer(sessions: Sessions, token: str, offer: Offer) -> Answer:
    """Connect the client of a session."""
    session = await sessions.admit(token)
    return Answer(**await sessions.offer(session, offer.to_pipecat()))


@router.patch("/sessions/{token}/api/offer", responses=refusals(*OF_CANDIDATES))
async def session_candidates(sessions: Sessions, token: str, candidates: Candidates) -> Success:
    """Take late ICE candidates of a session's client."""
    if sessions.session_of(candidates.pc_id) is not await sessions.admit(token):
        raise SessionNotFound("this session has no such connection: start a new one")
    await sessions.add_candidates(candidates.to_pipecat())
    return Success()


@router.post("/api/offer", responses=refusals(*OF_STARTS, *OF_OFFERS))
async def offer(caller: Caller, sessions: Sessions, offer: Offer) -> Answer:
    """Connect a client that has no session yet: one is started for it."""
    wish = (offer.request_data or StartBody()).to_wish(caller.user, "webrtc")
    session = sessions.session_of(offer.pc_id)
    if session and not caller.may_see(session.user):
        raise not_found()
    session = session or await sessions.create(replace(wish, is_here=True))
    return Answer(**await sessions.offer(session, offer.to_pipecat()))


@router.patch("/api/offer", responses=refusals(*TO_CALLERS, *OF_CANDIDATES))
async def candidates(caller: Caller, sessions: Sessions, candidates: Candidates) -> Success:
    """Take late ICE candidates."""
    session = sessions.session_of(candidates.pc_id)
    if not session or not caller.may_see(session.user):
        raise not_found()
    await sessions.add_candidates(candidates.to_pipecat())
    return Success()
