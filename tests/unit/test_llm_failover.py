"""What becomes of answers made ahead where a language model fails, in virtual time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from pipecat.frames.frames import (
    EagerEndOfTurnCancelFrame,
    Frame,
    InterruptionFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TTSSpeakFrame,
    UserStartedSpeakingFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.utils.errors import ErrorCategory

from processors.circuit import Circuit
from processors.failover import FailoverStrategy, Failure, StageFailedFrame, Watch
from processors.llm_failover import GO_ON, WatchedLLM, Words, watched_llm
from tests.caller import Caller, Parrot, play, said_by

FIRST_OUTPUT_SECS = 0.6
IDLE_SECS = 0.5
REST_SECS = 60.0
FAILURES = {"fail": ErrorCategory.SERVER, "refuse": ErrorCategory.AUTHENTICATION}
WORDS = Words("Where was I.", "I cannot answer.")


class Script:
    """What a language model does, request by request; the last for ever."""

    def __init__(self, *deeds: str) -> None:
        self.deeds = list(deeds)

    def next(self) -> str:
        return self.deeds.pop(0) if len(self.deeds) > 1 else self.deeds[0]


class Actor(Parrot):
    """Answers in its own name, or fails, as its script has it."""

    def __init__(self, title: str, script: Script) -> None:
        super().__init__()
        self._title = title
        self._script = script
        self.failures: list[Failure] = []

    async def report(self, failure: Failure) -> None:
        self.failures.append(failure)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        if not isinstance(frame, LLMContextFrame):
            await super().process_frame(frame, direction)
            return
        await super(Parrot, self).process_frame(frame, direction)
        self.asked.append(str(frame.context.messages[-1]["content"]))
        deed = self._script.next()
        await self.push_frame(LLMFullResponseStartFrame())
        try:
            await asyncio.sleep(0.1)
            if deed == "hang":
                await asyncio.Event().wait()
            if deed in FAILURES:
                await self.push_error("it fails", category=FAILURES[deed])
                return
            await self.push_frame(LLMTextFrame(f"{self._title}: "))
            if deed == "stall":
                await asyncio.Event().wait()
            await self.push_frame(LLMTextFrame(self.asked[-1]))
        finally:
            await self.push_frame(LLMFullResponseEndFrame())


def act(
    caller: Callable[[Caller], Awaitable[None]], *scripts: Script
) -> tuple[str, list[str], list[Actor]]:
    """Play a call with language models of these scripts.

    Returns:
        What left them, what the bot has said as the context has it, and the models.
    """
    actors: list[Actor] = []

    def make_llms() -> list[Parrot]:
        for number, script in enumerate(scripts, 1):
            actor = watched_llm(Actor)(f"LLM {number}", script)
            assert isinstance(actor, WatchedLLM)
            circuit = Circuit(failures=2, rest_secs=REST_SECS)
            actor.watch = Watch(
                "llm",
                f"number {number}",
                circuit,
                FIRST_OUTPUT_SECS,
                IDLE_SECS,
                actor.report,
                lambda: asyncio.get_running_loop().time(),
            )
            actor.words = WORDS
            actors.append(actor)
        return list(actors)

    played, context = play(caller, make_llms=make_llms)
    left = "".join(text for _, text in played.spoken.answers)
    return left, said_by(context, "assistant"), actors


async def ask(caller: Caller) -> None:
    await caller.say("When do you open?")
    await caller.settle()


@pytest.mark.parametrize("deed", ["fail", "hang"])
def test_an_answer_made_ahead_that_fails_is_made_ahead_by_another(deed: str) -> None:
    left, said, [first, second] = act(ask, Script(deed), Script("answer"))
    assert left == "LLM 2: When do you open?"
    assert said == [left]
    assert len(first.failures) == len(second.asked) == 1


def test_an_answer_that_has_left_when_it_stalls_is_gone_on_with() -> None:
    edges: list[Frame] = []

    async def listen(caller: Caller) -> None:
        for llm in caller.spoken.llms:
            llm.add_event_handler("on_after_push_frame", on_push)
        await ask(caller)

    async def on_push(_: object, frame: Frame) -> None:
        if isinstance(frame, LLMFullResponseStartFrame | LLMFullResponseEndFrame):
            edges.append(frame)

    left, said, _ = act(listen, Script("stall"), Script("answer"))
    assert left == f"LLM 1: ... {WORDS.lost_thread} LLM 2: {GO_ON}"
    assert len(said) == 1
    start, end = edges
    assert isinstance(start, LLMFullResponseStartFrame)
    assert isinstance(end, LLMFullResponseEndFrame)


@pytest.mark.parametrize("deed", ["fail", "hang", "stall"])
def test_what_another_has_answered_ahead_is_not_heard_when_the_user_goes_on(deed: str) -> None:
    async def go_on(caller: Caller) -> None:
        caller.judge.probability = 0.1
        await caller.say("I would like to")
        await asyncio.sleep(0.75)
        await caller.say("come on Tuesday.")

    left, said, [first, _] = act(go_on, Script(deed, "answer"), Script("answer"))
    assert first.asked[0] == "I would like to"
    assert left == "LLM 1: I would like to come on Tuesday."
    assert said == [left]


@pytest.mark.parametrize("deed", ["fail", "hang"])
def test_one_that_stood_in_before_holds_what_it_answers_ahead_later(deed: str) -> None:
    """It is told of turns only while it works: it must not take this one for over."""

    async def ask_on(caller: Caller) -> None:
        await ask(caller)
        # The first has its place back between two turns.
        more = LLMContext([{"role": "user", "content": "Go on."}])
        await caller.send(LLMContextFrame(more))
        await caller.settle()
        caller.judge.probability = 0.1
        await caller.say("I would like to")
        await asyncio.sleep(0.75)
        await caller.say("come on Tuesday.")

    first = Script("fail", "answer", deed, "answer")
    left, _, actors = act(ask_on, first, Script("answer"))
    assert len(actors[0].failures) == 2
    assert "toLLM" not in left
    assert left.endswith("I would like to come on Tuesday.")
    assert left.count("LLM") == 3


def test_an_apology_for_an_answer_made_ahead_waits_for_the_end_of_the_turn() -> None:
    heard: list[Frame] = []

    async def listen(caller: Caller) -> None:
        caller.llm.add_event_handler("on_after_push_frame", on_push)
        caller.judge.probability = 0.1
        await caller.say("I would like to")
        await asyncio.sleep(0.4)
        assert not heard
        await caller.settle()

    async def on_push(_: object, frame: Frame) -> None:
        if isinstance(frame, TTSSpeakFrame):
            heard.append(frame)

    act(listen, Script("fail"))
    assert [frame.text for frame in heard if isinstance(frame, TTSSpeakFrame)] == [
        WORDS.cannot_answer
    ]


@pytest.mark.parametrize("deeds", [("fail", "fail", "answer"), ("refuse", "answer")])
def test_a_service_that_is_back_has_its_place_again(deeds: tuple[str, ...]) -> None:
    async def ask_on(caller: Caller) -> None:
        for _ in range(3):
            await ask(caller)
        await asyncio.sleep(REST_SECS)
        await ask(caller)
        await ask(caller)

    left, said, [one, _] = act(ask_on, Script(*deeds), Script("answer"))
    assert [words[:5] for words in said] == ["LLM 2"] * 3 + ["LLM 1"] * 2
    assert len(one.asked) == len(deeds) + 1
    assert left.count("LLM") == 5


class Standby(FrameProcessor):
    """A service of which only the strategy is looked at."""

    def __init__(self, *, busy: bool = False) -> None:
        super().__init__()
        self.watch: Watch | None = None
        self.is_busy = busy
        self.given: list[Frame] = []

    async def put_down(self) -> None: ...

    def take_turn(self, *, speculating: bool) -> None: ...

    async def queue_frame(self, frame: Frame, *args: Any, **kwargs: Any) -> None:
        self.given.append(frame)


class TestTheStrategy:
    @pytest.mark.parametrize("withdrawal", [InterruptionFrame, EagerEndOfTurnCancelFrame])
    async def test_gives_nobody_what_was_withdrawn_as_it_failed(
        self, withdrawal: type[Frame]
    ) -> None:
        first, second = Standby(), Standby()
        strategy = FailoverStrategy([first, second])
        strategy.follow(UserStartedSpeakingFrame())
        await strategy.choose(speculation=True)
        strategy.follow(withdrawal())
        failed = StageFailedFrame(
            "late", request=LLMContextFrame(LLMContext()), tried=frozenset({first.name})
        )
        await strategy.handle_error(failed)
        assert failed.is_void
        assert second.given == []

    @pytest.mark.parametrize("busy", [True, False])
    async def test_leaves_an_answer_that_is_being_made_to_who_makes_it(self, busy: bool) -> None:
        first, second = Standby(busy=busy), Standby()
        circuit = Circuit(failures=1, rest_secs=REST_SECS)
        first.watch = Watch("llm", "first", circuit, None, None, report_to_nobody, lambda: 0.0)
        strategy = FailoverStrategy([first, second])
        circuit.failed(0.0)
        await strategy.choose(speculation=False)
        assert strategy.active_service is (first if busy else second)


async def report_to_nobody(_: Failure) -> None: ...
