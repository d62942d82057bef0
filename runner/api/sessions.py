"""Sessions, for whoever builds on the service."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import PlainTextResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict

from bots.config import BotChanges, Mode, Transport
from bots.errors import DatabaseUnavailable
from processors.voice_state import State
from runner.api.deps import Body, Caller, Records, Seen, Sessions
from runner.api.protocols import socket_url
from runner.api.refusals import OF_SESSIONS, OF_STARTS, TO_CALLERS, refusals
from runner.errors import Forbidden, RecordingNotFound, ServiceError
from runner.lines import EndReason
from runner.recordings import RecordedCall, recorded_calls, recordings, sound_of
from runner.rooms.ice import IceServer
from runner.sessions import SessionManager
from runner.tables import SessionRow
from runner.transcripts import Transcript, to_text, to_vtt, transcript
from runner.usage import SessionUsage, session_usage
from runner.wishes import Wish

router = APIRouter(prefix="/voice/realtime", tags=["Sessions"])

ROUTER_BOT = "smart_router"
LISTED = 50
MOST_LISTED = 500


class AgentConfig(Body, BotChanges):
    """What is different about a bot in one session."""


class SessionRequest(Body):
    """A wish for a session.

    Attributes:
        agent_type: Whether one bot answers, or one that hands over to others.
        agent_config: What is different about the bot in this session.
        initial_greeting: Whether the bot speaks first.
        transport: How the client will come; None for the way of voice.yaml.
        bot: Which bot a single agent is; None for the default one.
        voice_profile: One of `voice.voice_profiles`; None for the bot's own.
        mode: How the conversation is held; None for the bot's own way.
    """

    model_config = ConfigDict(extra="forbid")

    agent_type: Literal["smart_router", "single_agent"]
    agent_config: AgentConfig = AgentConfig()
    initial_greeting: bool = True
    transport: Transport | None = None
    bot: str | None = None
    voice_profile: str | None = None
    mode: Mode | None = None

    def to_wish(self, user: str) -> Wish:
        """Return it as sessions are made from it."""
        changes = self.agent_config.model_dump(exclude_none=True)
        if not self.initial_greeting:
            changes["greeting"] = ""
        if self.voice_profile is not None:
            changes["voice_profile"] = self.voice_profile
        if self.mode is not None:
            changes["mode"] = self.mode
        bot = ROUTER_BOT if self.agent_type == "smart_router" else self.bot
        return Wish(user, self.transport, bot, BotChanges(**changes))


class SessionResponse(BaseModel):
    """A session that waits for its client.

    Attributes:
        session_id: Names it.
        room_name: Names the place where it is held.
        token: Lets its client in, and nobody anywhere else.
        url: Where the client sends its WebRTC offer, or opens its WebSocket, with the token in it;
            or the room at Daily, or the server of LiveKit.
        ice_servers: STUN and TURN servers, for WebRTC.
    """

    session_id: str
    room_name: str
    token: str
    url: str
    ice_servers: list[IceServer]


class SessionStatus(BaseModel):
    """What is going on in a session.

    Attributes:
        is_active: Whether it has not ended; its client may have left, and may come back.
        participant_count: Who is there now, the bot included.
        agent_connected: Whether the bot is.
        agent_state: What it does.
        last_wait_ms: How long the user waited for its last answer; None before the first, and when
            the session has ended.
        duration_seconds: Since its start, or from that to its end.
        end_reason: Why it ended; None while it goes on.
    """

    session_id: str
    room_name: str
    user: str
    bot: str
    transport: str
    is_active: bool
    participant_count: int
    agent_connected: bool
    agent_state: State
    last_wait_ms: float | None
    created_at: datetime
    duration_seconds: float
    end_reason: str | None


class SessionReport(SessionStatus):
    """The same, what it has consumed, and what was recorded of it.

    Attributes:
        usage: Of which services, and what that has cost.
        recorded: The calls whose sound `/recording` has; a client that comes back makes another.
    """

    usage: SessionUsage
    recorded: list[RecordedCall]


class SessionList(BaseModel):
    """Sessions, the newest first."""

    sessions: list[SessionStatus]


class Health(BaseModel):
    """How the service is.

    Attributes:
        status: Degraded if it takes no more sessions at the moment, unhealthy if something that it
            needs is away.
        transport_connected: Whether clients can come, in the way of those who name none: to this
            service, or to a room at Daily or LiveKit.
        active_rooms: Sessions now, those included whose client may come back.
        active_sessions: Those of them whose client is there.
    """

    status: Literal["healthy", "degraded", "unhealthy"]
    transport_connected: bool
    active_rooms: int
    active_sessions: int
    timestamp: datetime


class TranscriptFormat(StrEnum):
    """How a transcript is written."""

    JSON = "json"
    TEXT = "txt"
    VTT = "vtt"


@router.get("/health")
async def health(records: Records, sessions: Sessions) -> Health:
    """Tell how the service is, to anybody."""
    status: Literal["healthy", "degraded", "unhealthy"]
    status = "degraded" if sessions.is_full else "healthy"
    has_transport = await sessions.has_transport()
    try:
        await records.ping()
        sessions.check_ready()
    except DatabaseUnavailable:
        status = "unhealthy"
    except ServiceError:
        status = "degraded"
    return Health(
        status=status if has_transport else "unhealthy",
        transport_connected=has_transport and not sessions.is_draining,
        active_rooms=len(sessions.here),
        active_sessions=sessions.calls,
        timestamp=datetime.now(UTC),
    )


@router.post("/session", responses=refusals(*OF_STARTS))
async def create_session(
    caller: Caller, sessions: Sessions, request: Request, wish: SessionRequest
) -> SessionResponse:
    """Start a session; its bot answers when the client connects."""
    session = await sessions.create(wish.to_wish(caller.user))
    if room := session.room:
        url, token = room.url, room.token
    else:
        offer = request.url_for("session_offer", token=session.token)
        url, token = str(socket_url(request, session) or offer), session.token
    return SessionResponse(
        session_id=session.id,
        room_name=session.room_name,
        token=token,
        url=url,
        ice_servers=sessions.ice_servers(session),
    )


@router.get("/sessions", responses=refusals(*TO_CALLERS, Forbidden))
async def list_sessions(
    caller: Caller,
    records: Records,
    sessions: Sessions,
    limit: Annotated[int, Query(ge=1, le=MOST_LISTED)] = LISTED,
    everybody: bool = False,
    active: bool | None = None,
) -> SessionList:
    """List the sessions of whoever asks, the newest first; an operator may see everybody's.

    With `active`, there are only those that go on; where it is false, those that have ended.

    Raises:
        Forbidden: If somebody else wants to see everybody's.
    """
    if everybody and not caller.is_operator:
        raise Forbidden("only operators may see everybody's sessions")
    rows = await records.sessions(None if everybody else caller.user, limit, active=active)
    listed = [_status(row, sessions) for row in rows]
    # Of what has just ended, the store may not know yet.
    return SessionList(sessions=[it for it in listed if active in (None, it.is_active)])


@router.get("/session/{session_id}", responses=refusals(*OF_SESSIONS))
async def session_status(
    row: Seen, request: Request, records: Records, sessions: Sessions
) -> SessionReport:
    """Tell what is going on in a session, or what has, and what it has consumed."""
    settings = request.app.state.resources.settings
    usage = session_usage(await records.usage(row.id), settings.voice.prices.currency)
    recorded = recorded_calls(settings.data_dir, row.id)
    return SessionReport(**_status(row, sessions).model_dump(), usage=usage, recorded=recorded)


@router.delete("/session/{session_id}", status_code=204, responses=refusals(*OF_SESSIONS))
async def end_session(row: Seen, sessions: Sessions) -> None:
    """End a session: its client is disconnected, and its bot gone. What is kept of it stays."""
    await sessions.end(row.id, EndReason.DELETED)


@router.get(
    "/session/{session_id}/transcript",
    response_model=Transcript,
    responses={200: {"content": {"text/plain": {}, "text/vtt": {}}}, **refusals(*OF_SESSIONS)},
)
async def session_transcript(
    row: Seen,
    records: Records,
    format: TranscriptFormat = TranscriptFormat.JSON,
) -> Transcript | Response:
    """Return what was said and done in a session so far; it stays after the session."""
    whole = transcript(await records.history(row))
    match format:
        case TranscriptFormat.TEXT:
            return PlainTextResponse(to_text(whole))
        case TranscriptFormat.VTT:
            return Response(to_vtt(whole), media_type="text/vtt")
    return whole


@router.get(
    "/session/{session_id}/recording",
    response_class=StreamingResponse,
    responses={200: {"content": {"audio/ogg": {}}}, **refusals(*OF_SESSIONS, RecordingNotFound)},
)
async def session_recording(request: Request, row: Seen) -> StreamingResponse:
    """Return the sound of a session so far: the user on the left, the bot on the right."""
    paths = recordings(request.app.state.resources.settings.data_dir, row.id)
    if not paths:
        raise RecordingNotFound("the sound of this session was not kept: set recording: true")
    return StreamingResponse(sound_of(paths), media_type="audio/ogg")


def _status(row: SessionRow, sessions: SessionManager) -> SessionStatus:
    presence = sessions.presence(row.id)
    is_active = row.ended_at is None and not sessions.is_ending(row.id)
    until = row.ended_at or datetime.now(UTC)
    return SessionStatus(
        session_id=row.id,
        room_name=row.room_name,
        user=row.user_id,
        bot=row.bot,
        transport=row.transport,
        is_active=is_active,
        participant_count=presence.clients + presence.has_bot,
        agent_connected=presence.has_bot,
        agent_state=presence.state,
        last_wait_ms=presence.last_wait_ms,
        created_at=row.created_at,
        duration_seconds=round((until - row.created_at).total_seconds(), 3),
        end_reason=row.end_reason,
    )
