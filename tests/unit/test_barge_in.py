"""Turn starts by what a real user aggregator makes of frames."""

import time

import pytest
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    Frame,
    InterimTranscriptionFrame,
    InterruptionFrame,
    TranscriptionFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.observers.base_observer import BaseObserver, FramePushed
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.tests.utils import SleepFrame, run_test
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies

from processors.barge_in import WORDLESS_SECS, BargeInStartStrategy
from processors.output_pause import OutputPause
from processors.words_due import NothingSaidFrame
from tests.loudspeaker import Tongue

UNIT_SECS = 0.1
"""All times here are multiples of it, far apart enough for a busy machine."""


class Times(BaseObserver):
    """Notes when each kind of frame was first seen."""

    def __init__(self) -> None:
        super().__init__(observe_every_push=False)
        self.seen: list[tuple[type[Frame], float]] = []

    async def on_push_frame(self, data: FramePushed) -> None:
        # A broadcast goes both ways: one of them is enough.
        if data.direction is FrameDirection.DOWNSTREAM:
            self.seen.append((type(data.frame), time.monotonic()))

    def of(self, kind: type[Frame]) -> list[float]:
        return [at for seen, at in self.seen if seen is kind]


def user_starts() -> VADUserStartedSpeakingFrame:
    return VADUserStartedSpeakingFrame(start_secs=UNIT_SECS, timestamp=time.time())


def user_stops() -> VADUserStoppedSpeakingFrame:
    return VADUserStoppedSpeakingFrame(stop_secs=0.0, timestamp=time.time())


def transcript(text: str) -> TranscriptionFrame:
    return TranscriptionFrame(text, "user", "now", finalized=True)


def interim(text: str) -> InterimTranscriptionFrame:
    return InterimTranscriptionFrame(text, "user", "now")


def wait(units: int) -> SleepFrame:
    return SleepFrame(sleep=units * UNIT_SECS)


async def play(*frames: Frame, min_speech: int = 5, output: OutputPause | None = None) -> Times:
    times = Times()
    strategies = UserTurnStrategies(
        start=[
            BargeInStartStrategy(output or OutputPause(), min_speech_secs=min_speech * UNIT_SECS)
        ],
        stop=[SpeechTimeoutUserTurnStopStrategy()],
    )
    pair = LLMContextAggregatorPair(
        LLMContext(), user_params=LLMUserAggregatorParams(user_turn_strategies=strategies)
    )
    await run_test(pair.user(), frames_to_send=list(frames), observers=[times])
    return times


