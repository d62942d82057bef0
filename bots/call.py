"""One call, from the client's arrival to the end of the pipeline."""

import asyncio
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

from loguru import logger
from pipecat.frames.frames import (
    InterruptionWorkerFrame,
    LLMRunFrame,
    OutputAudioRawFrame,
    TTSSpeakFrame,
)
from pipecat.observers.function_call_observer import FunctionCallEvent, FunctionCallObserver
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_response_universal import LLMUserAggregator
from pipecat.processors.frameworks.rtvi.observer import (
    RTVIFunctionCallReportLevel,
    RTVIObserverParams,
)
from pipecat.runner.types import RunnerArguments
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import BaseTransport
from pipecat.workers.runner import WorkerRunner

from bots.errors import ServiceUnavailable
from bots.listener import CallListener
from bots.pipeline import assemble
from bots.recording import Recording
from bots.registry import Bot
from bots.resources import Resources
from bots.sounds import make_background
from bots.transports import make_transport, room_lost_event
from processors.background_audio import BackgroundAudio
from processors.hang_up import HangUpObserver
from processors.latency import TurnLatency, TurnLatencyObserver
from processors.output_pause import OutputPause
from processors.transcript import Past, TranscriptObserver, to_messages, tool_call
from processors.voice_state import State, VoiceState, VoiceStateObserver

CLIENT_READY_TIMEOUT_SECS = 2.0
"""How long the greeting waits for an RTVI client to say that it is ready; a plain peer never
does."""

