"""Sessions: who may start one, which bot it has, and what it is doing."""

import asyncio
import dataclasses
import re
import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from loguru import logger
from pipecat.transports.smallwebrtc.request_handler import (
    SmallWebRTCPatchRequest,
    SmallWebRTCRequest,
)

from bots.config import BotChanges
from bots.listener import CallListener
from bots.local_models import cpu_threads
from bots.registry import Bot, load_bot, with_changes
from bots.resources import Resources
from bots.settings import Settings
from processors.latency import TurnLatency
from processors.transcript import ToolCall, Turn
from processors.voice_state import State
from runner.auth import LOCAL
from runner.errors import (
    InvalidRequest,
    ServiceDraining,
    SessionLimitExceeded,
    SessionNotFound,
)
from runner.host import SessionHost
from runner.journal import Journal
from runner.limits import Admission
from runner.lines import EndReason
from runner.sockets import SocketConnection
from runner.store import Store
from runner.tables import SessionRow
from runner.telemetry import Telemetry

LINES = 10
"""Calls at once where other machines do the work."""

AS_IT_IS = BotChanges()
BOT_IS_THERE = {State.LISTENING, State.PROCESSING, State.THINKING, State.SPEAKING}
NOT_IN_ROOM_NAMES = re.compile(r"[^a-zA-Z0-9-]+")

SECRET_BYTES = 16
TOKEN_SEPARATOR = "."
TOKEN_LIFETIME = timedelta(hours=2)
"""How long a token lets in; a call that is under way goes on."""

FLUSH_SECS = 5.0
"""How long the end of a session, and of the service, waits for a database that is away."""


@dataclass
class Session:
    """A conversation that somebody started.

    Attributes:
        id: Names it everywhere, and opens nothing.
        user: Whose it is.
        secret: Lets a client into it, and nowhere else.
        room_name: Names the place where it is held.
        bot_name: Who answers.
        bot: The same, loaded, as this session wants it.
        created_at: When it was started, UTC.
        journal: Writes down what happens in it.
        state: What its bot is doing.
        expiry: Ends it if nobody joins; None while it has a call.
    """

    id: str
    user: str
    secret: str
    room_name: str
    bot_name: str
    bot: Bot
    created_at: datetime
    journal: Journal
    state: State = State.DISCONNECTED
    expiry: asyncio.TimerHandle | None = None

    @property
    def token(self) -> str:
        """What a client has to show to be let in: the session's name and its secret."""
        return f"{self.id}{TOKEN_SEPARATOR}{self.secret}"


def session_id_of(token_or_id: str) -> str:
    """Return the session that a token, or just its name, is of."""
    return token_or_id.partition(TOKEN_SEPARATOR)[0]


@dataclass(frozen=True)
class Wish:
    """What somebody wants of a session.

    Attributes:
        user: Whose it is to be.
        transport: How the client will come.
        bot_name: Who answers; None for the default bot.
        changes: What is different about the bot.
    """

    user: str
    transport: str
    bot_name: str | None = None
    changes: BotChanges = AS_IT_IS


@dataclass(frozen=True)
class Presence:
    """Who is there in a session, and what the bot does."""

    has_client: bool
    has_bot: bool
    state: State


class _Reporter(CallListener):
    """Hands on what happens in the calls of one session."""

    def __init__(self, session: Session, answered: Callable[[TurnLatency], None]) -> None:
        self._session = session
        self._answered = answered

    async def on_state(self, state: State) -> None:
        self._session.state = state

    async def on_answer(self, latency: TurnLatency) -> None:
        self._answered(latency)
        await self._session.journal.event("answer", dataclasses.asdict(latency))

    async def on_turn(self, turn: Turn) -> None:
        await self._session.journal.turn(turn)

    async def on_tool_call(self, call: ToolCall) -> None:
        await self._session.journal.tool_call(call)


