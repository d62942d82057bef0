"""Ends of turns, and answers made ahead of them, by what a real aggregator and LLM make of frames.

Everything runs in virtual time, counted from the last sound of the user.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from pipecat.frames.frames import (
    EagerEndOfTurnCancelFrame,
    EagerTranscriptionFrame,
    EndFrame,
    Frame,
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
    LLMUserAggregatorParams,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.llm_service import LLMService
from pipecat.turns.user_turn_strategies import UserTurnStrategies
from pipecat.workers.runner import WorkerRunner

from engines.reading import Ending, Reading
from processors.barge_in import BargeInStartStrategy
from processors.eager_turn import Holds
from processors.turn_end import EagerTurnStopStrategy
from tests import virtual_time

HOLDS = Holds(sure=0.4, likely=0.8, cut=1.5)
VAD_SECS = 0.2
THINKING_SECS = 0.3
READING_SECS = 0.1
SETTLED_SECS = 5.0


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


class Parrot(LLMService[Any]):
    """Answers with the user's last words, after a while."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMContextFrame):
            said = str(frame.context.messages[-1]["content"])
            self.asked.append(said)
            await self.push_frame(LLMFullResponseStartFrame())
            await asyncio.sleep(THINKING_SECS)
            await self.push_frame(LLMTextFrame(f"You said: {said}"))
            await self.push_frame(LLMFullResponseEndFrame())
        else:
            await self.push_frame(frame, direction)


@dataclass(eq=False)
class Spoken(BaseObserver):
    """Notes what comes out behind the LLM, and when turns end."""

    llm: Parrot
    answers: list[tuple[float, str]] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    async def on_push_frame(self, data: FramePushed) -> None:
        now = asyncio.get_running_loop().time()
        if data.source is self.llm and isinstance(data.frame, LLMTextFrame):
            self.answers.append((now, data.frame.text))
        if isinstance(data.frame, UserStoppedSpeakingFrame) and data.destination is self.llm:
            self.ends.append(now)


class Caller:
    """Says things, as an STT service and a voice activity detector would tell of them."""

    def __init__(
        self, worker: PipelineWorker, judge: Judge, reader: Reader, spoken: Spoken, llm: Parrot
    ) -> None:
        self.judge = judge
        self.reader = reader
        self.spoken = spoken
        self.llm = llm
        self._worker = worker

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

    async def interim(self, text: str) -> None:
        await self.send(InterimTranscriptionFrame(text, "user", "now"))

    async def eager(self, text: str, result: Any = None) -> None:
        await self.send(EagerTranscriptionFrame(text, "user", "now", result=result))

    async def final(self, text: str, result: Any = None, *, finalized: bool = True) -> None:
        await self.send(TranscriptionFrame(text, "user", "now", result=result, finalized=finalized))

    async def say(self, text: str, ending: Ending | None = None) -> float:
        """Say something, and pause; return when the last sound was."""
        result = Reading(text, ending)
        await self.start()
        await asyncio.sleep(1.0)
        silent_since = asyncio.get_running_loop().time()
        await asyncio.sleep(0.15)
        await self.eager(text, result)
        await asyncio.sleep(0.05)
        await self.send(VADUserStoppedSpeakingFrame(stop_secs=VAD_SECS, timestamp=time.time()))
        await self.final(text, result)
        return silent_since

    async def settle(self) -> None:
        await asyncio.sleep(SETTLED_SECS)


Script = Callable[[Caller], Awaitable[None]]


def play(
    script: Script, *, min_delay: float = 0.0, max_delay: float = 3.0
) -> tuple[Caller, LLMContext]:
    """Run a script of frames through a user aggregator, an LLM and an assistant aggregator."""

    async def main() -> tuple[Caller, LLMContext]:
        judge, reader, llm, context = Judge(), Reader(), Parrot(), LLMContext()
        strategy = EagerTurnStopStrategy(
            judge=judge,
            read_along=reader,
            holds=HOLDS,
            min_delay_secs=min_delay,
            max_delay_secs=max_delay,
        )
        params = LLMUserAggregatorParams(
            user_turn_strategies=UserTurnStrategies(
                start=[BargeInStartStrategy(min_speech_secs=0.5)], stop=[strategy]
            ),
            empty_user_turn=None,
        )
        turns = LLMContextAggregatorPair(context, user_params=params)
        spoken = Spoken(llm)
        worker = PipelineWorker(
            Pipeline([turns.user(), llm, turns.assistant()]),
            observers=[spoken],
            idle_timeout_secs=None,
        )
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(worker)
        running = asyncio.create_task(runner.run())
        caller = Caller(worker, judge, reader, spoken, llm)
        await caller.send(STTMetadataFrame(service_name="stt", ttfs_p99_latency=0.8))
        await script(caller)
        await caller.settle()
        await worker.queue_frame(EndFrame())
        await running
        return caller, context

    return virtual_time.run(main())


