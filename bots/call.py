"""One call, from the client's arrival to the end of the pipeline."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

from loguru import logger
from pipecat.frames.frames import (
    CancelFrame,
    InterruptionFrame,
    InterruptionWorkerFrame,
    LLMRunFrame,
    OutputAudioRawFrame,
    TTSSpeakFrame,
)
from pipecat.observers.function_call_observer import FunctionCallEvent, FunctionCallObserver
from pipecat.observers.service_metrics_observer import ServiceUsageRecord
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContextMessage, LLMStandardMessage
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.processors.frameworks.rtvi.observer import (
    RTVIFunctionCallReportLevel,
    RTVIObserverParams,
)
from pipecat.runner.types import RunnerArguments
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import BaseTransport
from pipecat.workers.runner import WorkerRunner

from bots import client_messages
from bots.errors import ServiceUnavailable
from bots.listener import CallListener
from bots.meter import Meter
from bots.phone_transfer import phone_transfer
from bots.pipeline import Brain, assemble, make_chained
from bots.recording import Recording
from bots.registry import Bot, mcp_of
from bots.resources import Resources
from bots.serializers import serializer_for
from bots.sounds import make_background
from bots.speech_to_speech import SpeechToSpeech
from bots.telephony import is_phone_call
from bots.tools.desk import ToolResources
from bots.tracing import trace_answer
from bots.transports import make_transport, room_lost_event
from processors.background_audio import BackgroundAudio
from processors.call_transfer import CallTransfer, PutThrough
from processors.estimates import UsageObserver
from processors.hang_up import HangUpObserver
from processors.interrupted_tools import InterruptedTools
from processors.keypad import make_keypad
from processors.latency import TurnLatency, TurnLatencyObserver
from processors.observers import CallObservers
from processors.output_pause import OutputPause
from processors.protocols.socket_transport import SocketTransport
from processors.switchboard import transfer_in
from processors.transcript import (
    Past,
    ToolCall,
    ToolOutcome,
    TranscriptObserver,
    Turn,
    to_messages,
    tool_call,
)
from processors.voice_state import State, VoiceState, VoiceStateObserver

CLIENT_READY_TIMEOUT_SECS = 2.0
"""How long the greeting waits for an RTVI client to say that it is ready; a plain peer never
does."""

ROOM_SECS = 30.0
"""How long a bot may take to get into its room."""

BRAIN_SECS = 15.0
"""How long what is to be said waits for a service that can say it."""


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
        spent: What it has cost before this call.
        recording: Where its sound is kept; None if it is not.
        room_lost_event: The transport's event for a bot that is not in its room; None if there is
            none but the connection with the client.
        ends_with_client: Whether the bot leaves when its client does; else it waits in its room.
        background: What is heard behind the bot's voice; None for nothing.
        put_through: Puts the caller through to a person; None where that cannot be done.
        speaks_rtvi: Whether its client says when it is ready.
        user_begins: Whether the bot waits for the user to speak first.
        is_phone_call: Whether its client has a keypad, and hangs up when it leaves.
    """

    session_id: str
    transport: BaseTransport
    output: OutputPause
    resources: Resources
    listener: CallListener
    past: Past = ()
    spent: float = 0.0
    recording: Path | None = None
    room_lost_event: str | None = None
    ends_with_client: bool = True
    background: BackgroundAudio | None = None
    put_through: PutThrough | None = None
    speaks_rtvi: bool = True
    user_begins: bool = False
    is_phone_call: bool = False


