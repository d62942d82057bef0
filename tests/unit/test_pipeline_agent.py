"""A pipeline without ears and voice, as an agent that streams text."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from pipecat.frames.frames import (
    Frame,
    FunctionCallFromLLM,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
)
from pipecat.metrics.metrics import LLMTokenUsage, MetricsData
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.llm_service import FunctionCallParams, LLMService
from pipecat.utils.types import is_given

from processors.estimates import EstimatedUsage
from processors.pipeline_agent import PipelineAgent
from processors.switchboard import TOOL
from processors.text_agent import (
    AgentFailed,
    Chunk,
    Handoff,
    TokensUsed,
    ToolFinished,
    ToolStarted,
)

WITHIN_SECS = 10
COLLEAGUES = {"support": "What does not work.", "switchboard": "All else."}
HISTORY: list[Any] = [{"role": "user", "content": "Hello."}]
DESK = object()

Calls = Sequence[tuple[str, dict[str, Any]]]


class Model(LLMService[Any]):
    """Gives its replies one by one: words, calls of tools behind a word, or an error."""

    def __init__(self, *replies: str | Calls | Exception) -> None:
        super().__init__()
        self.asked: list[list[Any]] = []
        self.offered: list[set[str]] = []
        self._replies = list(replies)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if not isinstance(frame, LLMContextFrame):
            return await self.push_frame(frame, direction)
        tools: Any = frame.context.tools
        self.asked.append([*frame.context.messages])
        self.offered.append({it.name for it in tools.standard_tools} if is_given(tools) else set())
        await self.push_frame(LLMFullResponseStartFrame())
        match self._replies.pop(0):
            case str(words):
                for word in words.split():
                    await self.push_frame(LLMTextFrame(f"{word} "))
            case Exception() as error:
                await self.push_error(str(error), exception=error)
            case calls:
                await self.push_frame(LLMTextFrame("Well, "))
                await self.run_function_calls(
                    [
                        FunctionCallFromLLM(
                            name, f"c{len(self.asked)}{number}", arguments, frame.context
                        )
                        for number, (name, arguments) in enumerate(calls)
                    ]
                )
        await self.push_frame(LLMFullResponseEndFrame())


class CountingModel(Model):
    """Tells what each of its answers has consumed, in one form or another."""

    form: type[LLMTokenUsage] = LLMTokenUsage
    prompt_tokens = 10

    def can_generate_metrics(self) -> bool:
        return True

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        if isinstance(frame, LLMFullResponseEndFrame):
            self.set_core_metrics_data(MetricsData(processor=self.name, model="counting"))
            tokens = self.form(
                prompt_tokens=self.prompt_tokens,
                completion_tokens=2,
                total_tokens=12,
                cache_read_input_tokens=4,
                cache_creation_input_tokens=3,
            )
            await self.start_llm_usage_metrics(tokens)
        await super().push_frame(frame, direction)


async def price(params: FunctionCallParams, users: int) -> None:
    """Tell a price.

    Args:
        params: The call.
        users: For how many.
    """
    assert params.app_resources is DESK
    await params.result_callback({"dollars": 19 * users})


async def slow(params: FunctionCallParams) -> None:
    """Take a moment."""
    await asyncio.sleep(0.2)
    await params.result_callback({"slow": True})


async def broken(params: FunctionCallParams) -> None:
    """Fail."""
    raise ValueError("secret")


class SlowToEnd(FrameProcessor):
    """Does not end before it may."""

    def __init__(self) -> None:
        super().__init__()
        self.may_end = asyncio.Event()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)

    async def cleanup(self) -> None:
        await self.may_end.wait()
        await super().cleanup()


def whose(service: str) -> str:
    return f"the maker of {service}"


async def ask(model: Model, history: Sequence[Any] = HISTORY) -> list[Chunk]:
    agent = PipelineAgent([model], [price, slow, broken], COLLEAGUES, DESK, whose)
    async with asyncio.timeout(WITHIN_SECS):
        try:
            return [chunk async for chunk in agent.stream_response("What is it?", history)]
        finally:
            await agent.aclose()


async def test_words_come_as_they_are_made() -> None:
    model = Model("Nineteen dollars.")
    assert await ask(model) == ["Nineteen ", "dollars. "]
    assert model.asked == [[*HISTORY, {"role": "user", "content": "What is it?"}]]
    assert model.offered == [{"price", "slow", "broken", TOOL}]


@pytest.mark.parametrize("told", [10, 3], ids=["with what is cached", "without it"])
async def test_it_tells_what_its_model_consumes_each_time_that_it_is_asked(told: int) -> None:
    model = CountingModel([("price", {"users": 2})], "Done.")
    model.prompt_tokens = told
    given = await ask(model)
    maker = f"the maker of {model.name}"
    used = TokensUsed(10, 2, cached=4, provider=maker, model="counting", cache_write=3)
    assert [it for it in given if isinstance(it, TokensUsed)] == [used] * 2
    assert given[-2:] == ["Done. ", used], "it is told when all is said that it was for"


async def test_it_tells_of_an_estimate_that_it_is_one() -> None:
    model = CountingModel("Nineteen dollars.")
    model.form = EstimatedUsage
    [used] = [it for it in await ask(model) if isinstance(it, TokensUsed)]
    assert used.is_estimated


async def test_what_tools_give_is_answered_when_all_have_given() -> None:
    model = Model([("slow", {}), ("price", {"users": 2})], [("price", {"users": 3})], "Done.")
    given = await ask(model)
    assert [it for it in given if isinstance(it, str)] == ["Well, ", "Well, ", "Done. "]
    assert [it for it in given if isinstance(it, ToolStarted)] == [
        ToolStarted("c10", "slow", {}),
        ToolStarted("c11", "price", {"users": 2}),
        ToolStarted("c20", "price", {"users": 3}),
    ]
    assert [it for it in given if isinstance(it, ToolFinished)] == [
        ToolFinished("c11", {"dollars": 38}),
        ToolFinished("c10", {"slow": True}),
        ToolFinished("c20", {"dollars": 57}),
    ]
    assert len(model.asked) == 3


async def test_a_tool_that_fails_is_told_of_without_its_cause() -> None:
    given = await ask(Model([("broken", {})], "I am sorry."))
    [done] = [it for it in given if isinstance(it, ToolFinished)]
    assert done.error
    assert given[-1] == "sorry. "


async def test_a_caller_is_put_through_when_all_is_done() -> None:
    to = {"to": "support", "why": "a problem", "say": "My colleague knows."}
    model = Model([(TOOL, to), ("price", {"users": 1})])
    given = await ask(model)
    assert "My colleague knows." in given
    assert given[-1] == Handoff("support", "a problem")
    assert ToolFinished("c11", {"dollars": 19}) in given
    assert TOOL not in str([it for it in given if isinstance(it, ToolStarted)])


async def test_nobody_is_put_through_to_strangers_nor_for_ever() -> None:
    model = Model([(TOOL, {"to": "nobody", "why": "", "say": "Bye."})], "Then it is me.")
    assert await ask(model) == ["Well, ", "Then ", "it ", "is ", "me. "]

    moved = [
        {"role": "tool", "tool_call_id": f"t{number}", "content": f'{{"{TOOL}": "sales"}}'}
        for number in range(2)
    ]
    model = Model("Then it is me.")
    agent = PipelineAgent([model], [], COLLEAGUES, DESK, whose)
    async with asyncio.timeout(WITHIN_SECS):
        assert [it async for it in agent.stream_response("", [*HISTORY, *moved])]
        await agent.aclose()
    assert model.offered == [set()]


async def test_an_error_instead_of_an_answer_is_a_failure() -> None:
    with pytest.raises(AgentFailed, match="no credit"):
        await ask(Model(ValueError("no credit")))


async def test_an_answer_is_over_before_its_pipeline_has_ended() -> None:
    slow = SlowToEnd()
    agent = PipelineAgent([Model("Nineteen dollars."), slow], [], {}, DESK, whose)
    asyncio.get_running_loop().call_later(2.0, slow.may_end.set)
    async with asyncio.timeout(WITHIN_SECS):
        assert [it async for it in agent.stream_response("What is it?", HISTORY)]
        assert not slow.may_end.is_set()
        slow.may_end.set()
        await agent.aclose()


async def test_who_is_stopped_stops_its_tools() -> None:
    agent = PipelineAgent([Model([("slow", {})])], [slow], {}, DESK, whose)
    async with asyncio.timeout(WITHIN_SECS):
        chunks = agent.stream_response("What is it?", HISTORY)
        assert await anext(chunks) == "Well, "
        assert isinstance(await anext(chunks), ToolStarted)
        # A task that is left fails this test.
        await chunks.aclose()
