"""An agent as the brain of a bot, in a real pipeline, in virtual time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from pipecat.frames.frames import (
    EndFrame,
    ErrorFrame,
    Frame,
    FunctionCallCancelFrame,
    FunctionCallInProgressFrame,
    FunctionCallResultFrame,
    FunctionCallsStartedFrame,
    InterruptionFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    MetricsFrame,
    TTSSpeakFrame,
)
from pipecat.metrics.metrics import LLMUsageMetricsData
from pipecat.observers.base_observer import BaseObserver, FramePushed
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.llm_service import LLMService
from pipecat.workers.runner import WorkerRunner

from processors.agent_bridge import AgentLLMService, question_in
from processors.interrupted_tools import INTERRUPTED, InterruptedTools
from processors.text_agent import Chunk, Handoff, TokensUsed, ToolFinished, ToolStarted
from processors.usage import whose_behalf
from tests import virtual_time
from tests.caller import play, said_by

SORRY = "I am sorry."
WEIGH = ToolStarted("c1", "weigh", {"thing": "a parrot"})
WEIGHED = ToolFinished("c1", {"kg": 1})
HOURS = 3600.0

Step = Chunk | float | Exception
"""Words, a tool, seconds that pass, or what goes wrong."""

SHOWN = {
    LLMFullResponseStartFrame: lambda _: "begins",
    LLMTextFrame: lambda frame: frame.text,
    LLMFullResponseEndFrame: lambda _: "ends",
    FunctionCallsStartedFrame: lambda frame: f"calls {frame.function_calls[0].function_name}",
    FunctionCallInProgressFrame: lambda frame: f"runs {frame.function_name}",
    FunctionCallResultFrame: lambda frame: f"has {frame.result}",
    FunctionCallCancelFrame: lambda frame: f"stops {frame.function_name}",
    TTSSpeakFrame: lambda frame: f"says {frame.text}",
}


class Actor:
    """Plays its part, the same in each answer, and notes what it is told."""

    def __init__(self, *part: Step) -> None:
        self.part = part
        self.asked: list[tuple[str, int]] = []
        self.asked_at: list[float] = []
        self.answering = 0
        self.most_at_once = 0
        self.stopped_after: list[float] = []
        self.is_closed = False

    async def stream_response(self, message: str, history: Sequence[Any]) -> AsyncIterator[Chunk]:
        begun = asyncio.get_running_loop().time()
        self.asked.append((message, len(history)))
        self.asked_at.append(begun)
        self.answering += 1
        self.most_at_once = max(self.most_at_once, self.answering)
        try:
            for step in self.part:
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, float):
                    await asyncio.sleep(step)
                else:
                    yield step
        except (asyncio.CancelledError, GeneratorExit):
            self.stopped_after.append(asyncio.get_running_loop().time() - begun)
            raise
        finally:
            self.answering -= 1

    async def aclose(self) -> None:
        self.is_closed = True


class SlowToStop(Actor):
    """Takes a second to write down where it has got to."""

    async def stream_response(self, message: str, history: Sequence[Any]) -> AsyncIterator[Chunk]:
        self.asked.append((message, len(history)))
        self.answering += 1
        self.most_at_once = max(self.most_at_once, self.answering)
        try:
            yield "Well, "
            await asyncio.sleep(HOURS)
        finally:
            await asyncio.sleep(1.0)
            self.answering -= 1


class Mouth(FrameProcessor):
    """Takes a second for each piece of text, in which what follows has to wait."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMTextFrame):
            await asyncio.sleep(1.0)
        await self.push_frame(frame, direction)


@dataclass(eq=False)
class Stage(BaseObserver):
    """A bot with an agent, and what it did: what came out of it, and when."""

    llm: LLMService[Any]
    context: LLMContext = field(default_factory=LLMContext)
    shown: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    errors: list[ErrorFrame] = field(default_factory=list)
    used: list[LLMUsageMetricsData] = field(default_factory=list)
    worker: PipelineWorker | None = None

    def __post_init__(self) -> None:
        super().__init__()

    async def on_push_frame(self, data: FramePushed) -> None:
        if data.source is not self.llm:
            return
        if isinstance(data.frame, MetricsFrame):
            self.used += [it for it in data.frame.data if isinstance(it, LLMUsageMetricsData)]
        elif isinstance(data.frame, ErrorFrame):
            self.errors.append(data.frame)
        elif data.direction is FrameDirection.DOWNSTREAM and type(data.frame) in SHOWN:
            self.shown.append(SHOWN[type(data.frame)](data.frame))
            self.times.append(asyncio.get_running_loop().time())

    async def ask(self, words: str) -> None:
        assert self.worker
        self.context.add_message({"role": "user", "content": words})
        await self.worker.queue_frame(LLMContextFrame(self.context))

    async def interrupt(self) -> None:
        assert self.worker
        await self.worker.queue_frame(InterruptionFrame())

    def messages(self, role: str) -> list[Any]:
        return [m["content"] for m in self.context.messages if m["role"] == role]  # type: ignore[misc]


