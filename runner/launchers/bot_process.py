"""One process that holds one call, as the service sees it."""

import asyncio
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psutil
from loguru import logger
from pipecat.runner.types import RunnerArguments
from pipecat.transports.smallwebrtc.request_handler import (
    SmallWebRTCPatchRequest,
    SmallWebRTCRequest,
)
from starlette.types import Message
from starlette.websockets import WebSocketDisconnect

from bots.failover import CircuitKey, Circuits
from bots.settings import Settings
from processors.circuit import CircuitRecord
from processors.transcript import Past
from processors.voice_state import State
from runner.errors import WS_INTERNAL_ERROR, ProcessUnavailable
from runner.host import CallPlan
from runner.launchers.channel import Channel, ChannelClosed
from runner.launchers.template import Template
from runner.launchers.turnstile import Turnstile
from runner.launchers.worker import CallSpec
from runner.lines import FAREWELL_SECS, STOP_GRACE_SECS, EndReason
from runner.sockets import SocketConnection

READY_SECS = 60.0
"""How long a process may take to get ready."""

ANSWER_SECS = 20.0
"""How long it may take to begin a call: that waits for the database and for services."""

PING_SECS = 5.0
PONG_SECS = 10.0
"""How often it is asked whether it is alive, and how long its event loop may be blocked."""

STOP_SECS = FAREWELL_SECS + 4 * STOP_GRACE_SECS
"""How long a call may take to end: its last words, and the tries of `Line` to stop it."""

EXIT_SECS = 5.0
EXIT_LOOK_SECS = 0.05
"""How long a process may take to end when its call has, and how often that is looked at."""


class ServiceSide:
    """What a process may ask for: its public coroutines.

    Attributes:
        plan: Of the call that the process holds; None before it is given one.
        websocket: What that call comes over; None if it is not a WebSocket.
        clients: How many are connected with its bot.
        is_ready: Set when the process can hold a call.
        has_ended: Set when that is over.

    Args:
        circuits: What calls have found of the services.
        on_end: Told why it is, once.
    """

    def __init__(self, circuits: Circuits, on_end: Callable[[EndReason], None]) -> None:
        self._circuits = circuits
        self._on_end = on_end
        self.plan: CallPlan | None = None
        self.websocket: SocketConnection | None = None
        self.clients = 0
        self._has_client = False
        self.is_ready = asyncio.Event()
        self.has_ended = asyncio.Event()

    async def ready(self) -> None:
        """Take that it can hold a call."""
        self.is_ready.set()

    async def clients_are(self, clients: int) -> None:
        """Take how many are connected with its bot."""
        self.clients = clients

    async def circuits_are(self, records: Mapping[CircuitKey, CircuitRecord]) -> None:
        """Take what its call has found of the services."""
        self._circuits.recall(records)

    async def died(self) -> None:
        """Tell what a process that has died before its call ended cannot tell any more."""
        if not self.plan or self.has_ended.is_set():
            return
        if self._has_client:
            await self.plan.listener.on_client(False)
        await self.plan.listener.on_state(State.DISCONNECTED)

    async def ended(self, reason: EndReason) -> None:
        """Take why its call has ended."""
        if not self.has_ended.is_set():
            self.has_ended.set()
            self._on_end(reason)

    async def recall(self) -> Past:
        """Tell what was said in the session before."""
        assert self.plan
        return await self.plan.recall()

    async def hear(self, what: str, about: object) -> None:
        """Take what happens in its call; see `CallListener`."""
        assert self.plan
        if what == "on_client":
            self._has_client = bool(about)
        await getattr(self.plan.listener, what)(about)

    async def receive(self) -> Message:
        """Wait for the next message of the WebSocket."""
        assert self.websocket
        return await self.websocket.receive()

    async def send(self, message: Message) -> bool:
        """Send a message over the WebSocket, and tell whether that is still possible."""
        assert self.websocket
        try:
            await self.websocket.send(message)
        except (TimeoutError, RuntimeError, WebSocketDisconnect):
            return False
        return True


