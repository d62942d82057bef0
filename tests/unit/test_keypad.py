"""What a caller keys in reaches the bot, in the right place of the conversation."""

import pytest
from pipecat.audio.dtmf.types import KeypadEntry
from pipecat.frames.frames import (
    Frame,
    InputDTMFFrame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMMessagesAppendFrame,
    LLMTextFrame,
    TranscriptionFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.processors.frame_processor import FrameDirection
from pipecat.processors.frameworks.rtvi.frames import RTVISendTextFrame
from pipecat.tests.utils import SleepFrame, run_test

from processors.keypad import TypedKeys, make_keypad
from tests import virtual_time


def keys(text: str) -> list[Frame]:
    return [InputDTMFFrame(KeypadEntry(key)) for key in text]


def typed(frames: list[Frame]) -> list[str]:
    return [
        str(message["content"])
        for frame in frames
        if isinstance(frame, LLMMessagesAppendFrame) and frame.run_llm
        for message in frame.messages
        if isinstance(message, dict)
    ]


@pytest.mark.parametrize(
    ("frames", "entries"),
    [
        ([*keys("4711#"), SleepFrame(0.1)], ["I key in 4711#"]),
        ([*keys("4711"), SleepFrame(2.5)], ["I key in 4711"]),
        ([*keys("1"), SleepFrame(1.5), *keys("2"), SleepFrame(2.5)], ["I key in 12"]),
        ([*keys("1#"), SleepFrame(0.5), *keys("2#"), SleepFrame(0.5)],
         ["I key in 1#", "I key in 2#"]),
        ([*keys("#"), SleepFrame(0.5)], ["I key in #"]),
        ([SleepFrame(0.5)], []),
    ],
    ids=["ended", "waited-for", "slow", "two", "one-key", "none"],
)  # fmt: skip
def test_keys_are_read_as_one_entry_and_answered(frames: list[Frame], entries: list[str]) -> None:
    down, _ = virtual_time.run(run_test(Pipeline(make_keypad()), frames_to_send=frames))
    assert typed([*down]) == entries
    told = [frame.text for frame in down if isinstance(frame, RTVISendTextFrame)]
    assert told == entries, "the transcript tells of them"
    interruptions = sum(isinstance(frame, InterruptionFrame) for frame in down)
    assert interruptions == len(entries), "the first key of each interrupts the bot"
    assert not any(isinstance(frame, TranscriptionFrame) for frame in down)


async def test_what_the_bot_was_saying_stands_before_what_interrupted_it() -> None:
    context = LLMContext()
    turns = LLMContextAggregatorPair(context)
    pipeline = Pipeline([*make_keypad(), turns.user(), turns.assistant()])
    await run_test(
        pipeline,
        frames_to_send=[
            LLMFullResponseStartFrame(),
            LLMTextFrame("Press the hash key."),
            SleepFrame(0.1),
            *keys("#"),
            SleepFrame(0.5),
            LLMFullResponseEndFrame(),
        ],
    )
    said = [m["content"] for m in context.get_messages() if isinstance(m, dict)]
    assert said == ["Press the hash key.", "I key in #"]


async def test_words_of_a_service_are_left_alone() -> None:
    words = TranscriptionFrame("hello", "", "")
    _, up = await run_test(
        TypedKeys(), frames_to_send=[words], frames_to_send_direction=FrameDirection.UPSTREAM
    )
    assert words in up
