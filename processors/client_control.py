"""What a client has a say in beside what its user says: tools of its own, and when the bot answers.

`ClientControl` stands behind the user aggregator, where the conversation is on its way to whatever
answers, be it one or several.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, TypeAlias, cast

from pipecat.adapters.llm.schemas.direct_function import tool_options
from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    ControlFrame,
    Frame,
    FunctionCallCancelFrame,
    FunctionCallResultProperties,
    InterruptionFrame,
    LLMConfigureOutputFrame,
    LLMContextFrame,
    LLMContextUserTurnFrame,
    LLMUpdateSettingsFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext, LLMContextMessage
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.processors.frameworks.rtvi.frames import RTVISendTextFrame, RTVIServerMessageFrame
from pipecat.services.llm_service import FunctionCallParams
from pipecat.services.settings import LLMSettings

from processors.push_to_talk import FinalAudioFrame

CLIENT_SECS = 30.0
"""How long a client may take for a tool of its own, until the language model is told that it does
not answer."""

BEGIN_SECS = 1.0
"""How long after an utterance that was sent at once it is known whether it holds any speech."""

ARRIVE_SECS = 10.0
"""How long the end of an utterance may take to get here: its sound goes on not much faster than it
was spoken, and nobody hears it who may not interrupt."""

WRITE_SECS = 2.0
"""How long after a turn that has ended without words these may still come, on a slow machine."""

UTTERANCE_OVER = {"type": "utterance-over"}
"""What a client is told when all is known of an utterance that it has ended itself."""

TOOLS_LEFT_OUT = "tools-left-out"
"""What tells a client that tools of its own, by their `names`, are not taken."""

Handler: TypeAlias = Callable[[FunctionCallParams], Awaitable[None]]


@dataclass(frozen=True)
class ClientTool:
    """A tool that a client runs.

    Attributes:
        name: As the language model calls it.
        description: What it is for.
        parameters: JSON schema of its arguments, an object.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass
class ClientFrame(ControlFrame):
    """What a client wants; no interruption drops it."""

    interruptible: bool = field(default=False, init=False)


@dataclass
class ClientSettingsFrame(ClientFrame):
    """How a client wants the conversation to be held from now on.

    Attributes:
        instructions: Who the bot is; None for as it was.
        tools: The client's own, all of them.
        answers_turns: Whether what the user says is answered by itself, or at the client's word.
        is_spoken: Whether answers are spoken, or only written.
    """

    instructions: str | None
    tools: Sequence[ClientTool]
    answers_turns: bool
    is_spoken: bool


@dataclass
class ClientMessageFrame(ClientFrame):
    """Something that the client adds to the conversation.

    Attributes:
        role: Whose words they are; `developer` for what the bot is told.
        text: They.
    """

    role: Literal["user", "assistant", "developer"]
    text: str


@dataclass
class ToolOutputFrame(ClientFrame):
    """What a tool of the client's has returned.

    Attributes:
        call_id: The language model's name for its call.
        output: JSON, or any text.
    """

    call_id: str
    output: str


@dataclass
class RespondFrame(ClientFrame):
    """The client wants the bot to answer what is there.

    Attributes:
        instructions: What the bot is told for this answer alone; "" for nothing.
        utterances: How many the client has ended by now, each by a `FinalAudioFrame`, which may
            come here behind this.
    """

    instructions: str = ""
    utterances: int = 0


@dataclass
class ClientInterruptionFrame(InterruptionFrame):
    """The client wants to hear no more of what is being said, nor what it has asked for."""


