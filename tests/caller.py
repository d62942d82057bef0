"""A caller in virtual time: what STT and voice activity detection tell, and what is made of it."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pipecat.frames.frames import (
    EagerTranscriptionFrame,
    EndFrame,
    Frame,
    FunctionCallFromLLM,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    STTMetadataFrame,
    TranscriptionFrame,
    UserStoppedSpeakingFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.metrics.metrics import TurnMetricsData
from pipecat.observers.base_observer import BaseObserver, FramePushed
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregator,
    LLMUserAggregatorParams,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.processors.frameworks.rtvi.frames import RTVIServerMessageFrame
from pipecat.services.llm_service import FunctionCallParams, LLMService
from pipecat.turns.user_turn_strategies import UserTurnStrategies
from pipecat.workers.runner import WorkerRunner

from engines.reading import Reading
from processors.barge_in import BargeInStartStrategy
from processors.eager_turn import Holds
from processors.failover import FailoverSwitcher
from processors.llm_failover import watched_llm
from processors.push_to_talk import FinalAudioFrame
from processors.turn_end import EagerTurnStopStrategy
from processors.words_judge import WordsJudge
from tests import virtual_time
from tests.loudspeaker import Tongue

HOLDS = Holds(sure=0.4, likely=0.8, cut=1.5)
DOWN = FrameDirection.DOWNSTREAM
VAD_SECS = 0.2
MIN_SPEECH_SECS = 0.5
THINKING_SECS = 0.3
JUDGING_SECS = 0.06
READING_SECS = 0.1
SETTLED_SECS = 5.0
TOOL_WORD = "book"


class Judge:
    """Smart Turn's place, with a judgement that the test chooses."""

    def __init__(self) -> None:
        self.probability = 0.98

    def set_sample_rate(self, sample_rate: int) -> None: ...

    def append_audio(self, buffer: bytes, is_speech: bool) -> object: ...

    def update_vad_start_secs(self, vad_start_secs: float) -> None: ...

    async def judge(self) -> TurnMetricsData | None:
        await asyncio.sleep(0.05)
        return TurnMetricsData(
            processor="judge",
            is_complete=self.probability > 0.5,
            probability=self.probability,
            e2e_processing_time_ms=50,
        )

    def clear(self) -> None: ...

    async def cleanup(self) -> None: ...


class Reader:
    """Reads along, slowly."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.read: list[str] = []

    async def __call__(self, said: str) -> None:
        self.begun.append(said)
        await asyncio.sleep(READING_SECS)
        self.read.append(said)


class Linguist:
    """A language model's place that judges words, slowly, as the test chooses."""

    def __init__(self) -> None:
        self.probability: float | None = None
        self.secs = JUDGING_SECS
        self.asked: list[str] = []
        self.on_asked: Callable[[], object] = list

    async def ask(self, said: str) -> float | None:
        self.asked.append(said)
        self.on_asked()
        await asyncio.sleep(self.secs)
        return self.probability


