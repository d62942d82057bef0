"""A call over a protocol of JSON messages, in virtual time: a real pipeline and its transport.

What hears, thinks and speaks is a script: it pushes the frames that services push.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import numpy as np
from pipecat.frames.frames import (
    AggregatedTextFrame,
    ErrorFrame,
    Frame,
    FunctionCallFromLLM,
    FunctionCallInProgressFrame,
    FunctionCallResultFrame,
    FunctionCallsStartedFrame,
    InterimTranscriptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    OutputAudioRawFrame,
    TextType,
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.processors.frameworks.rtvi.frames import RTVIServerMessageFrame
from pipecat.processors.frameworks.rtvi.observer import (
    RTVIFunctionCallReportLevel,
    RTVIObserverParams,
)
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams
from pipecat.workers.runner import WorkerRunner
from starlette.types import Message
from starlette.websockets import WebSocket

from bots.protocols import JsonCall, make_serializer
from processors.protocols.json_transport import JsonTransport
from processors.push_to_talk import NOTHING_SAID
from processors.stray_speech import StraySpeechProcessor
from processors.voice_state import State, VoiceState, VoiceStateObserver
from tests import virtual_time
from tests.asyncapi import check

RATE_HZ = 24_000
SOUNDS = ("audio_response", "tts_audio", "audio")
SETTLED_SECS = 20.0
TOLD_SECS = 0.01
"""Until what was pushed has been told."""


class Wire:
    """What a server is to a WebSocket: a client at its other end.

    Attributes:
        said: What was sent to the client, and when, in seconds.
        is_closed: Whether it was closed.
    """

    def __init__(self) -> None:
        self.said: list[tuple[float, dict[str, Any]]] = []
        self.is_closed = False
        self._sent: asyncio.Queue[Message] = asyncio.Queue()
        self._sent.put_nowait({"type": "websocket.connect"})

    def send(self, data: str | bytes) -> None:
        kind = "text" if isinstance(data, str) else "bytes"
        self._sent.put_nowait({"type": "websocket.receive", kind: data})

    async def open(self) -> WebSocket:
        async def receive() -> Message:
            return await self._sent.get()

        async def send(message: Message) -> None:
            self.is_closed = message["type"] == "websocket.close"
            if message["type"] == "websocket.send":
                now = asyncio.get_running_loop().time()
                self.said.append((now, json.loads(message["text"])))

        websocket = WebSocket({"type": "websocket"}, receive, send)
        await websocket.accept()
        return websocket


class Ears(FrameProcessor):
    """Stands where the user aggregator does."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)