class ClientControl(FrameProcessor):
    """Does what a client wants, and changes nothing for one that wants nothing.

    A call of a client's tool ends when its output has come, and is not answered before the client
    says so. The user may interrupt it, as any tool; an output that comes after is still told.

    Args:
        context: The conversation.
        own_tools: Tools of the bot's own.
        taken: Names of tools that are the bot's own, be it of some who have the caller by turns:
            these go before a client's of the same name, which is told so.
        on_record: Returns a tool that is the same, and recorded.
        client_secs: How long the client may take for a tool.
    """

    def __init__(
        self,
        context: LLMContext,
        own_tools: Sequence[Any],
        *,
        taken: Collection[str],
        on_record: Callable[[Handler], Handler],
        client_secs: float = CLIENT_SECS,
    ) -> None:
        super().__init__()
        self._context = context
        self._own_tools = own_tools
        self._taken = frozenset(taken)

        @tool_options(timeout_secs=client_secs)
        async def ask(params: FunctionCallParams) -> None:
            await self._ask(params)

        self._handler = on_record(ask)
        self._tools: Sequence[ClientTool] = ()
        self._answers_turns = True
        self._is_spoken = True
        self._outputs: dict[str, asyncio.Future[Any]] = {}
        self._cancelled: set[str] = set()
        # Outputs that are on their way into the conversation.
        self._unwritten: set[str] = set()
        self._wanted: RespondFrame | None = None
        self._bot_speaks = False
        self._user_speaks = False
        self._utterances = 0
        # Whether a turn of the user's will be in the conversation soon, until when at the most, and
        # whether the client has ended it.
        self._turn_is_due = False
        self._is_released = False
        self._grace: asyncio.Task[None] | None = None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Do what the client wants; pass on everything else."""
        await super().process_frame(frame, direction)
        match frame:
            case LLMContextFrame() if direction is FrameDirection.DOWNSTREAM:
                if not self._answers_turns:
                    return
            case ClientSettingsFrame():
                return await self._go_by(frame)
            case ClientMessageFrame():
                return await self._add(frame)
            case ToolOutputFrame():
                return self._take(frame)
            case RespondFrame():
                return await self._want(frame)
        await self.push_frame(frame, direction)
        await self._follow(frame, direction)

    async def cleanup(self) -> None:
        """Stop waiting."""
        await super().cleanup()
        await self._wait_no_more()

    async def _follow(self, frame: Frame, direction: FrameDirection) -> None:
        """See in a frame whether the bot can answer now."""
        match frame:
            case ClientInterruptionFrame():
                self._wanted = None
            case FinalAudioFrame():
                self._utterances += 1
                self._is_released = True
                if not self._user_speaks:
                    await self._await_turn(BEGIN_SECS)
            case UserStartedSpeakingFrame() if direction is FrameDirection.DOWNSTREAM:
                await self._wait_no_more()
                self._user_speaks = self._turn_is_due = True
            case UserStoppedSpeakingFrame() if direction is FrameDirection.DOWNSTREAM:
                self._user_speaks = False
                await self._await_turn(WRITE_SECS)
            case LLMContextUserTurnFrame() if direction is FrameDirection.DOWNSTREAM:
                await self._wait_no_more()
                if self._answers_turns:
                    # That is the answer.
                    self._wanted = None
                await self._end_turn()
            case BotStartedSpeakingFrame():
                self._bot_speaks = True
            case BotStoppedSpeakingFrame():
                self._bot_speaks = False
                await self._respond()
            case FunctionCallCancelFrame(function_name=name, tool_call_id=call_id):
                if any(tool.name == name for tool in self._tools):
                    self._outputs.pop(call_id, None)
                    self._unwritten.discard(call_id)
                    self._cancelled.add(call_id)

    async def _go_by(self, wanted: ClientSettingsFrame) -> None:
        self._answers_turns = wanted.answers_turns
        self._tools = [tool for tool in wanted.tools if tool.name not in self._taken]
        if taken := sorted(self._taken & {tool.name for tool in wanted.tools}):
            left_out = {"type": TOOLS_LEFT_OUT, "names": taken}
            await self.push_frame(RTVIServerMessageFrame(data=left_out))
        self._context.set_tools([*self._own_tools, *map(self._schema, self._tools)])
        if wanted.instructions is not None:
            delta = LLMSettings(system_instruction=wanted.instructions)
            await self.push_frame(LLMUpdateSettingsFrame(delta=delta, reach_inactive_services=True))
        if wanted.is_spoken is not self._is_spoken:
            self._is_spoken = wanted.is_spoken
            await self.push_frame(LLMConfigureOutputFrame(skip_tts=not wanted.is_spoken))

    def _schema(self, tool: ClientTool) -> FunctionSchema:
        return FunctionSchema(
            tool.name,
            # Without one, a language model takes no tool.
            tool.description or tool.name,
            tool.parameters.get("properties", {}),
            tool.parameters.get("required", []),
            self._handler,
        )

    async def _add(self, message: ClientMessageFrame) -> None:
        self._context.add_message(
            cast(LLMContextMessage, {"role": message.role, "content": message.text})
        )
        if message.role == "user":
            # By this it comes into the transcript.
            await self.push_frame(RTVISendTextFrame(msg_id=str(message.id), text=message.text))

    async def _ask(self, params: FunctionCallParams) -> None:
        """Wait for what the client's tool returns, and write it down."""
        call_id = params.tool_call_id
        output = await self._output(call_id)
        del self._outputs[call_id]
        await params.result_callback(
            output,
            properties=FunctionCallResultProperties(
                run_llm=False, on_context_updated=partial(self._have_written, call_id)
            ),
        )

    def _output(self, call_id: str) -> asyncio.Future[Any]:
        """Return what will hold the output of a call, whichever side asks first."""
        if call_id not in self._outputs:
            self._outputs[call_id] = asyncio.get_running_loop().create_future()
        return self._outputs[call_id]

    def _take(self, frame: ToolOutputFrame) -> None:
        try:
            output = json.loads(frame.output)
        except ValueError:
            output = frame.output
        if frame.call_id not in self._cancelled:
            self._unwritten.add(frame.call_id)
            self._output(frame.call_id).set_result(output)
            return
        self._cancelled.discard(frame.call_id)
        for message in self._context.get_messages():
            if isinstance(message, dict) and message.get("tool_call_id") == frame.call_id:
                message["content"] = json.dumps(output, ensure_ascii=False)

    async def _have_written(self, call_id: str) -> None:
        self._unwritten.discard(call_id)
        await self._respond()

    async def _want(self, wanted: RespondFrame) -> None:
        self._wanted = wanted
        if self._utterances < wanted.utterances and not self._turn_is_due:
            await self._await_turn(ARRIVE_SECS)
        await self._respond()

    async def _respond(self) -> None:
        """Have the bot answer, if that is wanted and all is there that is to be answered."""
        wanted = self._wanted
        if not wanted or self._unwritten or self._bot_speaks or self._turn_is_due:
            return
        self._wanted = None
        context = self._context
        if wanted.instructions:
            told: LLMContextMessage = {"role": "developer", "content": wanted.instructions}
            context = LLMContext([*context.messages, told], context.tools, context.tool_choice)
        await self.push_frame(LLMContextFrame(context))

    async def _await_turn(self, secs: float) -> None:
        """Wait for a turn of the user's that may hold no words."""
        await self._wait_no_more()
        self._turn_is_due = True
        self._grace = self.create_task(self._give_up_turn(secs), "grace")

    async def _give_up_turn(self, secs: float) -> None:
        await asyncio.sleep(secs)
        self._grace = None
        if self._wanted:
            self._utterances = max(self._utterances, self._wanted.utterances)
        await self._end_turn()

    async def _end_turn(self) -> None:
        self._turn_is_due = False
        if self._is_released:
            self._is_released = False
            await self.push_frame(RTVIServerMessageFrame(data=UTTERANCE_OVER))
        if self._wanted:
            await self._want(self._wanted)

    async def _wait_no_more(self) -> None:
        if self._grace:
            task, self._grace = self._grace, None
            await self.cancel_task(task)