def perform(
    agent: Actor,
    script: Callable[[Stage], Awaitable[None]],
    *others: FrameProcessor,
    on_handoff: Callable[[Handoff], Awaitable[None]] | None = None,
    **kwargs: Any,
) -> Stage:
    """Run a script with a bot whose brain is an agent, in virtual time."""

    async def main() -> Stage:
        stage = Stage(AgentLLMService(agent, apology=SORRY, **kwargs))
        stage.llm.on_handoff = on_handoff
        turns = LLMContextAggregatorPair(stage.context)
        InterruptedTools().follow(turns.assistant())
        stage.worker = PipelineWorker(
            Pipeline([stage.llm, *others, turns.assistant()]),
            params=PipelineParams(enable_usage_metrics=True),
            observers=[stage],
            idle_timeout_secs=None,
        )
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(stage.worker)
        running = asyncio.create_task(runner.run())
        await asyncio.sleep(0.1)
        await script(stage)
        await asyncio.sleep(60.0)
        await stage.worker.queue_frame(EndFrame())
        await running
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, "tasks are left running"
        return stage

    stage = virtual_time.run(main())
    assert agent.is_closed
    return stage


async def ask_once(stage: Stage) -> None:
    await stage.ask("What does it weigh?")


class TestAnAnswer:
    def test_is_given_out_as_it_comes(self) -> None:
        agent = Actor("One, ", 1.0, "two.")
        stage = perform(agent, ask_once)
        assert stage.shown == ["begins", "One, ", "two.", "ends"]
        assert stage.times[2] - stage.times[1] == pytest.approx(1.0, abs=0.01)
        assert stage.messages("assistant") == ["One, two."]

    def test_knows_what_was_said_before(self) -> None:
        async def script(stage: Stage) -> None:
            await stage.ask("What is that?")
            await asyncio.sleep(1.0)
            await stage.ask("And that?")

        agent = Actor("A parrot.")
        perform(agent, script)
        assert agent.asked == [("What is that?", 0), ("And that?", 2)]

    def test_goes_on_behind_what_a_tool_has_told(self) -> None:
        told: Any = {"role": "tool", "content": "1 kg", "tool_call_id": "c1"}
        asked: Any = {"role": "user", "content": "What does it weigh?"}
        assert question_in([asked, told]) == ("", [asked, told])
        assert question_in([told, asked]) == ("What does it weigh?", [told])

    def test_is_not_asked_for_by_the_caller_where_a_developer_wants_one(self) -> None:
        coughed: Any = {"role": "developer", "content": "There were no words."}
        assert question_in([coughed]) == ("", [coughed])

    def test_is_not_made_ahead_of_the_end_of_a_turn(self) -> None:
        agent = Actor("A parrot.")

        async def script(caller: Any) -> None:
            await caller.say("What is that?")

        caller, context = play(script, make_llms=lambda: [AgentLLMService(agent, apology="")])
        assert agent.asked == [("What is that?", 0)]
        assert agent.asked_at == caller.spoken.ends
        assert [words for _, words in caller.spoken.answers] == ["A parrot."]
        assert said_by(context, "assistant") == ["A parrot."]