class Parrot(LLMService[Any]):
    """Answers with the user's last words, after a while; where these want a tool, behind that."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.looked_up: list[str] = []
        self.register_function("look_up", self._look_up)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMContextFrame):
            said = said_by(frame.context, "user")[-1]
            self.asked.append(said)
            await self.push_frame(LLMFullResponseStartFrame())
            await asyncio.sleep(THINKING_SECS)
            if TOOL_WORD in said and frame.context.messages[-1]["role"] == "user":
                call = FunctionCallFromLLM("look_up", said, {"what": said}, frame.context)
                await self.run_function_calls([call])
            else:
                await self.push_frame(LLMTextFrame(f"You said: {said}"))
            await self.push_frame(LLMFullResponseEndFrame())
        else:
            await self.push_frame(frame, direction)

    async def _look_up(self, params: FunctionCallParams) -> None:
        self.looked_up.append(params.arguments["what"])
        await params.result_callback({"found": True})


class SlowLookup(FrameProcessor):
    """Keeps each question for a while on its way to the LLM; what withdraws it overtakes it."""

    def __init__(self, secs: Callable[[], float]) -> None:
        super().__init__()
        self._secs = secs

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMContextFrame):
            await asyncio.sleep(self._secs())
        await self.push_frame(frame, direction)


@dataclass(eq=False)
class Spoken(BaseObserver):
    """Notes what comes out behind the LLMs, when turns end, and what clients are told."""

    llms: Sequence[LLMService[Any]]
    answers: list[tuple[float, str]] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)
    told: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    async def on_push_frame(self, data: FramePushed) -> None:
        now = asyncio.get_running_loop().time()
        if data.source in self.llms and isinstance(data.frame, LLMTextFrame):
            self.answers.append((now, data.frame.text))
        if isinstance(data.frame, RTVIServerMessageFrame) and data.first_push:
            self.told.append(data.frame.data)
        is_end = isinstance(data.frame, UserStoppedSpeakingFrame)
        if is_end and isinstance(data.source, LLMUserAggregator) and data.direction is DOWN:
            self.ends.append(now)


class Caller:
    """Says things, as an STT service and a voice activity detector would tell of them."""

    def __init__(
        self,
        worker: PipelineWorker,
        judge: Judge,
        linguist: Linguist,
        reader: Reader,
        spoken: Spoken,
        llm: Any,
        tongue: Tongue,
    ) -> None:
        self.tongue = tongue
        self.judge = judge
        self.linguist = linguist
        self.reader = reader
        self.spoken = spoken
        self.llm = llm
        self._worker = worker
        self._has_microphone = False

    async def send(self, *frames: Frame) -> None:
        for frame in frames:
            await self._worker.queue_frame(frame)
        # Frames of different kinds overtake each other; these come in their order.
        await asyncio.sleep(0.001)

    async def start(self) -> None:
        await self.send(VADUserStartedSpeakingFrame(start_secs=0.1, timestamp=time.time()))

    async def stop(self) -> None:
        await asyncio.sleep(VAD_SECS)
        await self.send(VADUserStoppedSpeakingFrame(stop_secs=VAD_SECS, timestamp=time.time()))

    async def hear(self, secs: float, *, loud: bool) -> None:
        """Send what the microphone hears, in real time."""
        self._has_microphone = True
        level = 8000 if loud else 0
        audio = np.full(320, level, np.int16).tobytes()
        for _ in range(round(secs / 0.02)):
            frame = InputAudioRawFrame(audio=audio, sample_rate=16_000, num_channels=1)
            await self._worker.queue_frame(frame)
            await asyncio.sleep(0.02)

    async def speak(self) -> None:
        """Be heard for a second, after a silence."""
        await self.start()
        await self.hear(0.5, loud=False)
        await self.hear(1.0, loud=True)

    async def ask(self, text: str) -> None:
        """Say something that is heard, and be silent for as long as it takes to notice that."""
        await self.speak()
        await self.hear(0.15, loud=False)
        await self.eager(text)
        await self.hear(0.05, loud=False)
        await self.send(VADUserStoppedSpeakingFrame(stop_secs=VAD_SECS))
        await self.final(text)

    async def interim(self, text: str) -> None:
        await self.send(InterimTranscriptionFrame(text, "user", "now"))

    async def eager(self, text: str, result: Any = None) -> None:
        await self.send(EagerTranscriptionFrame(text, "user", "now", result=result))

    async def final(self, text: str, result: Any = None, *, finalized: bool = True) -> None:
        await self.send(TranscriptionFrame(text, "user", "now", result=result, finalized=finalized))

    async def say(self, text: str, trails: float | None = None) -> float:
        """Say something, and pause; return when the last sound was."""
        result = Reading(text, trails)
        await self.start()
        await asyncio.sleep(1.0)
        silent_since = asyncio.get_running_loop().time()
        await asyncio.sleep(0.15)
        await self.eager(text, result)
        await asyncio.sleep(0.05)
        await self.send(VADUserStoppedSpeakingFrame(stop_secs=VAD_SECS, timestamp=time.time()))
        await self.final(text, result)
        return silent_since

    async def release(self) -> None:
        """Say that this was all, as whoever lets go of a button does."""
        await self.send(FinalAudioFrame(bytes(640), 16_000, 1))

    async def until_end(self) -> None:
        """Wait until the turn ends."""
        while not self.spoken.ends:  # noqa: ASYNC110 - time is virtual
            await asyncio.sleep(0.001)

    async def settle(self) -> None:
        if self._has_microphone:
            await self.hear(SETTLED_SECS, loud=False)
        else:
            await asyncio.sleep(SETTLED_SECS)


Script = Callable[[Caller], Awaitable[None]]


def play(
    script: Script,
    *,
    ahead_from: float = 0.0,
    min_delay: float = 0.0,
    max_delay: float = 3.0,
    make_llms: Callable[[], Sequence[LLMService[Any]]] = lambda: [watched_llm(Parrot)()],
    lookup_secs: Callable[[], float] = lambda: 0.0,
) -> tuple[Caller, LLMContext]:
    """Run a script of frames through a user aggregator, an LLM and an assistant aggregator.

    With several LLMs, each stands in for those before it. Questions come to them `lookup_secs`
    late.
    """

    async def main() -> tuple[Caller, LLMContext]:
        judge, linguist, reader = Judge(), Linguist(), Reader()
        llms, context = make_llms(), LLMContext()
        llm = llms[0] if len(llms) == 1 else FailoverSwitcher(list(llms))
        output = Tongue()
        strategy = EagerTurnStopStrategy(
            output,
            judge=judge,
            words_judge=WordsJudge(linguist.ask),
            read_along=reader,
            holds=HOLDS,
            ahead_from=ahead_from,
            min_delay_secs=min_delay,
            max_delay_secs=max_delay,
        )
        params = LLMUserAggregatorParams(
            user_turn_strategies=UserTurnStrategies(
                start=[BargeInStartStrategy(output, min_speech_secs=MIN_SPEECH_SECS)],
                stop=[strategy],
            ),
            empty_user_turn=None,
        )
        turns = LLMContextAggregatorPair(context, user_params=params)
        spoken = Spoken(llms)
        worker = PipelineWorker(
            Pipeline([turns.user(), SlowLookup(lookup_secs), llm, turns.assistant()]),
            observers=[spoken],
            idle_timeout_secs=None,
        )
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(worker)
        running = asyncio.create_task(runner.run())
        caller = Caller(worker, judge, linguist, reader, spoken, llms[0], output)
        await caller.send(STTMetadataFrame(service_name="stt", ttfs_p99_latency=0.8))
        await script(caller)
        await caller.settle()
        await worker.queue_frame(EndFrame())
        await running
        return caller, context

    return virtual_time.run(main())


def said_by(context: LLMContext, role: str) -> list[str]:
    return [str(m["content"]) for m in context.messages if m["role"] == role and "content" in m]
