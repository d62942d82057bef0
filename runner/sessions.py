"""Sessions: who may start one, which bot it has, and what it is doing."""

import asyncio
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime

from loguru import logger
from pipecat.transports.smallwebrtc.request_handler import (
    SmallWebRTCPatchRequest,
    SmallWebRTCRequest,
)

from bots.local_models import cpu_threads
from bots.registry import Bot, load_bot
from bots.resources import Resources
from bots.settings import Settings
from processors.voice_state import State
from runner.errors import ServiceDraining, SessionLimitExceeded, SessionNotFound
from runner.host import SessionHost
from runner.lines import EndReason
from runner.sockets import SocketConnection
from runner.telemetry import Telemetry

LINES = 10
"""Calls at once where other machines do the work."""


@dataclass
class Session:
    """A conversation that somebody started.

    Attributes:
        id: Names it everywhere.
        bot_name: Who answers.
        bot: The same, loaded.
        created_at: When it was started, UTC.
        state: What its bot is doing.
        expiry: Ends it if nobody joins; None once somebody has.
    """

    id: str
    bot_name: str
    bot: Bot
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    state: State = State.DISCONNECTED
    expiry: asyncio.TimerHandle | None = None


class SessionManager:
    """Starts sessions within the limits, and forgets them when they end.

    Args:
        resources: What calls share.

    Attributes:
        telemetry: What is counted and timed of them.
        is_draining: Whether no more sessions are started, because the service stops.
    """

    def __init__(self, resources: Resources) -> None:
        self._settings = resources.settings
        self._limits = resources.settings.voice.realtime.limits
        self._lines = self._limits.sessions or _lines_of_this_machine(resources.settings)
        self._sessions: dict[str, Session] = {}
        self.is_draining = False
        self.telemetry = Telemetry(lambda: self.count)
        self._host = SessionHost(
            resources,
            on_state=self._set_state,
            on_answer=self.telemetry.answered,
            on_end=self._forget,
        )

    @property
    def count(self) -> int:
        """Sessions now, joined or not."""
        return len(self._sessions)

    def create(self, bot_name: str | None = None) -> Session:
        """Start a session that waits for its client.

        Args:
            bot_name: Who answers; None for the default bot.

        Raises:
            ServiceDraining: If the service is about to stop.
            UnknownBot: If there is no such bot.
            SessionLimitExceeded: If all lines are busy.
        """
        if self.is_draining:
            raise ServiceDraining("the service is about to stop: please try again in a moment")
        bot_name = bot_name or self._settings.default_bot
        bot = load_bot(bot_name, self._settings)
        if len(self._sessions) >= self._lines:
            raise SessionLimitExceeded("all lines are busy: please try again in a moment")
        session = Session(str(uuid.uuid4()), bot_name, bot)
        session.expiry = asyncio.get_running_loop().call_later(
            self._limits.join_timeout, self._forget, session.id, EndReason.NEVER_JOINED
        )
        self._sessions[session.id] = session
        logger.info("session {} started with {}", session.id, bot_name)
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
        answer = await self._host.offer(session_id, session.bot, request)
        # A client that came back for a new connection has ended the old one, and with it the
        # record of the session.
        self._sessions[session_id] = session
        _joined(session)
        return answer

    async def join(self, session_id: str, socket: SocketConnection) -> None:
        """Hold the call of a client that has opened a WebSocket, until the call has ended.

        Raises:
            SessionNotFound: If the session has ended or never was.
            SessionTaken: If it has a client.
            ParlanteError: If the bot cannot be made.
        """
        session = self.get(session_id)
        line = await self._host.join(session_id, session.bot, socket)
        _joined(session)
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
            self._forget(session_id, EndReason.DRAINED)
        await self._host.drain(self._settings.server.drain_timeout)

    async def close(self) -> None:
        """End all sessions and wait until they have ended."""
        await self._host.close()
        for session in list(self._sessions.values()):
            self._forget(session.id, EndReason.STOPPED)

    def _set_state(self, session_id: str, state: State) -> None:
        if session := self._sessions.get(session_id):
            session.state = state

    def _forget(self, session_id: str, reason: EndReason) -> None:
        session = self._sessions.pop(session_id, None)
        if not session:
            return
        self.telemetry.ended(reason)
        if session.expiry:
            session.expiry.cancel()
        if reason is EndReason.NEVER_JOINED:
            logger.info("session {} ended: nobody joined", session_id)


def _joined(session: Session) -> None:
    """Take note that the session has its client, and so does not expire."""
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