class TestBargeIn:
    async def test_while_the_bot_is_silent_a_turn_starts_with_the_first_speech(self) -> None:
        times = await play(user_starts(), wait(1))
        assert len(times.of(UserStartedSpeakingFrame)) == 1

    async def test_a_cough_does_not_stop_the_bot(self) -> None:
        times = await play(BotStartedSpeakingFrame(), user_starts(), wait(1), user_stops(), wait(6))
        assert not times.of(InterruptionFrame)
        assert not times.of(UserStartedSpeakingFrame)

    async def test_speech_with_words_stops_the_bot_after_its_minimum(self) -> None:
        times = await play(
            BotStartedSpeakingFrame(), user_starts(), wait(1), interim("I only want"), wait(6)
        )
        [start] = times.of(VADUserStartedSpeakingFrame)
        [stop] = times.of(InterruptionFrame)
        # A unit of speech had passed when the voice activity detector told of it.
        assert stop - start == pytest.approx(4 * UNIT_SECS, abs=UNIT_SECS)

    async def test_speech_that_goes_on_stops_the_bot_whatever_is_understood(self) -> None:
        times = await play(BotStartedSpeakingFrame(), user_starts(), wait(14))
        [start] = times.of(VADUserStartedSpeakingFrame)
        [stop] = times.of(InterruptionFrame)
        assert stop - start == pytest.approx(4 * UNIT_SECS + WORDLESS_SECS, abs=UNIT_SECS)

    async def test_a_word_that_is_understood_only_after_its_end_stops_the_bot(self) -> None:
        times = await play(
            BotStartedSpeakingFrame(),
            user_starts(),
            wait(5),
            user_stops(),
            wait(1),
            transcript("Stop."),
            wait(1),
        )
        assert len(times.of(InterruptionFrame)) == 1
        assert len(times.of(UserStartedSpeakingFrame)) == 1

    @pytest.mark.parametrize("said", ["Mm-hmm.", "Uh-huh.", "Okay, I see.", ""])
    async def test_one_who_only_listens_does_not_stop_the_bot(self, said: str) -> None:
        tongue = Tongue()
        times = await play(
            BotStartedSpeakingFrame(),
            user_starts(),
            wait(2),
            interim(said),
            wait(4),
            user_stops(),
            wait(1),
            *([transcript(said)] if said else []),
            wait(1),
            output=tongue,
        )
        assert not times.of(InterruptionFrame)
        assert tongue.told == ["pause", "resume"]

    async def test_a_user_who_outlasts_the_bot_gets_the_turn_when_it_stops(self) -> None:
        times = await play(
            BotStartedSpeakingFrame(), user_starts(), wait(1), BotStoppedSpeakingFrame(), wait(1)
        )
        assert len(times.of(UserStartedSpeakingFrame)) == 1

    async def test_what_was_coughed_over_the_bot_is_not_part_of_the_next_turn(self) -> None:
        times = await play(
            BotStartedSpeakingFrame(),
            user_starts(),
            user_stops(),
            transcript("mhm"),
            wait(1),
            BotStoppedSpeakingFrame(),
            wait(1),
        )
        assert not times.of(UserStartedSpeakingFrame)

    @pytest.mark.parametrize(("goes_on", "starts"), [(2, 1), (12, 0)])
    async def test_a_short_word_over_the_last_ones_of_the_bot_is_heard_and_no_other(
        self, goes_on: int, starts: int
    ) -> None:
        times = await play(
            BotStartedSpeakingFrame(),
            user_starts(),
            wait(2),
            user_stops(),
            transcript("No."),
            wait(goes_on),
            BotStoppedSpeakingFrame(),
            wait(1),
        )
        assert len(times.of(UserStartedSpeakingFrame)) == starts

    @pytest.mark.parametrize("is_slow", [True, False])
    async def test_words_of_the_turn_before_that_come_late_stop_the_bot(
        self, is_slow: bool
    ) -> None:
        first = [transcript("My number is five."), wait(1)]
        rest = [user_starts(), user_stops()]
        times = await play(
            user_starts(),
            user_stops(),
            wait(1),
            *([*rest, *first] if is_slow else [*first, *rest]),
            wait(8),
            BotStartedSpeakingFrame(),
            wait(1),
            transcript("zero."),
            wait(1),
        )
        assert len(times.of(UserStartedSpeakingFrame)) == 2

    @pytest.mark.parametrize("last", [NothingSaidFrame(), transcript("Good.")])
    async def test_a_word_over_the_bot_is_not_taken_for_one_that_comes_late(
        self, last: Frame
    ) -> None:
        times = await play(
            user_starts(),
            user_stops(),
            transcript("Well."),
            wait(1),
            user_starts(),
            user_stops(),
            wait(1),
            last,
            wait(8),
            BotStartedSpeakingFrame(),
            user_starts(),
            user_stops(),
            wait(1),
            transcript("So."),
            wait(1),
        )
        assert times.of(UserStoppedSpeakingFrame)
        assert len(times.of(UserStartedSpeakingFrame)) == 1


class TestPause:
    async def test_the_bot_is_paused_at_the_first_speech_and_goes_on_after_a_cough(self) -> None:
        tongue = Tongue()
        await play(
            BotStartedSpeakingFrame(),
            user_starts(),
            wait(1),
            user_stops(),
            wait(6),
            output=tongue,
        )
        assert tongue.told == ["pause", "resume"]

    async def test_a_paused_bot_that_is_interrupted_does_not_go_on(self) -> None:
        tongue = Tongue()
        await play(
            BotStartedSpeakingFrame(),
            user_starts(),
            interim("I only want"),
            wait(7),
            BotStoppedSpeakingFrame(),
            wait(1),
            output=tongue,
        )
        assert tongue.told == ["pause", "drop"]

    async def test_a_silent_bot_is_not_paused(self) -> None:
        tongue = Tongue()
        await play(user_starts(), wait(1), user_stops(), wait(1), output=tongue)
        assert "pause" not in tongue.told