class SessionManager:
    """Starts sessions within the limits, and forgets them when they end.

    Args:
        resources: What calls share.
        store: Where sessions are kept.

    Attributes:
        telemetry: What is counted and timed of them.
        is_draining: Whether no more sessions are started, because the service stops.
    """

    def __init__(self, resources: Resources, store: Store) -> None:
        self._settings = resources.settings
        self._store = store
        self._limits = resources.settings.voice.realtime.limits
        self._lines = self._limits.sessions or _lines_of_this_machine(resources.settings)
        self._admission = Admission(self._limits)
        self._sessions: dict[str, Session] = {}
        self.is_draining = False
        self.telemetry = Telemetry(lambda: self.count)
        self._host = SessionHost(resources, on_end=self._end)
        self._closing: dict[str, asyncio.Task[None]] = {}

    @property
    def count(self) -> int:
        """Sessions now, joined or not."""
        return len(self._sessions)

    @property
    def calls(self) -> int:
        """Sessions whose client is connected now."""
        return sum(self._host.has_client(session_id) for session_id in self._sessions)

    @property
    def is_full(self) -> bool:
        """Whether all lines are busy."""
        return self.count >= self._lines

    def check_ready(self) -> None:
        """See whether sessions are taken, if there is a line.

        Raises:
            ServiceDraining: If the service is about to stop.
            Overloaded: If calls are slow.
        """
        if self.is_draining:
            raise ServiceDraining("the service is about to stop: please try again in a moment")
        self._admission.check_load(self.count)

    def lagged(self, secs: float) -> None:
        """Take how late the event loop was."""
        self._admission.lagged(secs)
        self.telemetry.lagged(secs)

    def answered(self, latency: TurnLatency) -> None:
        """Take how long a user waited for an answer."""
        self._admission.answered(latency.total_ms / 1000)
        self.telemetry.answered(latency)

    async def create(self, wish: Wish) -> Session:
        """Start a session that waits for its client, and is in the store.

        Raises:
            ServiceDraining: If the service is about to stop.
            UnknownBot: If there is no such bot.
            InvalidRequest: If the bot cannot be changed in such a way.
            SessionLimitExceeded: If all lines are busy, or the user has as many as they may.
            StartRateExceeded: If the user starts sessions too fast.
            Overloaded: If calls are slow.
            DatabaseUnavailable: If the session cannot be stored.
        """
        self.check_ready()
        if self.is_full:
            raise SessionLimitExceeded("all lines are busy: please try again in a moment")
        bot_name = wish.bot_name or self._settings.default_bot
        bot = with_changes(load_bot(bot_name, self._settings), wish.changes)
        voices = self._settings.voice.voice_profiles
        if wish.changes.voice_profile not in (None, *voices):
            raise InvalidRequest(f"voice_profile is none of {sorted(voices)}")
        if wish.user != LOCAL.user:
            theirs = sum(session.user == wish.user for session in self._sessions.values())
            self._admission.check_user(wish.user, theirs)
        row = SessionRow(
            id=str(uuid.uuid4()),
            user_id=wish.user,
            room_name=self._new_room(wish.user),
            transport=wish.transport,
            bot=bot_name,
            created_at=datetime.now(UTC),
        )
        session = Session(
            row.id,
            wish.user,
            secrets.token_urlsafe(SECRET_BYTES),
            row.room_name,
            bot_name,
            bot,
            row.created_at,
            Journal(row.id, self._store),
        )
        # Its line is taken from now on, also while the store is slow.
        self._sessions[session.id] = session
        try:
            await self._store.add(row)
        except BaseException:
            self._sessions.pop(session.id, None)
            await session.journal.close()
            raise
        self._wait_for_client(session)
        logger.info("session {} started with {}", session.id, bot_name)
        return session

    def admit(self, token: str) -> Session:
        """Return the session that a token lets into.

        Raises:
            SessionNotFound: If it has ended or never was, or this is not, or no more, its token.
        """
        session = self._sessions.get(session_id_of(token))
        if not session or not secrets.compare_digest(session.token.encode(), token.encode()):
            raise SessionNotFound("there is no such session, or it has ended: start a new one")
        if datetime.now(UTC) - session.created_at > TOKEN_LIFETIME:
            raise SessionNotFound("the token of this session has expired: start a new one")
        return session

    def presence(self, session_id: str) -> Presence | None:
        """Return who is in a session; None if it has ended."""
        session = self._sessions.get(session_id)
        if not session:
            return None
        has_bot = session.state in BOT_IS_THERE
        return Presence(self._host.has_client(session_id), has_bot, session.state)

    async def end(self, session_id: str, reason: EndReason) -> None:
        """End a session, and wait until it has ended and that is written; do nothing if it has."""
        await self._host.stop(session_id, reason)
        self._end(session_id, reason)
        if closing := self._closing.get(session_id):
            await asyncio.wait({closing}, timeout=FLUSH_SECS)

    def session_of(self, pc_id: str | None) -> Session | None:
        """Return the session whose connection `pc_id` is; None if there is none."""
        return self._sessions.get(self._host.session_of(pc_id) or "")

    async def offer(self, session: Session, request: SmallWebRTCRequest) -> dict[str, str]:
        """Connect the client of a session; see `SessionHost.offer`.

        Raises:
            SessionNotFound: If the offer is for a connection of another session.
            ConnectionFailed: If the offer cannot be answered.
        """
        is_new = request.pc_id is None
        try:
            answer = await self._host.offer(
                session.id, session.bot, _Reporter(session, self.answered), request
            )
        finally:
            if not self._host.has_call(session.id) and session.id in self._sessions:
                self._wait_for_client(session)
        _stop_waiting(session)
        if is_new:
            await session.journal.joined()
        return answer

    async def join(self, session: Session, socket: SocketConnection) -> None:
        """Hold the call of a client that has opened a WebSocket, until the call has ended.

        Raises:
            SessionTaken: If it has a client.
            ParlanteError: If the bot cannot be made.
        """
        line = await self._host.join(
            session.id, session.bot, _Reporter(session, self.answered), socket
        )
        _stop_waiting(session)
        await session.journal.joined()
        await line.until_ended()

    async def add_candidates(self, request: SmallWebRTCPatchRequest) -> None:
        """Take late ICE candidates; see `SessionHost.add_candidates`."""
        await self._host.add_candidates(request)

    async def drain(self) -> None:
        """Start no more sessions, and wait for the end of the calls; see `SessionHost.drain`."""
        self.is_draining = True
        waiting = [session.id for session in self._sessions.values() if session.expiry]
        logger.info("the service stops: {} calls go on", self.count - len(waiting))
        for session_id in waiting:
            self._end(session_id, EndReason.DRAINED)
        await self._host.drain(self._settings.server.drain_timeout)

    async def close(self) -> None:
        """End all sessions, and wait until they have ended and everything of them is written."""
        await self._host.close()
        for session_id in list(self._sessions):
            self._end(session_id, EndReason.STOPPED)
        closing = list(self._closing.values())
        if closing:
            await asyncio.wait(closing, timeout=FLUSH_SECS)
        for task in closing:
            task.cancel()
        await asyncio.gather(*closing, return_exceptions=True)

    def _new_room(self, user: str) -> str:
        """Return a name that no other room has now."""
        taken = {session.room_name for session in self._sessions.values()}
        while True:
            name = f"voice-{NOT_IN_ROOM_NAMES.sub('-', user)}-{secrets.token_hex(4)}"
            if name not in taken:
                return name

    def _wait_for_client(self, session: Session) -> None:
        """End a session that is not joined in time."""
        _stop_waiting(session)
        session.expiry = asyncio.get_running_loop().call_later(
            self._limits.join_timeout, self._end, session.id, EndReason.NEVER_JOINED
        )

    def _end(self, session_id: str, reason: EndReason) -> None:
        """Forget a session, and free its line at once; its records are written beside."""
        session = self._sessions.pop(session_id, None)
        if not session:
            return
        self.telemetry.ended(reason)
        _stop_waiting(session)
        logger.info("session {} ended: {}", session_id, reason.value)
        closing = asyncio.create_task(session.journal.ended(reason))
        self._closing[session_id] = closing
        closing.add_done_callback(lambda _: self._closing.pop(session_id))


def _stop_waiting(session: Session) -> None:
    """Let a session be, because it has its client or has ended."""
    if session.expiry:
        session.expiry.cancel()
        session.expiry = None


def _lines_of_this_machine(settings: Settings) -> int:
    """Return how many calls at once are answered in time.

    With offline models on two cores two calls wait 1.5 times as long as one (docs/latency.md), and
    a third would make all of them wait.
    """
    local = "local" in (settings.service("stt")[0], settings.service("llm")[0])
    return cpu_threads() if local else LINES