class TestATool:
    def test_is_shown_as_pipecats_own_are_and_does_not_ask_again(self) -> None:
        agent = Actor("Let me see", WEIGH, 2.0, WEIGHED, 0.5, "One kilo.")
        stage = perform(agent, ask_once)
        assert stage.shown == [
            *("begins", "Let me see", "ends"),
            *("calls weigh", "runs weigh", "has {'kg': 1}"),
            *("begins", "One kilo.", "ends"),
        ]
        assert len(agent.asked) == 1
        assert [m["role"] for m in stage.context.messages] == [
            *("user", "assistant", "assistant", "tool", "assistant")
        ]
        assert stage.messages("tool") == ['{"kg": 1}']

    def test_that_fails_is_told_so(self) -> None:
        failed = ToolFinished("c1", "It did not work.", error="It did not work.")
        stage = perform(Actor(WEIGH, failed, "Sorry."), ask_once)
        assert stage.messages("tool") == ['"It did not work."']
        assert stage.errors == []

    def test_has_more_time_than_words(self) -> None:
        agent = Actor(WEIGH, 19.0, WEIGHED, "One kilo.")
        stage = perform(agent, ask_once, first_secs=2.0, idle_secs=1.0, tool_secs=20.0)
        assert stage.shown[-2:] == ["One kilo.", "ends"]

    # The frame that says that a tool runs waits behind words; the one that cancels it does not.
    @pytest.mark.parametrize("is_speaking", [False, True])
    def test_that_is_interrupted_ends_with_one_result(self, is_speaking: bool) -> None:
        async def script(stage: Stage) -> None:
            await ask_once(stage)
            await asyncio.sleep(0.5)
            await stage.interrupt()

        mouths = [Mouth()] if is_speaking else []
        agent = Actor("Let me see.", WEIGH, HOURS, WEIGHED, "One kilo.")
        stage = perform(agent, script, *mouths)
        assert stage.messages("tool") == [INTERRUPTED]
        assert "stops weigh" in stage.shown
        assert agent.stopped_after == [pytest.approx(0.5, abs=0.02)]
        assert stage.errors == []

    def test_that_was_not_begun_is_not_finished(self) -> None:
        stage = perform(Actor(WEIGHED), ask_once)
        assert "not running" in stage.errors[0].error


class TestAnInterruption:
    def test_stops_the_agent_and_drops_the_rest(self) -> None:
        async def script(stage: Stage) -> None:
            await ask_once(stage)
            await asyncio.sleep(1.5)
            await stage.interrupt()

        agent = Actor("One, ", 1.0, "two, ", 1.0, "three.")
        stage = perform(agent, script)
        assert stage.shown == ["begins", "One, ", "two, ", "ends"]
        assert agent.stopped_after == [pytest.approx(1.5, abs=0.02)]
        assert agent.answering == 0
        assert stage.errors == []

    def test_waits_for_nothing_but_the_next_answer_does(self) -> None:
        async def script(stage: Stage) -> None:
            await ask_once(stage)
            await asyncio.sleep(0.5)
            await stage.interrupt()
            await asyncio.sleep(0.01)
            assert stage.shown[-1] == "ends"
            assert agent.answering == 1
            await stage.ask("And that?")

        agent = SlowToStop()
        stage = perform(agent, script, idle_secs=10.0)
        assert agent.most_at_once == 1
        assert [words for words, _ in agent.asked] == ["What does it weigh?", "And that?"]
        assert stage.times[3] - stage.times[2] == pytest.approx(0.0, abs=0.02)


def test_an_agent_is_closed_when_a_call_is_cut_off() -> None:
    async def script(stage: Stage) -> None:
        await ask_once(stage)
        await asyncio.sleep(0.5)
        assert stage.worker
        await stage.worker.cancel()

    agent = Actor("One, ", HOURS)
    perform(agent, script)
    assert agent.stopped_after == [pytest.approx(0.5, abs=0.02)]