@dataclass(frozen=True)
class Common:
    """What all processes have in common.

    Attributes:
        template: What they are forked of.
        circuits: What calls have found of the services.
        turnstile: What they pass as they get ready.
        on_lag: Told how late their event loops were, in seconds.
    """

    template: Template
    circuits: Circuits
    turnstile: Turnstile
    on_lag: Callable[[float], None]


class BotProcess:
    """A process that gets ready by itself, holds one call, and ends with it.

    Args:
        common: What it has in common with the others.
        settings: Those of its call.
        on_end: Told that its call has ended, and why.
        on_exit: Told that it is no more, as the last thing that happens.

    Attributes:
        pc_id: Names the peer connection of its client; None if there is none.
    """

    def __init__(
        self,
        common: Common,
        settings: Settings,
        on_end: "Callable[[BotProcess, EndReason], None]",
        on_exit: "Callable[[BotProcess], None]",
    ) -> None:
        self.pc_id: str | None = None
        self._common = common
        self._on_exit = on_exit
        self._here = ServiceSide(common.circuits, lambda reason: on_end(self, reason))
        self._settings = settings
        self._process: psutil.Process | None = None
        self._channel: Channel | None = None
        self._leaving = asyncio.Event()
        # Why the call has ended, if the process does not live to tell.
        self._reason = EndReason.CRASHED
        self._life = asyncio.create_task(self._live())

    @property
    def pid(self) -> int | None:
        """Names it to the system; None before it is started."""
        return self._process.pid if self._process else None

    @property
    def session_id(self) -> str | None:
        """The session whose call it holds or has held; None if it has yet to be given one."""
        return self._here.plan.session_id if self._here.plan else None

    @property
    def clients(self) -> int:
        """How many are connected with its bot."""
        return self._here.clients

    @property
    def is_ready(self) -> bool:
        """Whether a call need not wait for it."""
        return self._here.is_ready.is_set()

    @property
    def has_ended(self) -> bool:
        """Whether its call has."""
        return self._here.has_ended.is_set()

    async def until_ended(self) -> None:
        """Wait for the end of its call; giving up does not end it."""
        await self._here.has_ended.wait()

    async def offer(self, plan: CallPlan, request: SmallWebRTCRequest) -> dict[str, str]:
        """Begin the call, or renegotiate it; see `SessionHost.offer`.

        Raises:
            ProcessUnavailable: If the process has died, or does not get to it in time.
        """
        answer: dict[str, str] = await self._begin(plan, "offer", request)
        self.pc_id = answer["pc_id"]
        return answer

    async def add_candidates(self, request: SmallWebRTCPatchRequest) -> None:
        """See `SessionHost.add_candidates`.

        Raises:
            ProcessUnavailable: If the process has died, or does not get to it in time.
        """
        await self._ask("add_candidates", request)

    async def join(self, plan: CallPlan, websocket: SocketConnection, transport: str) -> None:
        """Begin the call of a client at a WebSocket; see `SessionHost.join` and `offer`."""
        self._here.websocket = websocket
        await self._begin(plan, "join", transport)

    async def attend(self, plan: CallPlan, bot: RunnerArguments, *, ends_with_client: bool) -> None:
        """Begin the call in a room elsewhere; see `SessionHost.attend` and `offer`."""
        await self._begin(plan, "attend", bot, ends_with_client)

    async def stop(self, reason: EndReason) -> None:
        """End the call, by the death of the process if it must be, and wait for that."""
        self._reason = reason
        with suppress(ChannelClosed, TimeoutError):
            async with asyncio.timeout(STOP_SECS):
                await self._channel_now().ask("stop", reason)
                await self._here.has_ended.wait()
                return
        await self.close()

    async def hand_over(self) -> None:
        """End the call, whose client has come by another connection, and wait for that."""
        if websocket := self._here.websocket:
            await websocket.hand_over()
        await self.stop(EndReason.STOPPED)

    async def drain(self, timeout_secs: float) -> None:
        """See `SessionHost.drain`."""
        try:
            async with asyncio.timeout(timeout_secs + STOP_SECS):
                await self._channel_now().ask("drain", timeout_secs)
                await self._here.has_ended.wait()
        except ChannelClosed:
            await self._here.has_ended.wait()
        except TimeoutError:
            self._reason = EndReason.DRAINED
            await self.close()

    def leave(self) -> None:
        """Have it end, whatever it is doing."""
        self._leaving.set()

    async def close(self) -> None:
        """Have it end, and wait until it has."""
        self.leave()
        await asyncio.shield(self._life)

    async def _begin(self, plan: CallPlan, how: str, *arguments: Any) -> Any:
        await self._until_ready()
        self._here.plan = plan
        spec = CallSpec(
            plan.session_id,
            plan.bot_name,
            plan.bot,
            plan.created_at,
            plan.spent,
            self._common.circuits.records,
        )
        return await self._ask(how, spec, *arguments)

    async def _until_ready(self) -> None:
        ready = asyncio.create_task(self._here.is_ready.wait())
        try:
            await asyncio.wait({ready, self._life}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ready.cancel()
        if self._life.done():
            raise ProcessUnavailable("there is no process for this call: the log says why")

    async def _ask(self, name: str, *arguments: Any) -> Any:
        try:
            async with asyncio.timeout(ANSWER_SECS):
                return await self._channel_now().ask(name, *arguments)
        except TimeoutError as error:
            raise ProcessUnavailable(
                f"the process of this call does not answer within {ANSWER_SECS:.0f} s"
            ) from error

    def _channel_now(self) -> Channel:
        assert self._channel, "the process is not ready yet"
        return self._channel

    async def _live(self) -> None:
        """Own the process, from its start until it is gone."""
        try:
            await self._start()
            await self._here.died()
        except (ProcessUnavailable, OSError) as error:
            logger.error("there is no process for a call: {}", error)
        finally:
            await self._here.ended(self._reason)
            if websocket := self._here.websocket:
                await websocket.refuse(WS_INTERNAL_ERROR, "the bot has died: connect again")
            self._on_exit(self)

    async def _start(self) -> None:
        """Have the process forked, and return when it is gone.

        Raises:
            ProcessUnavailable: If it cannot be forked.
            OSError: If there are too many descriptors.
        """
        if self._leaving.is_set():
            return
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                self._process = await self._common.template.fork(theirs)
        except ProcessUnavailable:
            ours.close()
            raise
        await self._talk(ours, self._process)

    async def _talk(self, sock: socket.socket, process: psutil.Process) -> None:
        """Answer what the process asks, until it is gone or has to go."""
        channel = self._channel = await Channel.open(sock)
        serving = asyncio.create_task(channel.serve(self._here))
        beside = (
            asyncio.create_task(self._watch(channel, process)),
            asyncio.create_task(self._leaving.wait()),
        )
        try:
            await asyncio.wait({serving, *beside}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (serving, *beside):
                task.cancel()
            await asyncio.gather(serving, *beside, return_exceptions=True)
            await _until_ended(process)
        if not serving.cancelled() and (error := serving.exception()):
            logger.opt(exception=error).error("what a call tells of itself cannot be taken")

    async def _watch(self, channel: Channel, process: psutil.Process) -> None:
        """Have it get ready; return when it is gone, is ready too late, or answers no more."""
        try:
            async with self._common.turnstile.passing(), asyncio.timeout(READY_SECS):
                await channel.send(self._settings)
                await self._here.is_ready.wait()
            while True:
                await asyncio.sleep(PING_SECS)
                async with asyncio.timeout(PONG_SECS):
                    lags = await channel.ask("ping")
                for secs in lags:
                    self._common.on_lag(secs)
        except TimeoutError:
            logger.error("the process {} of a bot does not answer: it is killed", process.pid)
            _kill(process)
        except ChannelClosed:
            return


async def _until_ended(process: psutil.Process) -> None:
    """Wait for the end of a process, which knows by now that it has to, and see to it."""
    if await _is_gone(process):
        return
    logger.warning("the process {} of a bot does not end: it is killed", process.pid)
    _kill(process)
    if not await _is_gone(process):
        logger.critical("the process {} of a bot cannot be killed", process.pid)


async def _is_gone(process: psutil.Process) -> bool:
    """Wait for the end of a process for a while, and say whether it has."""
    deadline = time.monotonic() + EXIT_SECS
    # It is not a child of this one, which could be waited for.
    while process.is_running():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(EXIT_LOOK_SECS)
    return True


def _kill(process: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):
        process.kill()
