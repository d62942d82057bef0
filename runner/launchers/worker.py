"""Inside the process of one call: gets ready, holds the call, and ends with it."""

import asyncio
import json
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from socket import socket as Socket
from typing import Any

from loguru import logger
from pipecat.runner.types import RunnerArguments
from pipecat.transports.smallwebrtc.request_handler import (
    SmallWebRTCPatchRequest,
    SmallWebRTCRequest,
)
from starlette.types import Message
from starlette.websockets import WebSocket, WebSocketState

from bots.database import to_json
from bots.errors import ParlanteError
from bots.failover import CircuitKey
from bots.listener import CallListener
from bots.local_models import loading_models
from bots.loopback import connect_over_loopback_when_alone
from bots.registry import Bot
from bots.resources import Resources, open_resources
from bots.settings import Settings
from processors.circuit import CircuitRecord
from processors.failover import Failure
from processors.latency import TurnLatency
from processors.transcript import Past, ToolCall, Turn
from processors.usage import Used
from processors.voice_state import State
from runner import memory
from runner.host import CallPlan, SessionHost
from runner.launchers.channel import Channel, ChannelClosed
from runner.lines import EndReason
from runner.process import setup_logging, spare_the_collector
from runner.sockets import SocketConnection
from runner.watchdog import watch_event_loop, watch_memory

LOOK_SECS = 0.25
"""How often it is looked who is connected, and what was found of the services."""


@dataclass(frozen=True)
class CallSpec:
    """What a call is made of, as it goes from the service to a process; see `CallPlan`.

    Attributes:
        circuits: What calls of other processes have found of the services.
    """

    session_id: str
    bot_name: str
    bot: Bot
    created_at: datetime
    spent: float
    circuits: Mapping[CircuitKey, CircuitRecord]


def work(sock: Socket) -> None:
    """Get ready for a call, hold it, and return when it is over, or the service is gone.

    Args:
        sock: The way to the service, which says first by which settings.
    """
    memory.share_pools()
    connect_over_loopback_when_alone()
    asyncio.run(_work(sock))


async def _work(sock: Socket) -> None:
    channel = await Channel.open(sock)
    try:
        settings: Settings = await channel.receive()
        setup_logging(settings.voice.realtime.logging)
        async with AsyncExitStack() as stack:
            models = await stack.enter_async_context(loading_models(settings))
            resources = await stack.enter_async_context(open_resources(settings, models))
            spare_the_collector()
            await _hold(channel, OneCall(channel, resources), settings)
    except ChannelClosed:
        # The service has ended, or wants this process no more.
        pass
    except ParlanteError as error:
        logger.error("there is no process for a call: {}", error.message)


async def _hold(channel: Channel, call: "OneCall", settings: Settings) -> None:
    """Say that everything is ready, and return when the call is over.

    Raises:
        ChannelClosed: If the service is gone.
    """
    worker = settings.voice.realtime.worker
    serving = asyncio.create_task(channel.serve(call))
    beside = (
        asyncio.create_task(watch_event_loop(call.lagged)),
        asyncio.create_task(watch_memory(lambda: worker, stop=call.give_up)),
        asyncio.create_task(call.keep_reporting()),
    )
    try:
        await channel.ask("ready")
        over: set[asyncio.Future[Any]] = {serving, call.ended}
        await asyncio.wait(over, return_when=asyncio.FIRST_COMPLETED)
        await call.close()
        if call.ended.done():
            await call.report()
            await channel.ask("ended", call.ended.result())
    finally:
        for task in (serving, *beside):
            task.cancel()
        for error in await asyncio.gather(serving, *beside, return_exceptions=True):
            if isinstance(error, Exception) and not isinstance(error, ChannelClosed):
                logger.opt(exception=error).error("the process of a call has failed")