ROOM_SECS = 30.0
"""How long a bot may take to get into its room."""


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
        recording: Where its sound is kept; None if it is not.
        room_lost_event: The transport's event for a bot that is not in its room; None if there is
            none but the connection with the client.
        ends_with_client: Whether the bot leaves when its client does; else it waits in its room.
        background: What is heard behind the bot's voice; None for nothing.
    """

    session_id: str
    transport: BaseTransport
    output: OutputPause
    resources: Resources
    listener: CallListener
    past: Past = ()
    recording: Path | None = None
    room_lost_event: str | None = None
    ends_with_client: bool = True
    background: BackgroundAudio | None = None


async def make_call(
    bot: Bot,
    session_id: str,
    runner_args: RunnerArguments,
    resources: Resources,
    listener: CallListener,
    past: Past = (),
    *,
    recording: Path | None = None,
    ends_with_client: bool = True,
) -> Call:
    """Make what a bot is given for one call; see `Call`.

    Args:
        bot: Who will speak.
        session_id: Names the call in logs.
        runner_args: Which transport the session asks for.
        resources: What calls share.
        listener: Told what happens in it.
        past: What was said in the conversation before.
        recording: Where its sound is to be kept; None for nowhere.
        ends_with_client: Whether the bot leaves when its client does.

    Raises:
        ValueError: If Pipecat does not know the kind of session.
    """
    output = OutputPause()
    background = make_background(bot, resources.settings.voice.realtime.audio)
    transport = await make_transport(runner_args, output, background)
    if background:
        output.meanwhile = partial(_play, background, transport)
    return Call(
        session_id,
        transport,
        output,
        resources,
        listener,
        past,
        recording,
        room_lost_event(runner_args),
        ends_with_client,
        background,
    )


async def _play(background: BackgroundAudio, transport: BaseTransport, silence: bytes) -> None:
    """Play what is heard behind the bot's voice, for as long as a chunk is."""
    output = cast(BaseOutputTransport, transport.output())
    if audio := await background.mix(silence):
        await output.write_audio_frame(OutputAudioRawFrame(audio, output.sample_rate, 1))


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
        self._recording = Recording(call.recording) if call.recording else None
        self._assembly = assemble(
            bot,
            call.transport,
            call.output,
            call.resources,
            messages=self._messages,
            keep_tool_call=call.listener.keep_tool_call,
            report_failure=call.listener.on_failure,
            recorder=self._recording.processor if self._recording else None,
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
        self._clients: set[str] = set()
        self._client_is_told = False
        self._failure: ServiceUnavailable | None = None
        self._in_room = asyncio.Event()
        self._connected = asyncio.Event()
        self._ready = asyncio.Event()
        if call.room_lost_event:
            self._listen_to_room(call.room_lost_event)
        self._listen_to_client()
        self._listen_to_turns()

    @property
    def has_client(self) -> bool:
        """Whether anybody is there with the bot."""
        return bool(self._clients)

    async def hold(self) -> None:
        """Talk until the client leaves or the task is cancelled.

        Both, and an error, end with the pipeline torn down; Pipecat's runner takes a cancellation
        for its own, so that this returns as if the client had left.

        Raises:
            ServiceUnavailable: If the bot does not get into its room, or is put out of it.
        """
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(self._worker)
        beside = [asyncio.create_task(self._open()), asyncio.create_task(self._prefill())]
        await self._state.move(State.CONNECTING)
        if self._recording:
            self._recording.start()
        try:
            await runner.run()
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            if self._recording:
                await self._recording.close()
            await self._tell_of_client(False)
            await self._state.move(State.DISCONNECTED)
        if self._failure:
            raise self._failure

    async def say(self, words: str) -> None:
        """Have the bot say something of its own accord, after what it is saying; "" for nothing."""
        if words:
            await self._worker.queue_frame(TTSSpeakFrame(words, append_to_context=True))

    async def finish(self, words: str) -> None:
        """Have the bot say its last words and end the call, so that `hold` returns."""
        await self.say(words)
        await self._worker.stop_when_done()

    async def _publish(self, state: State) -> None:
        if self._call.background:
            self._call.background.think(state is State.THINKING)
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

    async def _tell_of_client(self, is_there: bool) -> None:
        if is_there is not self._client_is_told:
            self._client_is_told = is_there
            await self._call.listener.on_client(is_there)

    def _name(self, client: object) -> str:
        """Tell clients of a room apart; elsewhere there is one, which may connect again."""
        is_in_room = self._call.room_lost_event is not None
        return self._call.transport.get_client_id(client) if is_in_room else "the client"

    async def _fail(self, why: str) -> None:
        self._failure = self._failure or ServiceUnavailable(why)
        await self._worker.cancel(reason=why)

    def _listen_to_room(self, lost_event: str) -> None:
        @self._call.transport.event_handler("on_connected")
        async def on_connected(_transport: BaseTransport, *_: object) -> None:
            self._in_room.set()
            await self._state.move(State.LISTENING)

        @self._call.transport.event_handler(lost_event)
        async def on_lost(_transport: BaseTransport, *why: object) -> None:
            await self._fail(" ".join(["the bot is not in its room", *map(str, why)]))

    def _listen_to_client(self) -> None:
        @self._call.transport.event_handler("on_client_connected")
        async def on_client_connected(_transport: BaseTransport, client: object) -> None:
            is_back = self._connected.is_set() and not self._clients
            self._clients.add(self._name(client))
            self._connected.set()
            if is_back:
                await self._tell_of_client(True)
                await self.say(self._announcements.back)

        @self._call.transport.event_handler("on_client_disconnected")
        async def on_client_disconnected(_transport: BaseTransport, client: object) -> None:
            self._clients.discard(self._name(client))
            if self._clients:
                return
            if self._call.ends_with_client:
                self.has_lost_client = self._state.current is not State.DISCONNECTING
                await self._worker.cancel(reason="the client has left")
            else:
                await self._tell_of_client(False)
                await self._worker.queue_frame(InterruptionWorkerFrame())

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
            if not self.has_client:
                return
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
        if self._call.room_lost_event:
            try:
                await asyncio.wait_for(self._in_room.wait(), ROOM_SECS)
            except TimeoutError:
                return await self._fail(
                    f"the bot does not get into its room within {ROOM_SECS:.0f} s"
                )
        await self._connected.wait()
        try:
            await asyncio.wait_for(self._ready.wait(), CLIENT_READY_TIMEOUT_SECS)
        except TimeoutError:
            logger.debug("the client speaks no RTVI, or is slow: not waiting for it")
        await self._state.move(State.LISTENING)
        await self._tell_of_client(True)
        if not self._messages:
            await self.say(self._bot.greeting)
        elif self._messages[-1]["role"] == "assistant":
            await self.say(self._announcements.back)
        else:
            await self._worker.queue_frame(LLMRunFrame())
