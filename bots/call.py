"""One call, from the client's arrival to the end of the pipeline."""

import asyncio
from dataclasses import dataclass
from typing import Any

from loguru import logger
from pipecat.frames.frames import LLMRunFrame, TTSSpeakFrame
from pipecat.observers.function_call_observer import FunctionCallEvent, FunctionCallObserver
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_response_universal import LLMUserAggregator
from pipecat.processors.frameworks.rtvi.observer import (
    RTVIFunctionCallReportLevel,
    RTVIObserverParams,
)
from pipecat.runner.types import RunnerArguments, SmallWebRTCRunnerArguments
from pipecat.runner.utils import create_transport
from pipecat.transports.base_transport import BaseTransport, TransportParams
from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams
from pipecat.workers.runner import WorkerRunner

from bots.audio_receiver import hear_without_delay
from bots.listener import CallListener
from bots.pipeline import assemble
from bots.registry import Bot
from bots.resources import Resources
from processors.hang_up import HangUpObserver
from processors.latency import TurnLatency, TurnLatencyObserver
from processors.output_pause import OutputPause
from processors.rtvi_serializer import RTVISerializer
from processors.transcript import Past, TranscriptObserver, to_messages, tool_call
from processors.voice_state import State, VoiceState, VoiceStateObserver

CLIENT_READY_TIMEOUT_SECS = 2.0
"""How long the greeting waits for an RTVI client to say that it is ready; a plain peer never
does."""


@dataclass(frozen=True)
class Call:
    """What a bot is given for one call.

    Attributes:
        session_id: Names the call in logs.
        transport: Where the user is.
        output: Pauses what the transport plays.
        resources: What calls share.
        listener: Told what happens in it.
        past: What was said in the conversation before this call; nothing in a new one.
    """

    session_id: str
    transport: BaseTransport
    output: OutputPause
    resources: Resources
    listener: CallListener
    past: Past = ()


async def make_call(
    session_id: str,
    runner_args: RunnerArguments,
    resources: Resources,
    listener: CallListener,
    past: Past = (),
) -> Call:
    """Make what a bot is given for one call; see `Call`.

    Args:
        session_id: Names the call in logs.
        runner_args: Which transport the session asks for.
        resources: What calls share.
        listener: Told what happens in it.
        past: What was said in the conversation before.

    Raises:
        ValueError: If Pipecat does not know the kind of session.
    """
    output = OutputPause()
    transport = await make_transport(runner_args, output)
    return Call(session_id, transport, output, resources, listener, past)


async def make_transport(runner_args: RunnerArguments, output: OutputPause) -> BaseTransport:
    """Make the transport that the arguments of a session ask for.

    Args:
        runner_args: The arguments.
        output: Pauses what it plays.

    Raises:
        ValueError: If Pipecat does not know the kind of session.
    """
    audio: dict[str, Any] = {
        "audio_in_enabled": True,
        "audio_out_enabled": True,
        "audio_out_filter": output,
        # What has been handed out cannot be paused any more.
        "audio_out_10ms_chunks": 2,
    }

    def eval_params() -> TransportParams:
        from pipecat.evals.transport import EvalTransportParams

        return EvalTransportParams(**audio)

    def peer() -> TransportParams:
        return TransportParams(**audio)

    def daily() -> TransportParams:
        from pipecat.transports.daily.transport import DailyParams

        return DailyParams(**audio)

    def telephone() -> TransportParams:
        return FastAPIWebsocketParams(**audio)

    def websocket() -> TransportParams:
        # Whoever accepted the socket has looked at where it comes from.
        return FastAPIWebsocketParams(**audio, serializer=RTVISerializer(), allowed_origins=[])

    if isinstance(runner_args, SmallWebRTCRunnerArguments):
        # Again for the peer connection that follows when a client has lost the first.
        @runner_args.webrtc_connection.event_handler("connected")
        async def on_connected(connection: SmallWebRTCConnection) -> None:
            hear_without_delay(connection.pc)

    return await create_transport(
        runner_args,
        {
            "webrtc": peer,
            "livekit": peer,
            "daily": daily,
            "eval": eval_params,
            "websocket": websocket,
            **dict.fromkeys(("twilio", "telnyx", "plivo", "exotel"), telephone),
        },
    )


