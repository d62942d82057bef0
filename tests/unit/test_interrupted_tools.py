"""What a conversation holds of tools that were interrupted, as a real aggregator writes it down."""

from datetime import UTC, datetime
from typing import Any

from pipecat.frames.frames import (
    Frame,
    FunctionCallCancelFrame,
    FunctionCallFromLLM,
    FunctionCallInProgressFrame,
    FunctionCallResultFrame,
    FunctionCallResultProperties,
    FunctionCallsStartedFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.tests.utils import SleepFrame, run_test

from processors.interrupted_tools import INTERRUPTED, InterruptedTools
from processors.transcript import ToolCall, ToolOutcome

ANNOUNCED = FunctionCallsStartedFrame([FunctionCallFromLLM("book", "c1", {}, None)])
BEGUN = FunctionCallInProgressFrame("book", "c1", {}, cancel_on_interruption=True)
BOOKED = {"booked": True}
WAIT = SleepFrame(sleep=0.05)
"""Frames of different kinds overtake each other; these come in their order."""


def cancelled(*, late: bool = False) -> Frame:
    return FunctionCallCancelFrame("book", "c1", run_llm=late)


def result() -> Frame:
    silent = FunctionCallResultProperties(run_llm=False)
    return FunctionCallResultFrame("book", "c1", {}, BOOKED, properties=silent)


async def told(*frames: Frame, done: bool = False) -> list[Any]:
    """Return what a language model is told of the tool, call by call and result by result."""
    context, tools = LLMContext(), InterruptedTools()
    assistant = LLMContextAggregatorPair(context).assistant()
    tools.follow(assistant)
    if done:
        now = datetime.now(UTC)
        tools.note(ToolCall("c1", "book", ToolOutcome.RUNNING, now))
        tools.note(ToolCall("c1", "book", ToolOutcome.COMPLETED, now, result=BOOKED))
    sent = [it for frame in frames for it in (frame, WAIT)]
    await run_test(assistant, frames_to_send=sent)
    return [m["content"] if m["role"] == "tool" else "calls" for m in context.messages]


class TestAToolThatIsInterrupted:
    async def test_may_have_been_done(self) -> None:
        assert await told(ANNOUNCED, BEGUN, cancelled()) == ["calls", INTERRUPTED]

    async def test_was_done_if_that_is_known(self) -> None:
        assert await told(ANNOUNCED, BEGUN, cancelled(), done=True) == ["calls", '{"booked": true}']

    async def test_is_over_though_its_beginning_is_told_behind_its_end(self) -> None:
        assert await told(ANNOUNCED, cancelled(), BEGUN) == ["calls", INTERRUPTED]

    async def test_keeps_the_result_that_was_told(self) -> None:
        assert await told(ANNOUNCED, BEGUN, result(), cancelled()) == ["calls", '{"booked": true}']


async def test_a_tool_that_took_too_long_was_cancelled() -> None:
    assert await told(ANNOUNCED, BEGUN, cancelled(late=True)) == ["calls", "CANCELLED"]
