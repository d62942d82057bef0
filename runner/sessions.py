"""Sessions: who may start one, which bot it has, and what it is doing."""

import asyncio
import dataclasses
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

from loguru import logger
from pipecat.transports.smallwebrtc.request_handler import (
    SmallWebRTCPatchRequest,
    SmallWebRTCRequest,
)

from bots.listener import CallListener
from bots.local_models import cpu_threads
from bots.registry import Bot, load_bot
from bots.resources import Resources
from bots.settings import Settings
from processors.latency import TurnLatency
from processors.transcript import ToolCall, Turn
from processors.voice_state import State
from runner.errors import ServiceDraining, SessionLimitExceeded, SessionNotFound
from runner.host import SessionHost
from runner.journal import Journal
from runner.lines import EndReason
from runner.sockets import SocketConnection
from runner.store import Store
from runner.tables import SessionRow
from runner.telemetry import Telemetry

LINES = 10
"""Calls at once where other machines do the work."""

FLUSH_SECS = 5.0
"""How long the service waits, when it stops, for a database that is away."""


@dataclass
class Session:
    """A conversation that somebody started.

    Attributes:
        id: Names it everywhere.
        bot_name: Who answers.
        bot: The same, loaded.
        created_at: When it was started, UTC.
        journal: Writes down what happens in it.
        state: What its bot is doing.
        expiry: Ends it if nobody joins; None while it has a call.
    """

    id: str
    bot_name: str
    bot: Bot
    created_at: datetime
    journal: Journal
    state: State = State.DISCONNECTED
    expiry: asyncio.TimerHandle | None = None


class _Reporter(CallListener):
    """Hands on what happens in the calls of one session."""

    def __init__(self, session: Session, telemetry: Telemetry) -> None:
        self._session = session
        self._telemetry = telemetry

    async def on_state(self, state: State) -> None:
        self._session.state = state

    async def on_answer(self, latency: TurnLatency) -> None:
        self._telemetry.answered(latency)
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
        self._sessions: dict[str, Session] = {}
        self.is_draining = False
        self.telemetry = Telemetry(lambda: self.count)
        self._host = SessionHost(resources, on_end=self._end)
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def count(self) -> int:
        """Sessions now, joined or not."""
        return len(self._sessions)

    async def create(self, bot_name: str | None = None) -> Session:
        """Start a session that waits for its client, and is in the store.

        Args:
            bot_name: Who answers; None for the default bot.

        Raises:
            ServiceDraining: If the service is about to stop.
            UnknownBot: If there is no such bot.
            SessionLimitExceeded: If all lines are busy.
            DatabaseUnavailable: If the session cannot be stored.
        """
        if self.is_draining:
            raise ServiceDraining("the service is about to stop: please try again in a moment")
        bot_name = bot_name or self._settings.default_bot
        bot = load_bot(bot_name, self._settings)
        if len(self._sessions) >= self._lines:
            raise SessionLimitExceeded("all lines are busy: please try again in a moment")
        session_id = str(uuid.uuid4())
        row = SessionRow(id=session_id, bot=bot_name, created_at=datetime.now(UTC))
        # Its line is taken from now on, also while the store is slow.
        journal = Journal(session_id, self._store)
        session = Session(session_id, bot_name, bot, row.created_at, journal)
        self._sessions[session_id] = session
        try:
            await self._store.save([row])
        except BaseException:
            self._sessions.pop(session_id, None)
            await journal.close()
            raise
        self._wait_for_client(session)
        logger.info("session {} started with {}", session_id, bot_name)
        return session

    def get(self, session_id: str) -> Session:
        """Return a session.

        Raises:
            SessionNotFound: If it has ended or never was.
        """
        if session := self._sessions.get(session_id):
            return session
        raise SessionNotFound("there is no such session, or it has ended: start a new one")

    def session_of(self, pc_id: str | None) -> str | None:
        """Return the session whose connection `pc_id` is; None if there is none."""
        return self._host.session_of(pc_id)

    async def offer(self, session_id: str, request: SmallWebRTCRequest) -> dict[str, str]:
        """Connect the client of a session; see `SessionHost.offer`.

        Raises:
            SessionNotFound: If the session has ended or never was.
            ConnectionFailed: If the offer cannot be answered.
        """
        session = self.get(session_id)
        is_new = request.pc_id is None
        try:
            answer = await self._host.offer(
                session_id, session.bot, _Reporter(session, self.telemetry), request
            )
        finally:
            if not self._host.has_call(session_id) and session_id in self._sessions:
                self._wait_for_client(session)
        _stop_waiting(session)
        if is_new:
            await session.journal.joined()
        return answer

    async def join(self, session_id: str, socket: SocketConnection) -> None:
        """Hold the call of a client that has opened a WebSocket, until the call has ended.

        Raises:
            SessionNotFound: If the session has ended or never was.
            SessionTaken: If it has a client.
            ParlanteError: If the bot cannot be made.
        """
        session = self.get(session_id)
        line = await self._host.join(
            session_id, session.bot, _Reporter(session, self.telemetry), socket
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
        if self._closing:
            await asyncio.wait(self._closing, timeout=FLUSH_SECS)
        for task in self._closing:
            task.cancel()
        await asyncio.gather(*self._closing, return_exceptions=True)

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
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)


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