class OneCall:
    """The call of a process. Its public coroutines are what the service may ask for.

    Args:
        channel: The way to the service.
        resources: What the call is made of.

    Attributes:
        ended: Why the call has ended.
    """

    def __init__(self, channel: Channel, resources: Resources) -> None:
        self.ended: asyncio.Future[EndReason] = asyncio.get_running_loop().create_future()
        self._channel = channel
        self._lags: list[float] = []
        self._told_clients = 0
        self._circuits = resources.circuits
        self._told_circuits = self._circuits.records
        self._patience_secs = resources.settings.voice.realtime.limits.lost_peer_timeout
        self._host = SessionHost(resources, on_end=lambda _, reason: self._end(reason))
        self._session_id = ""

    def lagged(self, secs: float) -> None:
        """Take how late the event loop was."""
        self._lags.append(secs)

    async def ping(self) -> list[float]:
        """Return how late the event loop was, again and again since the last time, in seconds."""
        lags, self._lags = self._lags, []
        return lags

    async def offer(self, spec: CallSpec, request: SmallWebRTCRequest) -> dict[str, str]:
        """See `SessionHost.offer`."""
        return await self._host.offer(self._plan(spec), request)

    async def add_candidates(self, request: SmallWebRTCPatchRequest) -> None:
        """See `SessionHost.add_candidates`."""
        await self._host.add_candidates(request)

    async def join(self, spec: CallSpec, transport: str) -> None:
        """Start the call of a client whose WebSocket the service holds; see `SessionHost.join`."""
        socket = DistantSocket(self._channel, self._patience_secs)
        await self._host.join(self._plan(spec), socket, transport)

    async def attend(self, spec: CallSpec, bot: RunnerArguments, ends_with_client: bool) -> None:
        """See `SessionHost.attend`."""
        await self._host.attend(self._plan(spec), bot, ends_with_client=ends_with_client)

    async def stop(self, reason: EndReason) -> None:
        """See `SessionHost.stop`."""
        await self._host.stop(self._session_id, reason)

    async def drain(self, timeout_secs: float) -> None:
        """See `SessionHost.drain`."""
        await self._host.drain(timeout_secs)

    def give_up(self) -> None:
        """End the process as if it had crashed, so that the call goes on in another."""
        self._end(EndReason.CRASHED)

    async def keep_reporting(self) -> None:
        """Report again and again, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECS)
            await self.report()

    async def report(self) -> None:
        """Tell who is connected and what was found of services, if that has changed.

        Raises:
            ChannelClosed: If the service is gone.
        """
        if (clients := self._host.clients(self._session_id)) != self._told_clients:
            self._told_clients = clients
            await self._channel.ask("clients_are", clients)
        records = self._circuits.records
        # The rest is what others have found, and may have found otherwise since.
        if found := {key: r for key, r in records.items() if self._told_circuits.get(key) != r}:
            self._told_circuits = records
            await self._channel.ask("circuits_are", found)

    async def close(self) -> None:
        """End the call, if it has not ended."""
        await self._host.close()

    def _end(self, reason: EndReason) -> None:
        if not self.ended.done():
            self.ended.set_result(reason)

    def _plan(self, spec: CallSpec) -> CallPlan:
        if not self._session_id:
            self._session_id = spec.session_id
            self._circuits.recall(spec.circuits)
            self._told_circuits = self._circuits.records
        listener = DistantListener(self._channel)
        return CallPlan(
            spec.session_id,
            spec.bot_name,
            spec.bot,
            listener,
            self._recall,
            spec.created_at,
            spec.spent,
        )

    async def _recall(self) -> Past:
        past: Past = await self._channel.ask("recall")
        return past


class DistantListener(CallListener):
    """Tells the service, which nobody is told any more when it is gone."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def on_state(self, state: State) -> None:
        """Tell what the bot does."""
        await self._tell("on_state", state)

    async def on_client(self, is_there: bool) -> None:
        """Tell that the client has come, or has left."""
        await self._tell("on_client", is_there)

    async def on_answer(self, latency: TurnLatency) -> None:
        """Tell how long the user waited for an answer."""
        await self._tell("on_answer", latency)

    async def on_failure(self, failure: Failure) -> None:
        """Tell that a service has failed."""
        await self._tell("on_failure", failure)

    async def on_audio_dropped(self, secs: float) -> None:
        """Tell that sound of the client was dropped."""
        await self._tell("on_audio_dropped", secs)

    async def on_usage(self, used: Used) -> None:
        """Tell what a service has consumed."""
        await self._tell("on_usage", used)

    async def on_turn(self, turn: Turn) -> None:
        """Tell what was said."""
        await self._tell("on_turn", turn)

    async def on_tool_call(self, call: ToolCall) -> None:
        """Tell what a tool did."""
        await self._tell("on_tool_call", _portable(call))

    async def keep_tool_call(self, call: ToolCall) -> None:
        """Tell what a tool did or is going to do, and wait until that is written.

        Raises:
            DatabaseUnavailable: If it cannot be.
            ChannelClosed: If the service is gone.
        """
        await self._channel.ask("hear", "keep_tool_call", _portable(call))

    async def _tell(self, what: str, about: object) -> None:
        with suppress(ChannelClosed):
            await self._channel.ask("hear", what, about)


def _portable(call: ToolCall) -> ToolCall:
    """Return a tool call of what JSON has, as it is kept: a tool may give anything back."""
    arguments, result = (json.loads(to_json(part)) for part in (call.arguments, call.result))
    return replace(call, arguments=arguments, result=result)


class DistantSocket(SocketConnection):
    """A WebSocket that the service holds, and has accepted.

    Each message waits until the other side has taken it, so that none gathers in between.
    """

    def __init__(self, channel: Channel, patience_secs: float) -> None:
        self._channel = channel
        scope = {"type": "websocket", "headers": []}
        websocket = WebSocket(scope, self._receive_there, self._send_there)
        super().__init__(websocket, patience_secs)
        for end in (websocket, self):
            end.client_state = end.application_state = WebSocketState.CONNECTED

    async def _receive_there(self) -> Message:
        message: Message = await self._channel.ask("receive")
        return message

    async def _send_there(self, message: Message) -> None:
        try:
            is_taken = await self._channel.ask("send", message)
        except ChannelClosed as error:
            raise OSError(error.message) from error
        if not is_taken:
            raise OSError("the WebSocket is closed")