class TestWhatAnAnswerConsumes:
    TOLD = TokensUsed(100, 10, cached=40, provider="groq", model="llama", cache_write=20)

    @staticmethod
    def counted(stage: Stage) -> list[tuple[str | None, str | None, int, int]]:
        """Return whose provider and model, and how many tokens were read and written."""
        return [
            (
                whose_behalf(it.processor)[0],
                it.model,
                it.value.prompt_tokens,
                it.value.completion_tokens,
            )
            for it in stage.used
        ]

    @staticmethod
    async def interrupt(stage: Stage) -> None:
        await ask_once(stage)
        await asyncio.sleep(0.5)
        await stage.interrupt()

    def test_is_counted_as_the_agent_tells_it_and_whose(self) -> None:
        stage = perform(Actor(WEIGH, TokensUsed(1, 2), WEIGHED, "One kilo.", self.TOLD), ask_once)
        assert self.counted(stage) == [(None, None, 1, 2), ("groq", "llama", 100, 10)]
        assert [it.value.cache_read_input_tokens for it in stage.used] == [0, 40]
        assert [it.value.cache_creation_input_tokens for it in stage.used] == [0, 20]
        assert whose_behalf(stage.used[1].processor)[1] == stage.llm.name

    def test_is_estimated_where_it_was_stopped_before_the_agent_could_tell(self) -> None:
        words = "word " * 40
        agent = Actor("Well, ", self.TOLD, words, HOURS, self.TOLD)
        [told, estimated] = self.counted(perform(agent, self.interrupt))
        assert told == ("groq", "llama", 100, 10)
        assert estimated[:2] == ("groq", "llama")
        assert estimated[2] > 0
        assert estimated[3] == pytest.approx(len(words) / 4, abs=2)

    @pytest.mark.parametrize("part", [(HOURS,), (WEIGH, TOLD, WEIGHED, HOURS)])
    def test_is_estimated_where_not_a_word_had_come(self, part: tuple[Step, ...]) -> None:
        *_, (_, _, prompt, completion) = self.counted(perform(Actor(*part), self.interrupt))
        assert (prompt > 0, completion) == (True, 0)

    def test_is_nothing_before_the_agent_is_asked(self) -> None:
        async def script(stage: Stage) -> None:
            await self.interrupt(stage)
            await asyncio.sleep(0.1)
            # The agent is still about to stop.
            await self.interrupt(stage)

        agent = SlowToStop()
        assert len(self.counted(perform(agent, script))) == len(agent.asked) == 1

    def test_is_not_counted_for_what_the_agent_says_of_its_own(self) -> None:
        stage = perform(Actor("A parrot. ", self.TOLD, "You are put through."), ask_once)
        assert self.counted(stage) == [("groq", "llama", 100, 10)]

    def test_is_not_counted_twice(self) -> None:
        agent = Actor("Let me see.", WEIGH, self.TOLD, HOURS)
        assert self.counted(perform(agent, self.interrupt)) == [("groq", "llama", 100, 10)]

    def test_is_estimated_where_the_agent_tells_nothing_or_breaks_down(self) -> None:
        for part in (("A parrot.",), ("A parrot.", OSError())):
            [(provider, _, prompt, completion)] = self.counted(perform(Actor(*part), ask_once))
            assert provider is None
            assert min(prompt, completion) > 0
        assert self.counted(perform(Actor(OSError()), ask_once)) == []


class TestAFailure:
    @pytest.mark.parametrize(
        ("part", "after", "why"),
        [
            ((HOURS,), 5.0, "silent for 5 s"),
            (("Well, ", HOURS), 3.0, "silent for 3 s"),
            (("Well, ", WEIGH, HOURS), 20.0, "silent for 20 s"),
            ((WEIGH, WEIGHED, HOURS), 5.0, "silent for 5 s"),
            ((ValueError("a secret"),), 0.0, "has failed: ValueError"),
            (("Well, ", 1.0, OSError()), 1.0, "has failed: OSError"),
            ((Handoff("sales"),), 0.0, "hands over to 'sales'"),
        ],
        ids=["never", "midst", "tool", "after-tool", "raises", "raises-late", "handoff"],
    )
    def test_is_told_in_time_and_the_call_goes_on(
        self, part: tuple[Step, ...], after: float, why: str
    ) -> None:
        async def script(stage: Stage) -> None:
            await ask_once(stage)
            await asyncio.sleep(30.0)
            agent.part = ("A parrot.",)
            await stage.ask("And that?")

        agent = Actor(*part)
        stage = perform(agent, script, first_secs=5.0, idle_secs=3.0, tool_secs=20.0)
        [error] = stage.errors
        assert why in error.error
        assert "secret" not in error.error
        assert not error.fatal
        told = stage.shown.index(f"says {SORRY}")
        assert stage.times[told] == pytest.approx(0.1 + after, abs=0.05)
        assert stage.shown[told + 1 :] == ["begins", "A parrot.", "ends"]
        running = [m for m in stage.messages("tool") if m == "IN_PROGRESS"]
        assert running == []


def test_a_handoff_is_passed_on_and_ends_the_answer() -> None:
    handed: list[Handoff] = []

    async def take(handoff: Handoff) -> None:
        handed.append(handoff)

    agent = Actor("I will put you through.", Handoff("sales", "wants a quote"), "Never said.")
    stage = perform(agent, ask_once, on_handoff=take)
    assert handed == [Handoff("sales", "wants a quote")]
    assert stage.shown == ["begins", "I will put you through.", "ends"]
    assert stage.errors == []
