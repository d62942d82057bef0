"""What a client has a say in, in a real pipeline, in virtual time."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    Frame,
    FunctionCallFromLLM,
    InterruptionFrame,
    LLMContextFrame,
    LLMContextUserTurnFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.processors.frameworks.rtvi.frames import RTVIServerMessageFrame
from pipecat.services.llm_service import FunctionCallParams, LLMService
from pipecat.services.settings import LLMSettings
from pipecat.utils.types import is_given
from pipecat.workers.runner import WorkerRunner

from processors.client_control import (
    ARRIVE_SECS,
    BEGIN_SECS,
    CLIENT_SECS,
    TOOLS_LEFT_OUT,
    UTTERANCE_OVER,
    WRITE_SECS,
    ClientControl,
    ClientFrame,
    ClientInterruptionFrame,
    ClientMessageFrame,
    ClientSettingsFrame,
    ClientTool,
    RespondFrame,
    ToolOutputFrame,
)
from processors.interrupted_tools import InterruptedTools
from processors.push_to_talk import FinalAudioFrame
from tests import virtual_time

Reply = str | list[str]
"""Words, or the names of tools that are called."""

LOOK = ClientTool("look", "", {"properties": {"at": {"type": "string"}}})
BOOK = ClientTool("book", "The client's.", {})
MOMENT_SECS = 0.1


async def book(params: FunctionCallParams) -> None:
    """Book."""
    await params.result_callback({"booked": True})


class Model(LLMService[Any]):
    """Gives its replies one by one, and notes what it is asked.

    Attributes:
        asked: The conversations, as they were.
        offered: The tools that it might have called, and what they are for.
    """

    def __init__(self, *replies: Reply) -> None:
        super().__init__(settings=LLMSettings(system_instruction="You are Grace."))
        self.asked: list[list[Any]] = []
        self.offered: list[dict[str, str]] = []
        self._replies = list(replies)
        self.calls = 0

    @property
    def instructions(self) -> Any:
        return self._settings.system_instruction

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if not isinstance(frame, LLMContextFrame):
            return await self.push_frame(frame, direction)
        self.asked.append(json.loads(json.dumps(frame.context.messages)))
        tools: Any = frame.context.tools
        schemas = tools.standard_tools if is_given(tools) else []
        self.offered.append({it.name: it.description for it in schemas})
        reply = self._replies.pop(0)
        await self.push_frame(LLMFullResponseStartFrame())
        if isinstance(reply, str):
            await self.push_frame(LLMTextFrame(reply))
        else:
            calls = []
            for name in reply:
                self.calls += 1
                calls.append(FunctionCallFromLLM(name, f"c{self.calls}", {}, frame.context))
            await self.run_function_calls(calls)
        await self.push_frame(LLMFullResponseEndFrame())


class Witness(FrameProcessor):
    """Keeps what the client is told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[Any] = []

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, RTVIServerMessageFrame):
            self.told.append(frame.data)
        await self.push_frame(frame, direction)


@dataclass
class Talk:
    """A conversation with a client that has a say.

    Attributes:
        worker: Runs the pipeline.
        control: What is looked at.
        model: What answers.
        context: The conversation.
        recorded: Names of the tools that were put on record.
        told: What the client was told.
    """

    worker: PipelineWorker
    control: ClientControl
    model: Model
    context: LLMContext
    recorded: list[str]
    told: list[Any]

    async def send(self, *frames: Frame) -> None:
        """Have frames come from the client and the user, and wait for what becomes of them."""
        await self.worker.queue_frames(frames)
        await asyncio.sleep(MOMENT_SECS)

    async def turn(self, words: str) -> None:
        """Have the user say something, as the aggregator tells of it."""
        await self.send(UserStartedSpeakingFrame())
        if words:
            self.context.add_message({"role": "user", "content": words})
            told = LLMContextUserTurnFrame(words, "")
            await self.send(UserStoppedSpeakingFrame(), told, LLMContextFrame(self.context))
        else:
            await self.send(UserStoppedSpeakingFrame())

    async def bot_speaks(self, frame: Frame) -> None:
        await self.control.queue_frame(frame, FrameDirection.UPSTREAM)
        await asyncio.sleep(MOMENT_SECS)

    @property
    def last(self) -> Any:
        """The last thing in the conversation, as the model was told it."""
        return self.model.asked[-1][-1]["content"]