def said_by(context: LLMContext, role: str) -> list[str]:
    return [str(m["content"]) for m in context.messages if m["role"] == role]


class TestTheEndOfATurn:
    @pytest.mark.parametrize(
        ("text", "probability", "hold"),
        [
            ("When do you open?", 0.98, HOLDS.sure),
            ("When do you open?", 0.1, HOLDS.likely),
            ("I would like to", 0.98, HOLDS.likely),
            ("I would like to", 0.1, HOLDS.cut),
        ],
    )
    def test_comes_after_a_silence_that_is_as_long_as_it_is_doubtful(
        self, text: str, probability: float, hold: float
    ) -> None:
        silences: list[float] = []

        async def script(caller: Caller) -> None:
            caller.judge.probability = probability
            silent_since = await caller.say(text)
            await caller.settle()
            silences.append(caller.spoken.ends[0] - silent_since)

        play(script)
        assert silences == [pytest.approx(hold, abs=0.02)]

    @pytest.mark.parametrize(
        ("ending", "hold"),
        [
            (Ending(stops=0.97, trails=0.001), HOLDS.sure),
            (Ending(stops=0.9, trails=0.02), HOLDS.likely),
            (Ending(stops=0.2, trails=0.3), HOLDS.cut),
        ],
    )
    def test_goes_by_what_the_speech_recognition_says_of_it(
        self, ending: Ending, hold: float
    ) -> None:
        silences: list[float] = []

        async def script(caller: Caller) -> None:
            caller.judge.probability = 0.5
            silent_since = await caller.say("When do you open", ending)
            await caller.settle()
            silences.append(caller.spoken.ends[0] - silent_since)

        play(script)
        assert silences == [pytest.approx(hold, abs=0.02)]

    def test_goes_by_how_the_silence_sounds_at_its_beginning(self) -> None:
        silences: list[float] = []

        async def script(caller: Caller) -> None:
            await caller.speak()
            silent_since = asyncio.get_running_loop().time()
            caller.judge.probability = 0.1
            await caller.hear(0.15, loud=False)
            caller.judge.probability = 0.98
            await caller.eager("When do you open?")
            await caller.hear(0.05, loud=False)
            await caller.send(VADUserStoppedSpeakingFrame(stop_secs=VAD_SECS))
            await caller.final("When do you open?")
            await caller.settle()
            silences.append(caller.spoken.ends[0] - silent_since)

        play(script)
        assert silences == [pytest.approx(HOLDS.likely, abs=0.03)]

    @pytest.mark.parametrize(("late", "counted_late"), [(0.1, 0.0), (0.5, 0.35)])
    def test_is_counted_from_the_last_sound_though_silence_is_noticed_late(
        self, late: float, counted_late: float
    ) -> None:
        silences: list[float] = []

        async def script(caller: Caller) -> None:
            caller.judge.probability = 0.1
            await caller.speak()
            silent_since = asyncio.get_running_loop().time()
            await caller.hear(VAD_SECS + late, loud=False)
            await caller.send(
                VADUserStoppedSpeakingFrame(stop_secs=VAD_SECS, timestamp=time.time())
            )
            await caller.final("When do you open?")
            await caller.settle()
            silences.append(caller.spoken.ends[0] - silent_since)

        play(script)
        assert silences == [pytest.approx(HOLDS.likely + counted_late, abs=0.03)]

    def test_does_not_come_while_the_user_begins_to_speak_again(self) -> None:
        ends: list[int] = []

        async def script(caller: Caller) -> None:
            await caller.speak()
            await caller.hear(0.15, loud=False)
            await caller.eager("When do you open?")
            await caller.hear(0.05, loud=False)
            await caller.send(VADUserStoppedSpeakingFrame(stop_secs=VAD_SECS))
            await caller.final("When do you open?")
            await caller.hear(HOLDS.sure - VAD_SECS - 0.06, loud=False)
            await caller.hear(0.1, loud=True)
            ends.append(len(caller.spoken.ends))
            await caller.start()
            await caller.hear(0.5, loud=True)
            ends.append(len(caller.spoken.ends))
            await caller.hear(0.2, loud=False)
            await caller.stop()
            await caller.final("On Sunday?")
            await caller.settle()

        _, context = play(script)
        assert ends == [0, 0]
        assert said_by(context, "user") == ["When do you open? On Sunday?"]

    @pytest.mark.parametrize(
        ("text", "hold"), [("When do you open?", 0.6), ("I would like to", 0.7)]
    )
    def test_comes_neither_before_the_least_nor_after_the_longest_silence(
        self, text: str, hold: float
    ) -> None:
        silences: list[float] = []

        async def script(caller: Caller) -> None:
            silent_since = await caller.say(text)
            await caller.settle()
            silences.append(caller.spoken.ends[0] - silent_since)

        play(script, min_delay=0.6, max_delay=0.7)
        assert silences == [pytest.approx(hold, abs=0.02)]

    def test_without_words_there_is_none_and_nothing_is_answered(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.start()
            await caller.stop()

        caller, _ = play(script)
        assert not caller.llm.asked

    def test_words_that_come_late_end_the_turn_at_once(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.start()
            await caller.stop()
            await asyncio.sleep(2.0)
            await caller.final("When do you open?", finalized=False)
            await asyncio.sleep(0.1)
            assert caller.spoken.ends

        caller, _ = play(script)
        assert [text for _, text in caller.spoken.answers] == ["You said: When do you open?"]

    def test_a_transcript_that_may_go_on_is_waited_for(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.start()
            await caller.stop()
            await caller.final("When do you", finalized=False)
            await asyncio.sleep(0.3)
            await caller.final("open?", finalized=False)

        caller, context = play(script)
        assert said_by(context, "user") == ["When do you open?"]
        assert len(caller.spoken.answers) == 1


class TestAnAnswerMadeAhead:
    def test_is_heard_as_soon_as_the_turn_ends_and_asked_for_once(self) -> None:
        waits: list[float] = []

        async def script(caller: Caller) -> None:
            await caller.say("When do you open?")
            await caller.settle()
            waits.append(caller.spoken.answers[0][0] - caller.spoken.ends[0])

        caller, context = play(script)
        # The LLM took 0.3 s, of which the user's silence had covered 0.25: the words came after
        # 0.15 s, and the turn ended after 0.4.
        assert waits == [pytest.approx(0.05, abs=0.02)]
        assert caller.llm.asked == ["When do you open?"]
        assert said_by(context, "user") == ["When do you open?"]
        assert said_by(context, "assistant") == ["You said: When do you open?"]

    def test_is_never_heard_if_the_user_goes_on(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.say("I would like an appointment.")
            await asyncio.sleep(0.1)
            await caller.say("On Tuesday.")

        caller, context = play(script)
        [(_, answer)] = caller.spoken.answers
        assert answer == "You said: I would like an appointment. On Tuesday."
        assert said_by(context, "user") == ["I would like an appointment. On Tuesday."]

    def test_is_kept_if_only_the_spelling_of_the_transcript_changes(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.start()
            await caller.eager("when do you open")
            await caller.stop()
            await caller.final("When do you open?")

        caller, context = play(script)
        assert caller.llm.asked == ["when do you open"]
        assert said_by(context, "user") == ["When do you open?"]

    def test_is_made_anew_if_the_words_change(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.start()
            await caller.eager("When do you")
            await caller.stop()
            await caller.final("When do you open?")

        caller, _ = play(script)
        assert [text for _, text in caller.spoken.answers] == ["You said: When do you open?"]

    def test_is_made_anew_after_a_noise(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.say("When do you open?")
            await caller.start()
            await caller.stop()

        caller, _ = play(script)
        assert caller.llm.asked == ["When do you open?"] * 2
        assert len(caller.spoken.answers) == 1

    def test_is_withdrawn_when_the_speech_recognition_takes_it_back(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.start()
            await caller.eager("I would like")
            await caller.send(EagerEndOfTurnCancelFrame())
            await caller.stop()
            await caller.final("I would like a blood test.")

        caller, _ = play(script)
        assert [text for _, text in caller.spoken.answers] == [
            "You said: I would like a blood test."
        ]

    def test_is_made_again_when_the_speech_recognition_takes_it_back_and_proposes_the_same(
        self,
    ) -> None:
        async def script(caller: Caller) -> None:
            await caller.start()
            await caller.eager("When do you open?")
            await caller.send(EagerEndOfTurnCancelFrame())
            await caller.eager("When do you open?")
            await caller.stop()
            await caller.final("When do you open?")

        caller, _ = play(script)
        assert caller.llm.asked == ["When do you open?"] * 2
        assert len(caller.spoken.answers) == 1

    def test_is_not_made_again_for_the_same_words_when_the_llm_takes_it_back(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.start()
            await caller.eager("Book me in.")
            await caller.send(EagerEndOfTurnCancelFrame())
            await caller.stop()
            await caller.final("Book me in.")
            await asyncio.sleep(HOLDS.sure - VAD_SECS - 0.05)
            asked.append(len(caller.llm.asked))

        asked: list[int] = []
        caller, _ = play(script)
        assert asked == [1]
        assert len(caller.spoken.answers) == 1

    def test_is_not_made_for_what_was_coughed_over_the_bot(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.eager("mhm")

        caller, _ = play(script)
        assert not caller.llm.asked


class TestWordsThatAreStillBeingSaid:
    def test_are_read_along_and_those_in_front_of_them(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.start()
            await caller.interim("I would")
            await asyncio.sleep(READING_SECS + 0.1)
            await caller.stop()
            await caller.final("I would like an appointment.")
            await caller.start()
            await caller.interim("on Tues")
            await asyncio.sleep(READING_SECS + 0.1)

        caller, _ = play(script)
        assert caller.reader.read == ["I would", "I would like an appointment. on Tues"]

    def test_are_left_out_while_others_are_read(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.start()
            await caller.interim("I would")
            await caller.interim("I would like")
            await asyncio.sleep(READING_SECS + 0.1)

        caller, _ = play(script)
        assert caller.reader.begun == ["I would"]

    def test_are_not_read_further_once_it_is_known_how_they_go_on(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.start()
            await caller.interim("When do")
            await caller.eager("When do you open?")
            await caller.interim("When do you open?")
            await asyncio.sleep(READING_SECS + 0.1)

        caller, _ = play(script)
        assert caller.reader.begun == ["When do"]
        assert caller.reader.read == []


def test_two_hundred_turns_of_random_timing_have_one_answer_each() -> None:
    chance = random.Random(1)
    committed: list[str] = []

    async def script(caller: Caller) -> None:
        for turn in range(200):
            pieces = [f"piece {turn} {i}." for i in range(chance.randint(1, 3))]
            committed.append(" ".join(pieces))
            caller.judge.probability = chance.random()
            for i, piece in enumerate(pieces):
                await speak(caller, piece, chance)
                if i < len(pieces) - 1:
                    # Shorter than any hold: the turn goes on.
                    await asyncio.sleep(chance.uniform(0.0, HOLDS.sure - VAD_SECS - 0.05))
            await caller.settle()

    async def speak(caller: Caller, piece: str, chance: random.Random) -> None:
        await caller.start()
        await asyncio.sleep(chance.uniform(0.1, 0.5))
        for _ in range(chance.randint(0, 2)):
            await caller.eager(piece[: chance.randint(1, len(piece))])
            await asyncio.sleep(chance.uniform(0.0, 0.3))
            if chance.random() < 0.5:
                await caller.send(EagerEndOfTurnCancelFrame())
        if chance.random() < 0.8:
            await caller.eager(piece)
        await caller.stop()
        # The transcript may overtake, or be overtaken by, what was sent before it.
        await caller.final(piece, finalized=chance.random() < 0.8)

    caller, context = play(script)
    assert said_by(context, "user") == committed
    # An answer is kept where only the punctuation of what it answers has changed.
    expected = [f"You said: {text}".replace(".", "") for text in committed]
    assert [text.replace(".", "") for _, text in caller.spoken.answers] == expected
    assert [text.replace(".", "") for text in said_by(context, "assistant")] == expected