async def make_call(
    bot: Bot,
    session_id: str,
    runner_args: RunnerArguments,
    resources: Resources,
    listener: CallListener,
    past: Past = (),
    *,
    spent: float = 0.0,
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
        spent: What that has cost.
        recording: Where its sound is to be kept; None for nowhere.
        ends_with_client: Whether the bot leaves when its client does.

    Raises:
        ValueError: If Pipecat does not know the kind of session.
        UnknownBot: If there is no such specialist.
    """
    await resources.mcp_servers.until_looked(mcp_of(bot, resources.settings))
    output = OutputPause()
    background = make_background(bot, resources.settings.voice.realtime.audio)
    serializer = serializer_for(bot, session_id, runner_args, resources)
    telephony = resources.settings.voice.realtime.telephony
    transport = await make_transport(
        runner_args, output, background, telephony=telephony, serializer=serializer
    )
    by_phone = is_phone_call(runner_args)
    if background:
        output.meanwhile = partial(_play, background, transport)
    return Call(
        session_id,
        transport,
        output,
        resources,
        listener,
        past,
        spent,
        recording,
        room_lost_event(runner_args),
        ends_with_client,
        background,
        phone_transfer(runner_args, transport, resources.settings.voice.realtime),
        speaks_rtvi=not (serializer or by_phone),
        user_begins=serializer is not None,
        is_phone_call=by_phone,
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
        is_put_through: Whether the client was gone because a person has taken the call.

    Raises:
        ServiceUnavailable: If a service cannot be made.
    """

    def __init__(self, bot: Bot, call: Call) -> None:
        self.is_deserted = False
        self.has_lost_client = False
        self.is_put_through = False
        self._bot = bot
        self._call = call
        self._messages = to_messages(call.past)
        self._recording = Recording(call.recording) if call.recording else None
        self._said: list[Turn | ToolCall] = []
        self._transcript = TranscriptObserver(self._keep)
        self._interrupted_tools = InterruptedTools()
        self._meter = Meter(call.resources.settings.voice.prices, call.spent)
        self._announcements = call.resources.settings.voice.realtime.announcements
        self._transfer = (
            CallTransfer(call.put_through, self._regret_transfer) if call.put_through else None
        )
        self._prefill: Callable[[], Awaitable[None]] | None = None
        # Whether there is something that hears and speaks, and whether it has been told to begin.
        self._has_brain = asyncio.Event()
        self._is_open = False
        # Whether anybody has said anything since.
        self._has_begun = asyncio.Event()
        self._speech_to_speech: SpeechToSpeech | None = None
        brain: Sequence[FrameProcessor]
        assistant: FrameProcessor
        if bot.mode_in(call.resources.settings) == "speech_to_speech":
            self._speech_to_speech = SpeechToSpeech(
                bot,
                call.resources,
                keep_tool_call=self._keep_tool_call,
                meter=self._meter,
                is_recorded=self._recording is not None,
                listens_first=not (self._first_words or self._is_answer_due),
                make_chained=self._make_chained,
                follow=self._follow,
            )
            brain, assistant = [self._speech_to_speech.brain], self._speech_to_speech.assistant
        else:
            chained = self._make_chained(self._messages)
            brain, assistant = chained.processors, chained.assistant
            self._follow(chained, False)
            self._has_brain.set()
        if call.is_phone_call:
            brain = [*make_keypad(), *brain]
        recorder = self._recording.processor if self._recording else None
        behind = [it for it in (self._transfer, recorder) if it]
        self._pipeline = assemble(call.transport, brain, assistant, behind)
        self._state = VoiceState(self._publish)
        self._hang_up_observer = HangUpObserver(self._hang_up)
        tools = FunctionCallObserver(include_results=True)
        tools.add_event_handler("on_function_call_event", self._on_tool)
        metrics = UsageObserver()
        metrics.add_event_handler("on_service_usage", self._on_usage)
        self._worker = PipelineWorker(
            self._pipeline,
            params=PipelineParams(enable_metrics=True, enable_usage_metrics=True),
            observers=[
                CallObservers(
                    [
                        VoiceStateObserver(self._state),
                        TurnLatencyObserver(self._tell_latency),
                        self._transcript,
                        self._hang_up_observer,
                        tools,
                        metrics,
                    ]
                )
            ],
            app_resources=ToolResources(call.resources.desk, self._transfer),
            # What the model is told, knowledge included, is none of the client's business.
            rtvi_observer_params=RTVIObserverParams(
                user_llm_enabled=False,
                function_call_report_level={
                    "*": RTVIFunctionCallReportLevel.NAME
                    if call.speaks_rtvi
                    else RTVIFunctionCallReportLevel.ARGUMENTS
                },
            ),
            conversation_id=call.session_id,
            enable_tracing=call.resources.settings.voice.realtime.traces.endpoint is not None,
            # Calls are ended by whoever started them, who knows why.
            idle_timeout_secs=None,
        )
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

    @property
    def clients(self) -> int:
        """How many are there with the bot."""
        return len(self._clients)

    @property
    def is_ending(self) -> bool:
        """Whether the bot has begun to end the call, which its pipeline may never come to."""
        return self._hang_up_observer.is_ending

    @property
    def cost(self) -> float:
        """What the session has cost so far, as far as its services have prices."""
        return self._meter.cost

    @property
    def is_answering(self) -> bool:
        """Whether the bot thinks or speaks."""
        return self._state.current in (State.THINKING, State.SPEAKING)

    async def hold(self) -> None:
        """Talk until the client leaves or the task is cancelled.

        Both, and an error, end with the pipeline torn down; Pipecat's runner takes a cancellation
        for its own, so that this returns as if the client had left.

        Raises:
            ServiceUnavailable: If the bot does not get into its room, or is put out of it.
        """
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(self._worker)
        await self._state.move(State.CONNECTING)
        if self._recording:
            self._recording.start()
        try:
            # If one of them fails, there is no call.
            async with asyncio.TaskGroup() as group:
                beside = [
                    group.create_task(self._open()),
                    group.create_task(self._look_after_brain()),
                ]
                await runner.run()
                for task in beside:
                    task.cancel()
        finally:
            await self._transcript.close()
            if self._recording:
                await self._recording.close()
            await self._tell_of_client(False)
            await self._state.move(State.DISCONNECTED)
        if self._failure:
            raise self._failure

    async def say(self, words: str) -> None:
        """Have the bot say something of its own accord, after what it is saying; "" for nothing.

        While it has nothing to speak with, that is waited for, and given up after some time.
        """
        if not words:
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(self._has_brain.wait(), BRAIN_SECS)
            await self._worker.queue_frame(TTSSpeakFrame(words, append_to_context=True))

    async def finish(self, words: str) -> None:
        """Have the bot say its last words and end the call, so that `hold` returns."""
        await self.say(words)
        await self._worker.stop_when_done()

    async def break_off(self) -> None:
        """End the call although its pipeline does not come to the end that it was to come to.

        Pipecat lets a cancellation wait behind an EndFrame; this one overtakes it.
        """
        await self._pipeline.queue_frame(CancelFrame())

    @property
    def _first_words(self) -> str:
        """What the bot says of its own accord as the call begins; "" for nothing."""
        if self._call.user_begins:
            return ""
        return self._announcements.back if self._messages else self._bot.greeting

    @property
    def _is_answer_due(self) -> bool:
        """Whether the last word of the conversation was the user's."""
        return bool(self._messages) and self._messages[-1]["role"] != "assistant"

    async def _publish(self, state: State) -> None:
        if self._call.background:
            self._call.background.think(state is State.THINKING)
        if state in (State.PROCESSING, State.THINKING, State.SPEAKING):
            self._has_begun.set()
        await self._call.listener.on_state(state)
        if state not in (State.CONNECTING, State.DISCONNECTING, State.DISCONNECTED):
            await self._tell_client(client_messages.voice_state(state))

    async def _tell_latency(self, latency: TurnLatency) -> None:
        """Tell everybody how long the user waited, and for what."""
        await self._call.listener.on_answer(latency)
        logger.info(
            "answered after {:.0f} ms{}: {}",
            latency.total_ms,
            ", made ahead" if latency.made_ahead else "",
            ", ".join(f"{name} {ms:.0f}" for name, ms in latency.stages_ms.items()),
        )
        if tracer := self._worker.turn_trace_observer:
            trace_answer(latency, tracer.get_current_turn_context())
        await self._tell_client(client_messages.turn_latency(latency))

    async def _tell_client(self, message: dict[str, Any]) -> None:
        await self._worker.rtvi.send_server_message(message)

    @property
    def _is_being_put_through(self) -> bool:
        return self._transfer is not None and self._transfer.is_under_way

    async def _regret_transfer(self) -> None:
        """Tell the caller that nobody takes their call, and what becomes of what they want."""
        await self.say(self._announcements.not_put_through)

    async def _hang_up(self) -> None:
        """Break off whatever is being said, because the client wants to hear no more."""
        self.is_put_through = self._is_being_put_through
        await self._state.move(State.DISCONNECTING)
        await self._worker.cancel(reason="the client has hung up")

    async def _on_tool(self, _: object, event: FunctionCallEvent) -> None:
        if call := tool_call(event):
            await self._transcript.tell_tool(call)
            if call.outcome in (ToolOutcome.FAILED, ToolOutcome.TIMED_OUT):
                await self._tell_client(client_messages.tool_failed(call))
            if to := transfer_in(call.result):
                await self._tell_client(client_messages.put_through(to))

    async def _on_usage(self, _: object, record: ServiceUsageRecord) -> None:
        await self._call.listener.on_usage(self._meter.take(record))

    async def _keep_tool_call(self, call: ToolCall) -> None:
        self._interrupted_tools.note(call)
        # What the tool is called for was said before, and is to be written down before.
        await self._transcript.settle()
        await self._call.listener.keep_tool_call(call)

    async def _keep(self, happened: Turn | ToolCall) -> None:
        """Tell what was said or done, and remember it for a brain that may come after this one."""
        if self._speech_to_speech:
            self._said.append(happened)
        if isinstance(happened, Turn):
            await self._call.listener.on_turn(happened)
        else:
            await self._call.listener.on_tool_call(happened)

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
                is_told = self._state.current is State.DISCONNECTING
                self.has_lost_client = not (is_told or self._call.is_phone_call)
                self.is_put_through = self._is_being_put_through
                await self._worker.cancel(reason="the client has left")
            else:
                await self._tell_of_client(False)
                await self._worker.queue_frame(InterruptionWorkerFrame())

        if isinstance(self._call.transport, SocketTransport):

            @self._call.transport.event_handler("on_audio_dropped")
            async def on_audio_dropped(_transport: BaseTransport, secs: float) -> None:
                await self._call.listener.on_audio_dropped(secs)

        @self._worker.rtvi.event_handler("on_client_ready")
        async def on_client_ready(_rtvi: object) -> None:
            self._ready.set()

    def _make_chained(self, messages: Sequence[LLMContextMessage]) -> Brain:
        return make_chained(
            self._bot,
            self._call.output,
            self._call.resources,
            session_id=self._call.session_id,
            messages=messages,
            keep_tool_call=self._keep_tool_call,
            report_failure=self._call.listener.on_failure,
            meter=self._meter,
            is_recorded=self._recording is not None,
            transfer=self._transfer,
        )

    def _follow(self, brain: Brain, is_speech_to_speech: bool) -> None:
        """Go by what a brain tells of turns from now on."""
        self._transcript.follow(brain.assistant, is_speech_to_speech=is_speech_to_speech)
        self._interrupted_tools.follow(brain.assistant)
        self._prefill = brain.prefill
        self._user = brain.user

        @brain.user.event_handler("on_user_turn_stopped")
        async def on_user_turn_stopped(_user: object, _strategy: object, message: Any) -> None:
            if self._state.current is not State.PROCESSING:
                return
            # No frame tells that a turn held no words, and will not be answered. Speech to speech,
            # it is answered before its words are known.
            if is_speech_to_speech:
                await self._state.move(State.THINKING)
            elif not message.content:
                await self._state.move(State.LISTENING)

        @brain.user.event_handler("on_user_turn_idle")
        async def on_user_turn_idle(_user: object) -> None:
            await self._ask_whether_anybody_is_there()

    async def _ask_whether_anybody_is_there(self) -> None:
        """Ask that, or end the call if nobody has answered."""
        if not self._clients:
            return
        messages = self._user.context.get_messages()
        said = sum(isinstance(m, dict) and m["role"] == "user" for m in messages)
        # Without a question that is heard, Pipecat would not wait a second time.
        if self._asked_after == said or not self._announcements.anybody_there:
            self.is_deserted = True
            await self.finish(self._announcements.nobody_there)
        else:
            self._asked_after = said
            await self.say(self._announcements.anybody_there)

    async def _look_after_brain(self) -> None:
        """Let the language model read its instructions while the greeting is spoken.

        Speech to speech, make sure that there is a service, and go on without it when it fails.
        """
        try:
            if self._speech_to_speech:
                await self._speech_to_speech.begin(self._messages)
                self._has_brain.set()
            if self._speech_to_speech and self._speech_to_speech.has_service:
                await self._speech_to_speech.until_failed()
                self._has_brain.clear()
                await self._speech_to_speech.give_up(self._fall_silent, self._recall)
                self._has_brain.set()
                if self._is_open:
                    await self._go_on()
            if self._prefill:
                await self._prefill()
        except ServiceUnavailable as error:
            await self._fail(error.message)

    async def _fall_silent(self) -> None:
        """Stop what the bot is saying, and wait until it is known what of it was heard."""
        await self._worker.queue_frame(InterruptionFrame())
        await self._worker.flush_pipeline()

    async def _recall(self) -> list[LLMStandardMessage]:
        """Return the conversation until now, in which it can be gone on with."""
        await self._transcript.close()
        calls: dict[str, int] = {}
        past: list[Turn | ToolCall] = list(self._call.past)
        for happened in self._said:
            if isinstance(happened, ToolCall) and happened.call_id in calls:
                at = calls[happened.call_id]
                past[at] = replace(happened, arguments=cast(ToolCall, past[at]).arguments)
                continue
            if isinstance(happened, ToolCall):
                calls[happened.call_id] = len(past)
            past.append(happened)
        self._messages = to_messages(past)
        return self._messages

    async def _go_on(self) -> None:
        """Tell the user that something was lost, and answer what waits for an answer."""
        if self._first_words and not self._messages:
            return await self.say(self._first_words)
        await self.say(self._announcements.lost)
        if self._is_answer_due:
            await self._worker.queue_frame(LLMRunFrame())

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
        if self._call.speaks_rtvi:
            try:
                await asyncio.wait_for(self._ready.wait(), CLIENT_READY_TIMEOUT_SECS)
            except TimeoutError:
                logger.debug("the client speaks no RTVI, or is slow: not waiting for it")
        await self._has_brain.wait()
        await self._state.move(State.LISTENING)
        await self._tell_of_client(True)
        self._is_open = True
        if self._is_answer_due:
            await self._worker.queue_frame(LLMRunFrame())
        else:
            await self.say(self._first_words)
        await self._await_first_word()

    async def _await_first_word(self) -> None:
        """Take a user for idle whom the bot says nothing to; Pipecat does so behind its words."""
        secs = self._call.resources.settings.voice.realtime.limits.idle_timeout
        while not self._has_begun.is_set():
            try:
                await asyncio.wait_for(self._has_begun.wait(), secs)
            except TimeoutError:
                await self._ask_whether_anybody_is_there()