def settings(*tools: ClientTool, instructions: str | None = None, answers: bool = True) -> Frame:
    return ClientSettingsFrame(instructions, tools, answers_turns=answers, is_spoken=True)


@asynccontextmanager
async def talking(*replies: Reply) -> AsyncIterator[Talk]:
    model, context, recorded = Model(*replies), LLMContext(tools=[book]), list[str]()

    def on_record(tool: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        async def record(params: FunctionCallParams) -> None:
            # As a record takes its time, the client may be the faster.
            await asyncio.sleep(0.01)
            recorded.append(params.function_name)
            await tool(params)

        vars(record).update(vars(tool))
        return record

    control = ClientControl(context, [book], taken={"book", "cancel"}, on_record=on_record)
    assistant, witness = LLMContextAggregatorPair(context).assistant(), Witness()
    InterruptedTools().follow(assistant)
    worker = PipelineWorker(
        Pipeline([control, model, witness, assistant]), idle_timeout_secs=None, enable_rtvi=False
    )
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())
    await asyncio.sleep(MOMENT_SECS)
    try:
        yield Talk(worker, control, model, context, recorded, witness.told)
    finally:
        await worker.cancel()
        await running


def in_time(test: Callable[[], Any]) -> Callable[[], None]:
    """Run a test in virtual time."""

    def run() -> None:
        virtual_time.run(test())

    run.__name__ = test.__name__
    return run


@in_time
async def test_turns_are_answered_by_themselves_unless_the_client_wants_to_say_when() -> None:
    async with talking("One.", "Two.", "Three.") as talk:
        await talk.turn("A?")
        assert talk.last == "A?"
        await talk.send(settings(answers=False))
        await talk.turn("B?")
        await talk.turn("C?")
        assert len(talk.model.asked) == 1
        await talk.send(RespondFrame())
        assert [m["content"] for m in talk.model.asked[-1]] == ["A?", "One.", "B?", "C?"]
        await talk.send(settings(answers=True))
        await talk.turn("D?")
        assert talk.last == "D?"


@in_time
async def test_a_response_waits_for_the_end_of_an_utterance_that_the_client_has_ended() -> None:
    async with talking("One.", "Two.") as talk:
        await talk.send(settings(answers=False))
        await talk.send(FinalAudioFrame(bytes(640), 16000, 1), RespondFrame())
        assert not talk.model.asked
        await talk.turn("A?")
        assert talk.last == "A?"
        assert talk.told == [UTTERANCE_OVER]
        await talk.send(FinalAudioFrame(bytes(640), 16000, 1), RespondFrame())
        await asyncio.sleep(BEGIN_SECS)
        assert len(talk.model.asked) == 2, "there was nothing to be heard in it"
        assert talk.told == [UTTERANCE_OVER, UTTERANCE_OVER]


@in_time
async def test_a_response_waits_for_an_utterance_that_it_has_overtaken() -> None:
    final = FinalAudioFrame(bytes(640), 16000, 1)
    async with talking("One.", "Two.", "Three.") as talk:
        await talk.send(settings(answers=False))
        await talk.send(RespondFrame(utterances=1))
        await talk.turn("A,")
        await asyncio.sleep(1)
        assert not talk.model.asked, "its end has not come"
        await talk.send(UserStartedSpeakingFrame(), final)
        await talk.turn("B?")
        assert [m["content"] for m in talk.model.asked[-1]] == ["A,", "B?"]
        await talk.send(RespondFrame(utterances=1))
        assert len(talk.model.asked) == 2, "that one is over"
        await talk.send(RespondFrame(utterances=2))
        await asyncio.sleep(ARRIVE_SECS)
        assert len(talk.model.asked) == 3, "one that does not come is not waited for for ever"


@in_time
async def test_a_turn_that_is_answered_by_itself_is_answered_once() -> None:
    async with talking("One.", "Two.") as talk:
        await talk.send(UserStartedSpeakingFrame(), RespondFrame())
        await talk.turn("A?")
        await asyncio.sleep(BEGIN_SECS)
        assert [m["content"] for m in talk.model.asked[-1]] == ["A?"]
        await talk.send(UserStartedSpeakingFrame(), RespondFrame())
        await talk.turn("")
        await asyncio.sleep(WRITE_SECS)
        assert len(talk.model.asked) == 2, "but what held no words is not"