class Call:
    """What happens in a call, one after the other; what is said takes its time."""

    def __init__(
        self, worker: PipelineWorker, ears: FrameProcessor, wire: Wire, state: VoiceState
    ) -> None:
        self.wire = wire
        self._ears = ears
        self._worker = worker
        self._state = state
        self._segments = 0

    async def push(self, *frames: Frame) -> None:
        for frame in frames:
            await self._worker.queue_frame(frame)
            # Frames of different kinds overtake each other; these come in their order.
            await asyncio.sleep(0.001)
        await asyncio.sleep(TOLD_SECS)

    async def send(self, message: object) -> None:
        """Be the client."""
        self.wire.send(message if isinstance(message, str | bytes) else json.dumps(message))
        await asyncio.sleep(TOLD_SECS)

    async def user_starts(self, *, written: Sequence[str] = ()) -> None:
        """Begin to speak, as the user aggregator tells of it.

        Args:
            written: What the language model writes at that moment: before, and between the two
                frames that tell of it.
        """
        before, between = [LLMTextFrame(text) for text in written] or (None, None)
        if before:
            await self._ears.push_frame(before)
        await self._ears.broadcast_frame(UserStartedSpeakingFrame)
        if between:
            await self._ears.push_frame(between)
        await self._ears.broadcast_interruption()
        await asyncio.sleep(TOLD_SECS)

    async def user_stops(self) -> None:
        await self.push(UserStoppedSpeakingFrame())

    async def interim(self, text: str) -> None:
        await self.push(InterimTranscriptionFrame(text, "user", "now"))

    async def final(self, text: str) -> None:
        await self.push(TranscriptionFrame(text, "user", "now"))

    async def ask(self, text: str) -> None:
        """Say something, to its end."""
        await self.user_starts()
        await self.interim(text.rpartition(" ")[0])
        await self.final(text)
        await self.user_stops()

    async def user_says_nothing(self) -> None:
        """Make a noise, which the bot does not answer."""
        await self.user_starts()
        await self.user_stops()
        await self.listen()

    async def listen(self) -> None:
        """Listen again, as the bot does that has heard no words."""
        await self._state.move(State.LISTENING)
        await asyncio.sleep(TOLD_SECS)

    async def nothing_was_said(self) -> None:
        """Tell, as the end of a turn does, that there was no speech in an utterance."""
        await self.push(RTVIServerMessageFrame({"type": NOTHING_SAID}))

    async def write(self, *texts: str, is_all: bool = True) -> None:
        await self.push(LLMFullResponseStartFrame(), *map(LLMTextFrame, texts))
        if is_all:
            await self.push(LLMFullResponseEndFrame())

    async def write_on(self, *texts: str) -> None:
        await self.push(*map(LLMTextFrame, texts), LLMFullResponseEndFrame())

    async def begin_to_speak(self, text: str, secs: float = 1.0) -> None:
        """Hand a speech to the transport, as a voice does that is fast."""
        self._segments += 1
        segment = AggregatedTextFrame(text, TextType.SENTENCE)
        segment.will_be_spoken = True
        await self.push(TTSStartedFrame(), segment, voice(secs), TTSStoppedFrame())

    async def speak(self, text: str, secs: float = 1.0) -> None:
        """The same, and wait until it is heard."""
        await self.begin_to_speak(text, secs)
        await asyncio.sleep(secs)

    async def speak_haltingly(self, gap_secs: float) -> None:
        """Speak as a voice does that is slower than it is heard."""
        await self.push(TTSStartedFrame(), voice(1.0))
        await asyncio.sleep(1.0 + gap_secs)
        await self.push(voice(1.0), TTSStoppedFrame())
        await asyncio.sleep(1.0)

    async def speak_of_late(self, text: str) -> None:
        """Speak as a voice does that tells its words when they have been heard."""
        word = TTSTextFrame(text, TextType.SENTENCE)
        word.will_be_spoken = True
        await self.push(TTSStartedFrame(), voice(1.0), word, TTSStoppedFrame())
        await asyncio.sleep(1.0)

    async def sound(self) -> None:
        """Speak as a voice does that tells no words."""
        await self.push(TTSStartedFrame(), voice(1.0), TTSStoppedFrame())

    async def hum(self) -> None:
        """Play what is heard behind the bot's voice."""
        await self.push(OutputAudioRawFrame(voice(1.0).audio, RATE_HZ, 1))

    async def fail(self, message: str) -> None:
        """Fail as a service does."""
        await self._worker.queue_frame(ErrorFrame(message), FrameDirection.UPSTREAM)
        await asyncio.sleep(TOLD_SECS)

    async def answer(self, text: str) -> None:
        await self.write(text)
        await self.speak(text)

    async def tool_starts(self, name: str, **args: Any) -> None:
        call = FunctionCallFromLLM(name, name, args, LLMContext())
        await self.push(
            FunctionCallsStartedFrame([call]), FunctionCallInProgressFrame(name, name, args)
        )

    async def tool_ends(self, name: str) -> None:
        await self.push(FunctionCallResultFrame(name, name, {}, {"it": "is"}))

    async def settle(self, secs: float = SETTLED_SECS) -> None:
        await asyncio.sleep(secs)


Script = Callable[[Call], Awaitable[None]]


def voice(secs: float) -> TTSAudioRawFrame:
    """Return a sound for so long."""
    pcm = np.full(round(secs * RATE_HZ), 1000, np.int16)
    return TTSAudioRawFrame(pcm.tobytes(), RATE_HZ, 1)


def play(protocol: str, script: Script) -> list[tuple[float, dict[str, Any]]]:
    """Run a script in a call; return what was sent to its client, and when."""

    async def main() -> list[tuple[float, dict[str, Any]]]:
        wire = Wire()
        websocket = await wire.open()
        serializer = make_serializer(protocol, JsonCall(websocket.send_text, "s-1", "grace"))
        transport = JsonTransport(
            websocket,
            FastAPIWebsocketParams(
                audio_in_enabled=True,
                audio_out_enabled=True,
                audio_out_10ms_chunks=2,
                serializer=serializer,
                allowed_origins=[],
            ),
        )

        async def publish(state: State) -> None:
            await worker.rtvi.send_server_message({"type": "voice-state", "state": state.value})

        ears, state = Ears(), VoiceState(publish)
        worker = PipelineWorker(
            Pipeline([transport.input(), ears, StraySpeechProcessor(), transport.output()]),
            observers=[VoiceStateObserver(state)],
            rtvi_observer_params=RTVIObserverParams(
                function_call_report_level={"*": RTVIFunctionCallReportLevel.ARGUMENTS}
            ),
            idle_timeout_secs=None,
        )
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(worker)
        await state.move(State.CONNECTING)
        running = asyncio.create_task(runner.run())
        call = Call(worker, ears, wire, state)
        await call.settle(1)
        await state.move(State.LISTENING)
        await script(call)
        await call.settle()
        await worker.cancel()
        await running
        return wire.said

    said = virtual_time.run(main())
    for _, message in said:
        check(protocol, message)
    return said


def told(said: list[tuple[float, dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return the messages, of each stretch of sound but one, and that without what is in it."""
    messages: list[dict[str, Any]] = []
    for _, message in said:
        if message["type"] in SOUNDS:
            message = {"type": message["type"]}
            if messages and messages[-1] == message:
                continue
        messages.append(message)
    return messages
