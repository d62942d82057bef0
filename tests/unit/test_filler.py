"""What a caller hears while a tool runs."""

import pytest
from pipecat.frames.frames import (
    Frame,
    FunctionCallInProgressFrame,
    FunctionCallResultFrame,
    LLMTextFrame,
    TTSSpeakFrame,
    UserStartedSpeakingFrame,
)
from pipecat.tests.utils import SleepFrame, run_test

from processors.filler import Filler

WORDS = "One moment."


def begins(call_id: str = "1") -> Frame:
    return FunctionCallInProgressFrame("look", call_id, {}, cancel_on_interruption=True)


def ends(call_id: str = "1") -> Frame:
    return FunctionCallResultFrame("look", call_id, {}, "found")


@pytest.mark.parametrize(
    ("frames", "times"),
    [
        ([begins(), SleepFrame(0.3), ends()], 1),
        ([begins(), begins("2"), ends("2"), SleepFrame(0.3), ends()], 1),
        ([begins(), SleepFrame(0.3), ends(), begins("2"), SleepFrame(0.3), ends("2")], 1),
        ([begins(), SleepFrame(0.3), ends(), UserStartedSpeakingFrame(),
          begins("2"), SleepFrame(0.3), ends("2")], 2),
        ([begins(), ends(), SleepFrame(0.3)], 0),
        ([LLMTextFrame("Let me see."), begins(), SleepFrame(0.3), ends()], 0),
    ],
    ids=["slow", "of-two", "once-a-turn", "in-each-turn", "quick", "said-already"],
)  # fmt: skip
async def test_it_is_said_of_slow_tools_once_in_a_turn_of_silence(
    frames: list[Frame], times: int
) -> None:
    down, _ = await run_test(Filler(WORDS, after_secs=0.1), frames_to_send=frames)
    said = [frame.text for frame in down if isinstance(frame, TTSSpeakFrame)]
    assert said == [WORDS] * times
    if times == 1:
        kinds = [type(frame) for frame in down]
        last_result = len(kinds) - 1 - kinds[::-1].index(FunctionCallResultFrame)
        assert kinds.index(TTSSpeakFrame) < last_result