class Conversation:
    """A bot in a call. Making one may fail; then the client must not be told that it is answered.

    Args:
        bot: Who speaks.
        call: With whom, and where.

    Attributes:
        is_deserted: Whether the bot ended the call because the user said nothing any more.
        has_lost_client: Whether it ended because the client was gone, without having said so.

    Raises:
        ServiceUnavailable: If a service cannot be made.
    """

    def __init__(self, bot: Bot, call: Call) -> None:
        self.is_deserted = False
        self.has_lost_client = False
        self._bot = bot
        self._call = call
        self._messages = to_messages(call.past)
        self._assembly = assemble(
            bot,
            call.transport,
            call.output,
            call.resources,
            messages=self._messages,
            keep_tool_call=call.listener.keep_tool_call,
        )
        self._state = VoiceState(self._publish)
        tools = FunctionCallObserver(include_results=True)
        tools.add_event_handler("on_function_call_event", self._on_tool)
        self._worker = PipelineWorker(
            self._assembly.pipeline,
            params=PipelineParams(enable_metrics=True, enable_usage_metrics=True),
            observers=[
                VoiceStateObserver(self._state),
                TurnLatencyObserver(self._tell_latency),
                TranscriptObserver(self._assembly.assistant, call.listener.on_turn),
                HangUpObserver(self._hang_up),
                tools,
            ],
            app_resources=call.resources,
            # What the model is told, knowledge included, is none of the client's business.
            rtvi_observer_params=RTVIObserverParams(
                user_llm_enabled=False,
                function_call_report_level={"*": RTVIFunctionCallReportLevel.NAME},
            ),
            conversation_id=call.session_id,
            # Calls are ended by whoever started them, who knows why.
            idle_timeout_secs=None,
        )
        self._announcements = call.resources.settings.voice.realtime.announcements
        # How many messages of the user there were when the bot asked whether anybody is there.
        self._asked_after: int | None = None
        self._connected = asyncio.Event()
        self._ready = asyncio.Event()
        self._listen_to_client()
        self._listen_to_turns()

    async def hold(self) -> None:
        """Talk until the client leaves or the task is cancelled.

        Both, and an error, end with the pipeline torn down; Pipecat's runner takes a cancellation
        for its own, so that this returns as if the client had left.
        """
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(self._worker)
        beside = [asyncio.create_task(self._open()), asyncio.create_task(self._prefill())]
        await self._state.move(State.CONNECTING)
        try:
            await runner.run()
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            await self._state.move(State.DISCONNECTED)

    async def say(self, words: str) -> None:
        """Have the bot say something of its own accord, after what it is saying; "" for nothing."""
        if words:
            await self._worker.queue_frame(TTSSpeakFrame(words, append_to_context=True))

    async def finish(self, words: str) -> None:
        """Have the bot say its last words and end the call, so that `hold` returns."""
        await self.say(words)
        await self._worker.stop_when_done()

    async def _publish(self, state: State) -> None:
        await self._call.listener.on_state(state)
        if state not in (State.CONNECTING, State.DISCONNECTING, State.DISCONNECTED):
            message = {"type": "voice-state", "state": state.value}
            await self._worker.rtvi.send_server_message(message)

    async def _tell_latency(self, latency: TurnLatency) -> None:
        """Tell everybody how long the user waited, and for what."""
        await self._call.listener.on_answer(latency)
        stages = {name: round(ms) for name, ms in latency.stages_ms.items()}
        logger.info(
            "answered after {:.0f} ms{}: {}",
            latency.total_ms,
            ", made ahead" if latency.made_ahead else "",
            ", ".join(f"{name} {ms}" for name, ms in stages.items()),
        )
        await self._worker.rtvi.send_server_message(
            {
                "type": "turn-latency",
                "total_ms": round(latency.total_ms),
                "stages_ms": stages,
                "made_ahead": latency.made_ahead,
                "withdrawn": latency.withdrawn,
            }
        )

    async def _hang_up(self) -> None:
        """Break off whatever is being said, because the client wants to hear no more."""
        await self._state.move(State.DISCONNECTING)
        await self._worker.cancel(reason="the client has hung up")

    async def _on_tool(self, _: object, event: FunctionCallEvent) -> None:
        if call := tool_call(event):
            await self._call.listener.on_tool_call(call)

    def _listen_to_client(self) -> None:
        @self._call.transport.event_handler("on_client_connected")
        async def on_client_connected(_transport: BaseTransport, _client: object) -> None:
            self._connected.set()

        @self._call.transport.event_handler("on_client_disconnected")
        async def on_client_disconnected(_transport: BaseTransport, _client: object) -> None:
            self.has_lost_client = self._state.current is not State.DISCONNECTING
            await self._worker.cancel(reason="the client has left")

        @self._worker.rtvi.event_handler("on_client_ready")
        async def on_client_ready(_rtvi: object) -> None:
            self._ready.set()

    def _listen_to_turns(self) -> None:
        @self._assembly.user.event_handler("on_user_turn_stopped")
        async def on_user_turn_stopped(_user: object, _strategy: object, message: Any) -> None:
            # No frame tells that a turn held no words, and will not be answered.
            if not message.content and self._state.current is State.PROCESSING:
                await self._state.move(State.LISTENING)

        @self._assembly.user.event_handler("on_user_turn_idle")
        async def on_user_turn_idle(user: LLMUserAggregator) -> None:
            messages = user.context.get_messages()
            said = sum(isinstance(m, dict) and m["role"] == "user" for m in messages)
            # Without a question that is heard, Pipecat would not wait a second time.
            if self._asked_after == said or not self._announcements.anybody_there:
                self.is_deserted = True
                await self.finish(self._announcements.nobody_there)
            else:
                self._asked_after = said
                await self.say(self._announcements.anybody_there)

    async def _prefill(self) -> None:
        """Let the language model read its instructions while the greeting is spoken."""
        if self._assembly.prefill:
            await self._assembly.prefill()

    async def _open(self) -> None:
        """Greet when the client can hear it, or go on where the conversation was."""
        await self._connected.wait()
        try:
            await asyncio.wait_for(self._ready.wait(), CLIENT_READY_TIMEOUT_SECS)
        except TimeoutError:
            logger.debug("the client speaks no RTVI, or is slow: not waiting for it")
        await self._state.move(State.LISTENING)
        if not self._messages:
            await self.say(self._bot.greeting)
        elif self._messages[-1]["role"] == "assistant":
            await self.say(self._announcements.back)
        else:
            await self._worker.queue_frame(LLMRunFrame())
