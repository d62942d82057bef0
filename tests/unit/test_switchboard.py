"""Several who answer in one conversation, in a real pipeline, in virtual time."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from pipecat.frames.frames import (
    EndFrame,
    Frame,
    FunctionCallFromLLM,
    InterruptionFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TTSSpeakFrame,
    TTSUpdateSettingsFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.llm_service import FunctionCallParams, LLMService
from pipecat.services.settings import TTSSettings
from pipecat.utils.types import is_given
from pipecat.workers.runner import WorkerRunner

from processors.agent_bridge import AgentLLMService
from processors.switchboard import (
    MAX_TRANSFERS,
    TAKE_OVER,
    TOOL,
    Line,
    Switchboard,
    transfers_in,
    transfers_since_asked,
)
from processors.text_agent import Chunk, Handoff, ToolFinished
from tests import virtual_time
from tests.caller import Caller, play

ANNOUNCEMENT = "One moment."
SORRY = "I am sorry."

Reply = str | Sequence[dict[str, Any]]
"""What a language model says, or which calls of its tool it makes."""


def to(name: str, say: str = "") -> dict[str, Any]:
    return {"to": name, "why": "they asked", "say": say}


async def plans(params: FunctionCallParams) -> None:
    """Tell the plans."""
    await params.result_callback({"plans": "Team"})


async def tickets(params: FunctionCallParams) -> None:
    """Tell the tickets."""
    await params.result_callback({"tickets": 1})


class Model(LLMService[Any]):
    """Gives its replies one by one, the last of them again and again, and notes what it is asked.

    Attributes:
        asked: The conversations, as they were.
        offered: The names of the tools that it might have called.
    """

    def __init__(self, *replies: Reply) -> None:
        super().__init__()
        self.asked: list[list[Any]] = []
        self.offered: list[list[str]] = []
        self._replies = list(replies)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if not isinstance(frame, LLMContextFrame):
            return await self.push_frame(frame, direction)
        self.asked.append([*frame.context.messages])
        tools: Any = frame.context.tools
        self.offered.append([it.name for it in tools.standard_tools] if is_given(tools) else [])
        reply = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
        await self.push_frame(LLMFullResponseStartFrame())
        if isinstance(reply, str):
            await self.push_frame(LLMTextFrame(reply))
        else:
            await self.run_function_calls(
                [
                    FunctionCallFromLLM(
                        TOOL, f"c{id(self)}-{len(self.asked)}-{n}", it, frame.context
                    )
                    for n, it in enumerate(reply)
                ]
            )
        await self.push_frame(LLMFullResponseEndFrame())


class Agent:
    """Hands over, each time to the same."""

    def __init__(self, *part: Chunk) -> None:
        self.part = part

    async def stream_response(self, message: str, history: Sequence[Any]) -> AsyncIterator[Chunk]:
        for chunk in self.part:
            yield chunk

    async def aclose(self) -> None: ...


@dataclass(eq=False)
class Voice(FrameProcessor):
    """Takes a second for whatever is to be said, and notes it and how it is to sound."""

    said: list[tuple[float, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        match frame:
            case TTSSpeakFrame(text=text) | LLMTextFrame(text=text):
                self.said.append((asyncio.get_running_loop().time(), text))
                await asyncio.sleep(1.0)
                if isinstance(frame, TTSSpeakFrame):
                    await self.push_frame(LLMFullResponseStartFrame())
                    await self.push_frame(LLMTextFrame(text))
                    await self.push_frame(LLMFullResponseEndFrame())
                    return
            case TTSUpdateSettingsFrame(delta=delta):
                assert delta
                self.said.append((0, f"as {delta.voice}"))  # type: ignore[attr-defined]
        await self.push_frame(frame, direction)


@dataclass(eq=False)
class Stage:
    """A call in which several can answer."""

    switchboard: Switchboard
    context: LLMContext
    worker: PipelineWorker
    voice: Voice

    async def ask(self, words: str, *, wait: bool = True) -> None:
        self.context.add_message({"role": "user", "content": words})
        await self.worker.queue_frame(LLMContextFrame(self.context))
        if wait:
            await asyncio.sleep(10.0)

    @property
    def heard(self) -> list[str]:
        return [words for _, words in self.voice.said]

    @property
    def results(self) -> list[Any]:
        tools = [m for m in self.context.messages if m["role"] == "tool"]  # type: ignore[index]
        return [json.loads(m["content"]) for m in tools]  # type: ignore[index,arg-type,typeddict-item]


def line(brain: FrameProcessor, *tools: Any, voice: str | None = None) -> Line:
    return Line("Knows it.", [brain], tools, TTSSettings(voice=voice) if voice else None)


def unrecorded(handler: Any) -> Any:
    return handler


def perform(
    script: Callable[[Stage], Awaitable[None]],
    lines: dict[str, Line],
    *,
    messages: Sequence[Any] = (),
    **kwargs: Any,
) -> Stage:
    """Run a script in a call where the first of the lines has the caller."""

    async def main() -> Stage:
        context = LLMContext([*messages])
        first = next(iter(lines))
        switchboard = Switchboard(
            lines,
            first=kwargs.pop("first", first),
            announcement=ANNOUNCEMENT,
            on_record=unrecorded,
            **kwargs,
        )
        for name, it in lines.items():
            if isinstance(it.brain[0], AgentLLMService):
                it.brain[0].on_handoff = partial(switchboard.hand_over, name)
                it.brain[0].on_failure = partial(switchboard.give_back, name, "router")
        voice = Voice()
        turns = LLMContextAggregatorPair(context)
        worker = PipelineWorker(
            Pipeline([switchboard, voice, turns.assistant()]), idle_timeout_secs=None
        )
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(worker)
        running = asyncio.create_task(runner.run())
        await asyncio.sleep(0.1)
        stage = Stage(switchboard, context, worker, voice)
        await script(stage)
        await worker.queue_frame(EndFrame())
        await running
        return stage

    return virtual_time.run(main())


def hold(
    script: Callable[[Caller], Awaitable[None]],
    sales: Model,
    find: Callable[[str], Awaitable[str | None]],
) -> LLMContext:
    """Run a script of what is said to a router beside a sales desk; return the conversation."""

    def make() -> Any:
        lines = {"router": line(Model("Hm?")), "sales": line(sales)}
        return [
            Switchboard(lines, first="router", announcement="", on_record=unrecorded, find=find)
        ]

    _, context = play(script, make_llms=make, min_delay=1.0)
    return context


async def find_sales(asked: str) -> str | None:
    return "sales" if "cost" in asked else None


async def ask_once(stage: Stage) -> None:
    await stage.ask("What does it cost?")


class TestACaller:
    def test_is_answered_in_the_same_turn_by_whom_they_are_put_through_to(self) -> None:
        router, sales = Model([to("sales", "Here is Max.")]), Model("Nineteen dollars.")
        stage = perform(ask_once, {"router": line(router), "sales": line(sales, plans)})
        assert stage.heard == ["Here is Max.", "Nineteen dollars."]
        assert stage.switchboard.active == "sales"
        [asked] = sales.asked
        assert asked[0] == {"role": "user", "content": "What does it cost?"}
        assert "they asked" in str(asked[1]), "what they are wanted for is said"
        assert TAKE_OVER in str(asked[2])

    def test_does_not_wait_for_the_end_of_the_announcement_until_somebody_thinks(self) -> None:
        thought_at: list[float] = []

        class Thinker(Model):
            async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
                if isinstance(frame, LLMContextFrame):
                    thought_at.append(asyncio.get_running_loop().time())
                await super().process_frame(frame, direction)

        router, sales = Model([to("sales", "Here is Max.")]), Thinker("Nineteen dollars.")
        stage = perform(ask_once, {"router": line(router), "sales": line(sales)})
        (announced_at, _), (answered_at, _) = stage.voice.said
        assert thought_at[0] <= announced_at + 0.1
        assert answered_at == pytest.approx(announced_at + 1.0, abs=0.1)

    def test_stays_with_who_has_them_and_is_put_back(self) -> None:
        async def script(stage: Stage) -> None:
            await stage.ask("What does it cost?")
            await stage.ask("And yearly?")
            await stage.ask("I want something else.")

        router = Model([to("sales")], "What is it?")
        sales = Model("Nineteen.", "One hundred and ninety.", [to("router")])
        stage = perform(script, {"router": line(router), "sales": line(sales)})
        assert stage.heard == [
            ANNOUNCEMENT,
            "Nineteen.",
            "One hundred and ninety.",
            ANNOUNCEMENT,
            "What is it?",
        ]
        assert stage.switchboard.active == "router"

    def test_hears_no_announcement_where_something_was_said_about_it(self) -> None:
        class Talker(Model):
            async def run_function_calls(self, calls: Any) -> None:
                await self.push_frame(LLMTextFrame("My colleague knows that."))
                await super().run_function_calls(calls)

        router = Talker([to("sales", "Here is Max.")])
        stage = perform(ask_once, {"router": line(router), "sales": line(Model("Nineteen."))})
        assert stage.heard == ["My colleague knows that.", "Nineteen."]

    def test_has_who_they_had_in_the_call_before(self) -> None:
        router, sales = Model("Who is it?"), Model("Nineteen.")
        lines = {"router": line(router), "sales": line(sales)}
        stage = perform(ask_once, lines, first="sales")
        assert stage.heard == ["Nineteen."]

    def test_hears_the_voice_of_who_takes_over_behind_the_announcement(self) -> None:
        router = Model([to("sales", "Here is Max.")])
        lines = {"router": line(router, voice="Robin"), "sales": line(Model("Hm."), voice="Max")}
        stage = perform(ask_once, lines)
        assert stage.heard == ["Here is Max.", "as Max", "Hm."]

    def test_keeps_who_has_taken_over_where_they_speak_over_the_announcement(self) -> None:
        async def script(stage: Stage) -> None:
            await stage.ask("What does it cost?", wait=False)
            await asyncio.sleep(0.5)
            await stage.worker.queue_frame(InterruptionFrame())
            await asyncio.sleep(5.0)
            await stage.ask("By the year, I mean.")

        router, sales = Model([to("sales", "Here is Max.")]), Model("Nineteen.", "A hundred.")
        lines = {"router": line(router), "sales": line(sales, voice="Max")}
        stage = perform(script, lines)
        assert stage.heard == ["Here is Max.", "as Max", "A hundred."]


class TestATool:
    def test_of_the_conversation_is_offered_whoever_has_the_caller(self) -> None:
        async def script(stage: Stage) -> None:
            stage.context.set_tools([tickets])
            await stage.ask("What does it cost?")

        router, sales = Model([to("sales")]), Model("Nineteen.")
        perform(script, {"router": line(router), "sales": line(sales, plans)})
        assert router.offered == [["tickets", TOOL]]
        assert sales.offered == [["tickets", "plans", TOOL]]

    def test_is_offered_to_who_has_the_caller_and_to_nobody_else(self) -> None:
        router = Model([to("sales")])
        sales, support = Model([to("support")]), Model("Nothing.")
        lines = {
            "router": line(router),
            "sales": line(sales, plans),
            "support": line(support, tickets),
        }
        stage = perform(ask_once, lines)
        assert (router.offered, sales.offered) == ([[TOOL]], [["plans", TOOL]])
        assert support.offered == [["tickets"]], "who has to answer cannot put through"
        assert stage.context.tools is not None

    def test_does_not_send_a_caller_round_for_ever(self) -> None:
        async def script(stage: Stage) -> None:
            await stage.ask("What does it cost?")

        here = Model([to("there")], [to("there")], "Then it is me.")
        there = Model([to("here")])
        stage = perform(script, {"here": line(here), "there": line(there)})
        assert stage.heard == [ANNOUNCEMENT, ANNOUNCEMENT, "Then it is me."]
        assert stage.switchboard.active == "here"
        assert [TOOL in names for names in here.offered] == [True, False, False]
        assert len(stage.results) == MAX_TRANSFERS + 1, "the third was not there to be called"

    def test_may_be_used_again_for_the_next_question(self) -> None:
        async def script(stage: Stage) -> None:
            for _ in range(MAX_TRANSFERS + 1):
                await stage.ask("The other one, please.")

        here = Model([to("there")], "Here.", [to("there")])
        there = Model("There.", [to("here")], "There.")
        stage = perform(script, {"here": line(here), "there": line(there)})
        assert stage.switchboard.active == "there"

    @pytest.mark.parametrize("name", ["nobody", "router", None, 7])
    def test_refuses_to_put_through_to_nobody(self, name: Any) -> None:
        router = Model([to(name)], "Sorry.")
        lines = {"router": line(router), "sales": line(Model("Hm."))}
        stage = perform(ask_once, lines)
        assert stage.results == [
            {"error": "unknown_colleague", "ask": "The colleagues are: sales."}
        ]
        assert stage.heard == ["Sorry."]

    def test_that_is_called_twice_at_once_puts_through_once(self) -> None:
        router, sales = Model([to("sales"), to("support")]), Model("Nineteen.")
        lines = {
            "router": line(router),
            "sales": line(sales),
            "support": line(Model("Hm.")),
        }
        stage = perform(ask_once, lines)
        assert stage.switchboard.active == "sales"
        assert stage.results[1]["error"] == "put_through_already"
        assert stage.heard == [ANNOUNCEMENT, "Nineteen."]


class TestAnAgent:
    def test_hands_over_as_a_language_model_does(self) -> None:
        agent = AgentLLMService(Agent(Handoff("sales", "a quote")), apology=SORRY)
        sales = Model("Nineteen.")
        stage = perform(ask_once, {"router": line(agent), "sales": line(sales)})
        assert stage.heard == [ANNOUNCEMENT, "Nineteen."]
        assert transfers_in(stage.context.messages) == ["sales"]
        assert "a quote" in str(sales.asked[0])

    def test_is_put_through_to(self) -> None:
        agent = AgentLLMService(Agent("Nineteen."), apology=SORRY)
        router = Model([to("sales", "Here is Max.")])
        stage = perform(ask_once, {"router": line(router), "sales": line(agent)})
        assert stage.heard == ["Here is Max.", "Nineteen."]

    def test_that_hands_over_to_nobody_has_failed(self) -> None:
        agent = AgentLLMService(Agent(Handoff("nobody")), apology=SORRY)
        stage = perform(ask_once, {"router": line(agent), "sales": line(Model("Hm."))})
        assert stage.heard == [SORRY]
        assert stage.switchboard.active == "router"

    def test_that_fails_is_apologised_for_and_gives_the_caller_back(self) -> None:
        async def script(stage: Stage) -> None:
            await stage.ask("What does it cost?")
            await stage.ask("Hello?")

        agent = AgentLLMService(Agent(ToolFinished("never begun", None)), apology=SORRY)
        router = Model([to("sales", "Here is Max.")], "They are not there.")
        stage = perform(script, {"router": line(router), "sales": line(agent)})
        assert stage.heard == ["Here is Max.", SORRY, "They are not there."]
        assert transfers_in(stage.context.messages) == ["sales", "router"]
        assert len(router.asked) == 2
        assert "sales does not answer" in str(router.asked[1])
        assert router.offered[1] == [TOOL], "they may be tried again"


class TestWithoutATool:
    """Where language models are too small for it."""

    def test_who_knows_the_answer_takes_over(self) -> None:
        async def script(stage: Stage) -> None:
            await stage.ask("What does it cost?")
            await stage.ask("Thank you.")

        router, sales = Model("Hm?"), Model("Nineteen.", "You are welcome.")
        stage = perform(
            script,
            {"router": line(router), "sales": line(sales)},
            find=find_sales,
        )
        assert stage.heard == [ANNOUNCEMENT, "Nineteen.", "You are welcome."]
        assert transfers_in(stage.context.messages) == ["sales"]
        assert sales.offered == [[], []]

    @pytest.mark.parametrize("finding_secs", [0.0, 1.2], ids=["before", "meanwhile"])
    def test_nobody_takes_over_before_the_turn_has_ended(self, finding_secs: float) -> None:
        sales = Model("Nineteen.")

        async def find(asked: str) -> str | None:
            await asyncio.sleep(finding_secs)
            return await find_sales(asked)

        async def script(caller: Caller) -> None:
            await caller.say("What does it cost")
            await asyncio.sleep(0.2)
            before.append(len(sales.asked))
            await caller.settle()

        before: list[int] = []
        context = hold(script, sales, find)
        assert before == [0]
        assert len(sales.asked) == 1
        assert context.messages[-1] == {"role": "assistant", "content": "Nineteen."}

    @pytest.mark.parametrize("finding_secs", [0.0, 0.5], ids=["before", "meanwhile"])
    def test_nobody_takes_over_what_is_not_said_to_its_end(self, finding_secs: float) -> None:
        sales = Model("Nineteen.")

        async def find(asked: str) -> str | None:
            await asyncio.sleep(finding_secs)
            return await find_sales(asked)

        async def script(caller: Caller) -> None:
            await caller.say("What does it cost")
            await asyncio.sleep(0.2)
            await caller.say("by the year?")

        context = hold(script, sales, find)
        [asked] = sales.asked
        assert "What does it cost by the year?" in str(asked)
        assert transfers_in(context.messages) == ["sales"]


def told(result: Any) -> dict[str, Any]:
    content = result if isinstance(result, str) else json.dumps(result)
    return {"role": "tool", "content": content, "tool_call_id": "c"}


ASKED = {"role": "user", "content": "Hm?"}


def test_a_conversation_tells_who_has_the_caller() -> None:
    messages: Any = [ASKED, told({TOOL: "sales"}), told({"plans": []}), told({TOOL: "support"})]
    assert transfers_in(messages) == ["sales", "support"]
    messages = [told("CANCELLED"), told("IN_PROGRESS"), told([TOOL]), told({TOOL: None})]
    assert transfers_in(messages) == []


def test_transfers_are_counted_from_the_callers_last_words_on() -> None:
    messages: Any = [ASKED, told({TOOL: "sales"}), ASKED, told({TOOL: "support"})]
    assert transfers_since_asked(messages) == 1
    assert transfers_since_asked([*messages, ASKED]) == 0  # type: ignore[list-item]
    assert transfers_since_asked([]) == 0
