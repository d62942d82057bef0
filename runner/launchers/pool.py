"""Calls that have a process each, some of which are kept ready."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

from loguru import logger
from pipecat.runner.types import RunnerArguments
from pipecat.transports.smallwebrtc.request_handler import (
    SmallWebRTCPatchRequest,
    SmallWebRTCRequest,
)

from bots.local_models import cpu_threads
from bots.resources import Resources
from runner.errors import ProcessUnavailable, SessionNotFound, SessionTaken
from runner.host import CallPlan
from runner.launchers.bot_process import BotProcess, Common
from runner.launchers.template import Template
from runner.launchers.turnstile import Turnstile
from runner.lines import EndReason
from runner.sockets import SocketConnection

PAUSES_SECS = (0.0, 1.0, 5.0, 30.0)
"""Before another process is started in the place of one that died before it had a call: after the
first, the second and so on in a row."""

PATIENCE_SECS = 3.0
"""Twenty processes that get ready at once would leave those that talk, and the service, a tenth of
a core each: one does for each core, and the next at the latest so much later."""


class BotProcesses:
    """Gives each call a process that has been made ready for it; see `Launcher`.

    Args:
        template: What they are forked of.
        resources: What calls have in common: settings, and what they have found of services.
        on_end: Told of the end of every call, with the session's id.
        on_lag: Told how late the event loops of calls were, in seconds.
    """

    def __init__(
        self,
        template: Template,
        resources: Resources,
        *,
        on_end: Callable[[str, EndReason], None],
        on_lag: Callable[[float], None],
    ) -> None:
        turnstile = Turnstile(cpu_threads(), PATIENCE_SECS)
        self._common = Common(template, resources.circuits, turnstile, on_lag)
        self._on_end = on_end
        self._all: set[BotProcess] = set()
        self._idle: list[BotProcess] = []
        self._calls: dict[str, BotProcess] = {}
        self._begun: set[str] = set()
        self._deaths = 0
        self._refilling: asyncio.TimerHandle | None = None
        self._is_closed = False
        self._settings = resources.settings
        self._fill()

    def reconfigure(self, resources: Resources) -> None:
        """Make calls of other settings from now on; those under way keep theirs."""
        self._settings = resources.settings
        for process in self._idle:
            process.leave()
        self._idle = []
        self._fill()

    async def offer(self, plan: CallPlan, request: SmallWebRTCRequest) -> dict[str, str]:
        """Answer an offer: in a new process, or where the connection is that it is for.

        Raises:
            SessionNotFound: If the offer is for a connection of another session.
            SessionTaken: If another client of the session was faster.
            ProcessUnavailable: If there is no process for it.
            ConnectionFailed: If the offer cannot be answered.
        """
        owner = self.session_of(request.pc_id)
        if owner not in (None, plan.session_id):
            raise SessionNotFound("this session has no such connection: start a new one")
        if owner is not None:
            return await self._calls[owner].offer(plan, request)
        async with self._beginning(plan.session_id) as process:
            await self._make_way(plan.session_id)
            return await process.offer(plan, replace(request, pc_id=None))

    async def add_candidates(self, request: SmallWebRTCPatchRequest) -> None:
        """Take ICE candidates that a client found after its offer.

        Raises:
            SessionNotFound: If the connection has ended.
            ConnectionFailed: If a candidate cannot be read.
        """
        session_id = self.session_of(request.pc_id)
        if session_id is None:
            raise SessionNotFound("this connection has ended: start a new session")
        await self._calls[session_id].add_candidates(request)

    async def join(self, plan: CallPlan, socket: SocketConnection, transport: str) -> BotProcess:
        """Start the call of a client that has opened a WebSocket, and return what holds it.

        Raises:
            SessionTaken: If another client of the session was faster.
            ProcessUnavailable: If there is no process for it.
            ParlanteError: If the bot cannot be made.
        """
        async with self._beginning(plan.session_id) as process:
            await self._make_way(plan.session_id)
            await process.join(plan, socket, transport)
        return process

    async def attend(
        self, plan: CallPlan, bot: RunnerArguments, *, ends_with_client: bool = False
    ) -> None:
        """Start the call of a session in a room at another service, where the bot waits.

        Raises:
            ProcessUnavailable: If there is no process for it.
            ParlanteError: If the bot cannot be made.
        """
        async with self._beginning(plan.session_id) as process:
            await process.attend(plan, bot, ends_with_client=ends_with_client)

    @property
    def can_begin(self) -> bool:
        """Whether there is a process for another call, or nothing against one."""
        return not self._deaths or any(process.is_ready for process in self._idle)

    def has_call(self, session_id: str) -> bool:
        """Say whether a session has a call now."""
        return session_id in self._calls

    def clients(self, session_id: str) -> int:
        """Return how many are connected with a session's bot."""
        process = self._calls.get(session_id)
        return process.clients if process else 0

    def session_of(self, pc_id: str | None) -> str | None:
        """Return the session whose connection `pc_id` is; None if there is none."""
        for session_id, process in self._calls.items():
            if pc_id is not None and process.pc_id == pc_id:
                return session_id
        return None

    async def stop(self, session_id: str, reason: EndReason = EndReason.STOPPED) -> None:
        """End a call and wait until it has ended; do nothing if there is none."""
        if process := self._calls.get(session_id):
            await process.stop(reason)

    async def drain(self, timeout_secs: float) -> None:
        """Let calls go on for so long, then tell those that are left, and end them."""
        self._keep_none_ready()
        await asyncio.gather(*(process.drain(timeout_secs) for process in self._calls.values()))

    async def close(self) -> None:
        """End all calls and all processes, and wait until they have ended."""
        self._keep_none_ready()
        await asyncio.gather(*(process.stop(EndReason.STOPPED) for process in self._calls.values()))
        await asyncio.gather(*(process.close() for process in self._all))

    async def _make_way(self, session_id: str) -> None:
        """End the call that a session has, if any, because its client is here again.

        The old connection is of no use to anybody, and ends without the session.
        """
        if old := self._calls.pop(session_id, None):
            await old.hand_over()

    @asynccontextmanager
    async def _beginning(self, session_id: str) -> AsyncIterator[BotProcess]:
        """Have a process for a call that is begun with it; without that, the process ends.

        Raises:
            SessionTaken: If another client of the session is about to begin.
            ProcessUnavailable: If the call has ended already.
        """
        # Else whoever has one token could have any number of processes.
        if session_id in self._begun:
            raise _taken()
        ready = (process for process in self._idle if process.is_ready)
        process = next(ready, None) or (self._idle[0] if self._idle else self._start())
        if process in self._idle:
            self._idle.remove(process)
        self._fill()
        self._begun.add(session_id)
        try:
            yield process
            if process.has_ended:
                raise ProcessUnavailable("the call has ended as it began: the log says why")
        except BaseException:
            process.leave()
            raise
        finally:
            self._begun.discard(session_id)
        self._deaths = 0
        self._calls[session_id] = process
        logger.info("session {} is held by process {}", session_id, process.pid)

    def _fill(self) -> None:
        """Have as many processes ready, or getting ready, as are wanted."""
        while len(self._idle) < self._settings.voice.realtime.worker.idle and not self._is_closed:
            self._idle.append(self._start())

    def _keep_none_ready(self) -> None:
        self._is_closed = True
        if self._refilling:
            self._refilling.cancel()
        for process in self._idle:
            process.leave()
        self._idle = []

    def _start(self) -> BotProcess:
        process = BotProcess(self._common, self._settings, self._call_ended, self._exited)
        self._all.add(process)
        return process

    def _call_ended(self, process: BotProcess, reason: EndReason) -> None:
        session_id = process.session_id
        if session_id is not None and self._calls.get(session_id) is process:
            del self._calls[session_id]
            self._on_end(session_id, reason)

    def _exited(self, process: BotProcess) -> None:
        self._all.discard(process)
        if process not in self._idle:
            return
        self._idle.remove(process)
        pause_secs = PAUSES_SECS[min(self._deaths, len(PAUSES_SECS) - 1)]
        self._deaths += 1
        self._refilling = asyncio.get_running_loop().call_later(pause_secs, self._fill)


def _taken() -> SessionTaken:
    return SessionTaken("another client of this session was faster: connect again")