@in_time
async def test_a_tool_of_the_clients_returns_what_the_client_says_and_is_answered_at_its_word() -> (
    None
):
    async with talking(["look", "look"], "It is blue.") as talk:
        await talk.send(settings(LOOK))
        await talk.turn("What do you see?")
        assert talk.model.offered[0] == {"book": "Book.", "look": "look"}
        await talk.send(ToolOutputFrame("c1", '{"sky": "blue"}'))
        await asyncio.sleep(1)
        assert len(talk.model.asked) == 1
        await talk.send(ToolOutputFrame("c2", "nothing"), RespondFrame())
        told = [m["content"] for m in talk.model.asked[-1] if m["role"] == "tool"]
        assert told == ['{"sky": "blue"}', '"nothing"']
        assert talk.recorded == ["look", "look"]


@in_time
async def test_the_next_answer_waits_until_the_bot_has_said_what_it_was_saying() -> None:
    async with talking(["look"], "It is blue.") as talk:
        await talk.send(settings(LOOK))
        await talk.turn("What do you see?")
        await talk.bot_speaks(BotStartedSpeakingFrame())
        await talk.send(ToolOutputFrame("c1", "1"), RespondFrame())
        assert len(talk.model.asked) == 1
        await talk.bot_speaks(BotStoppedSpeakingFrame())
        assert talk.last == "1"


@in_time
async def test_what_comes_after_an_interruption_is_told_all_the_same() -> None:
    async with talking(["look"], "Yes?", "It is blue.") as talk:
        await talk.send(settings(LOOK))
        await talk.turn("What do you see?")
        await talk.send(InterruptionFrame())
        await talk.turn("Hello?")
        assert "was stopped" in str(talk.model.asked[-1])
        await talk.send(ToolOutputFrame("c1", '{"sky": "blue"}'), RespondFrame())
        told = [m["content"] for m in talk.model.asked[-1] if m["role"] == "tool"]
        assert told == ['{"sky": "blue"}']


@in_time
async def test_a_client_that_does_not_answer_is_not_waited_for_without_end() -> None:
    async with talking(["look"], "I cannot see.") as talk:
        await talk.send(settings(LOOK))
        await talk.turn("What do you see?")
        await asyncio.sleep(CLIENT_SECS)
        assert talk.last == "CANCELLED"


@in_time
async def test_a_client_that_wants_to_hear_no_more_is_not_answered_later() -> None:
    async with talking("One.") as talk:
        await talk.send(settings(answers=False))
        await talk.send(FinalAudioFrame(bytes(640), 16000, 1), RespondFrame())
        await talk.send(ClientInterruptionFrame())
        await talk.turn("A?")
        assert not talk.model.asked


@in_time
async def test_the_bots_own_tools_go_before_those_of_the_same_name() -> None:
    async with talking(["book"], "Booked.", "Yes.") as talk:
        await talk.send(settings(BOOK, LOOK))
        await talk.turn("Book me.")
        assert talk.model.offered[0] == {"book": "Book.", "look": "look"}
        assert talk.last == '{"booked": true}'
        assert talk.model.offered[1] == talk.model.offered[0]
        assert talk.told == [{"type": TOOLS_LEFT_OUT, "names": ["book"]}]
        await talk.send(settings())
        await talk.turn("Did you?")
        assert talk.model.offered[-1] == {"book": "Book."}


@in_time
async def test_instructions_hold_from_then_on_or_for_one_response() -> None:
    async with talking("Hello.", "Bye.") as talk:
        await talk.send(settings(instructions="You are Max."))
        assert talk.model.instructions == "You are Max."
        await talk.send(settings())
        assert talk.model.instructions == "You are Max."
        await talk.send(RespondFrame("Greet."))
        assert talk.model.asked[-1] == [{"role": "developer", "content": "Greet."}]
        await talk.send(ClientMessageFrame("user", "Bye."), RespondFrame())
        assert [m["content"] for m in talk.model.asked[-1]] == ["Hello.", "Bye."]


def test_no_interruption_drops_what_a_client_wants() -> None:
    frames: Sequence[ClientFrame] = (
        RespondFrame(),
        ToolOutputFrame("c1", ""),
        ClientMessageFrame("user", ""),
    )
    assert not any(frame.interruptible for frame in frames)
    with pytest.raises(TypeError):
        RespondFrame(interruptible=True)  # type: ignore[call-arg]
