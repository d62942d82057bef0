"""Several who can answer in one conversation: one has the caller, and puts them through to another.

A caller is put through by a tool, so that the conversation itself tells who has them.
"""

import json
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
from pipecat.frames.frames import (
    EagerEndOfTurnCancelFrame,
    Frame,
    FunctionCallFromLLM,
    FunctionCallInProgressFrame,
    FunctionCallResultFrame,
    FunctionCallResultProperties,
    FunctionCallsStartedFrame,
    LLMContextFrame,
    LLMTextFrame,
    TTSSpeakFrame,
    TTSUpdateSettingsFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.service_switcher import ServiceSwitcher, ServiceSwitcherStrategy
from pipecat.processors.aggregators.llm_context import (
    LLMContext,
    LLMContextMessage,
    LLMSpecificMessage,
    standard_message_text,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.llm_service import FunctionCallParams
from pipecat.services.settings import TTSSettings
from pipecat.utils.types import is_given

from processors.knowledge import asked_in, with_context
from processors.text_agent import AgentFailed, Handoff
from processors.withdrawn import HeedsWithdrawals

TOOL = "put_through"
"""The tool; under the same key its result tells to whom the caller was put through."""

MAX_TRANSFERS = 2
"""How often a caller is put through before they are answered: to the first that is asked and on."""

TAKE_OVER = "You have the caller now. Answer what they want at once, without a greeting."

Handler = Callable[[FunctionCallParams], Awaitable[None]]


@dataclass(frozen=True)
class Line:
    """Somebody who can answer.

    Attributes:
        description: What they are asked for, for those who put callers through.
        brain: What answers: facts, and behind them a language model or an agent.
        tools: What their language model may call while they have the caller.
        voice: What is changed about the voice when they take over; None for nothing.
    """

    description: str
    brain: Sequence[FrameProcessor]
    tools: Sequence[Any] = ()
    voice: TTSSettings | None = None


def transfers_in(messages: Sequence[LLMContextMessage]) -> list[str]:
    """Return to whom the caller has been put through in a conversation, in order."""
    results = [
        standard_message_text(message)
        for message in messages
        if not isinstance(message, LLMSpecificMessage) and message["role"] == "tool"
    ]
    return [to for result in results if (to := transfer_in(_parsed(result)))]


def transfers_since_asked(messages: Sequence[LLMContextMessage]) -> int:
    """Return how often the caller has been put through since their last words."""
    last = asked_in(messages)[-1:] or [0]
    return len(transfers_in(messages[last[0] :]))


def transfer_in(result: Any) -> str | None:
    """Return to whom the caller was put through, by what a tool has returned; None if to nobody."""
    to = result.get(TOOL) if isinstance(result, Mapping) else None
    return to if isinstance(to, str) else None


def transfer_tool(colleagues: Mapping[str, str], handler: Handler) -> FunctionSchema:
    """Return the tool by which a language model puts a caller through.

    Args:
        colleagues: To whom, by name, and what they are asked for.
        handler: Does it.
    """
    return FunctionSchema(
        name=TOOL,
        description="Put the caller through to a colleague, who knows all that has been said.",
        properties={
            "to": {
                "type": "string",
                "enum": list(colleagues),
                "description": "\n".join(f"{name}: {it}" for name, it in colleagues.items()),
            },
            "why": {
                "type": "string",
                "description": "What the caller wants from them, in a few words.",
            },
            "say": {
                "type": "string",
                "description": "What you tell the caller meanwhile, in one short sentence.",
            },
        },
        required=["to", "why", "say"],
        handler=handler,
    )


def _parsed(result: str) -> Any:
    try:
        return json.loads(result)
    except ValueError:
        return None


class _ByName(ServiceSwitcherStrategy):
    """Has one line active until another is called."""

    async def call(self, line: FrameProcessor) -> None:
        # Not by a frame: an interruption would drop it, and the conversation tell otherwise.
        await self._set_active_if_available(line)


class Switchboard(HeedsWithdrawals, ServiceSwitcher[_ByName]):
    """Stands in the place of facts and language model, and has one line answer at a time.

    What one says is a turn of its own; the next thinks while it is spoken, and answers behind it.

    Args:
        lines: Who can answer, by the names that callers are put through to.
        first: Who has the caller at first.
        announcement: What is said where who puts a caller through says nothing; "" for nothing.
        on_record: Returns a tool that is the same, and recorded.
        find: Tells whose business a question is, where language models are too small for the tool;
            None has them decide. It returns None where that is not clear.
    """

    def __init__(
        self,
        lines: Mapping[str, Line],
        *,
        first: str,
        announcement: str,
        on_record: Callable[[Handler], Handler],
        find: Callable[[str], Awaitable[str | None]] | None = None,
    ) -> None:
        self._lines = lines
        self._brains = {name: Pipeline(line.brain) for name, line in lines.items()}
        order = sorted(self._brains, key=lambda name: name != first)
        super().__init__([self._brains[name] for name in order], _ByName)
        self._announcement = announcement
        self._find = find
        self._tools = {} if find else {name: self._tool(name, on_record) for name in lines}
        self._context = LLMContext()
        self._turn_is_over = False
        # What somebody else is to answer when the turn is over.
        self._waiting: LLMContextFrame | None = None
        # Since somebody was asked last.
        self._has_spoken = False
        # What is to be said, and how the voice is to sound, when somebody takes over.
        self._announced = ""
        self._voice: TTSSettings | None = None

    @property
    def active(self) -> str:
        """Who has the caller."""
        [name] = [n for n, it in self._brains.items() if it is self.strategy.active_service]
        return name

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Ask who has the caller, and nobody else."""
        match frame:
            case LLMContextFrame():
                return await self._ask(frame)
            case UserStartedSpeakingFrame():
                self._turn_is_over = False
            case UserStoppedSpeakingFrame():
                self._turn_is_over = True
                waiting, self._waiting = self._waiting, None
                if waiting:
                    await self.queue_frame(waiting)
            case EagerEndOfTurnCancelFrame():
                self.note_withdrawal(frame)
                self._waiting = None
        await super().process_frame(frame, direction)

    async def _ask(self, frame: LLMContextFrame) -> None:
        self._context, self._waiting = frame.context, None
        to = await self._somebody_else()
        if self.is_withdrawn(frame):
            return
        if to:
            if frame.speculation and not self._turn_is_over:
                # It cannot be taken back: it is seen to when the turn has ended.
                self._waiting = frame
                return
            await self._call(to, self._announcement)
            await self._show(Handoff(to), run_llm=False)
        await self._introduce()
        # What a tool has given is answered from before the facts, too: who takes over has not seen
        # any; nor have they been told that the turn is over.
        speculation = frame.speculation and not self._turn_is_over
        asked = with_context(frame, self._equipped(frame.context), speculation)
        await super().process_frame(asked, FrameDirection.DOWNSTREAM)

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        """Push a frame, and take note of whether it is something to be said."""
        if isinstance(frame, LLMTextFrame) and frame.text.strip():
            self._has_spoken = True
        await super().push_frame(frame, direction)

    async def hand_over(self, who: str, handoff: Handoff) -> None:
        """Put the caller through because an agent wants that, and have the next one answer.

        Args:
            who: Whose agent it is.
            handoff: To whom, and why.

        Raises:
            AgentFailed: If that cannot be done; the caller waits for an answer.
        """
        if refusal := self._refusal(who, handoff.to):
            raise AgentFailed(f"cannot be put through to '{handoff.to}': {refusal['error']}")
        await self._call(handoff.to, "" if self._has_spoken else self._announcement)
        await self._show(handoff, run_llm=True)

    async def give_back(self, who: str, to: str) -> None:
        """Have somebody else have the caller from their next words on, because an agent has failed.

        Args:
            who: Whose agent it is.
            to: Who has the caller then.
        """
        if who == self.active and who != to:
            await self._call(to, "")
            await self._show(Handoff(to, f"{who} does not answer"), run_llm=False)

    def _equipped(self, context: LLMContext) -> LLMContext:
        """Return a conversation with its own tools and those of who has the caller."""
        tools: list[Any] = [*context.tools.standard_tools] if is_given(context.tools) else []
        tools += self._lines[self.active].tools
        transfer = self._tools.get(self.active)
        if transfer and transfers_since_asked(context.messages) < MAX_TRANSFERS:
            tools.append(transfer)
        return LLMContext(context.messages, tools=tools, tool_choice=context.tool_choice)

    def _tool(self, who: str, on_record: Callable[[Handler], Handler]) -> FunctionSchema:
        colleagues = {name: it.description for name, it in self._lines.items() if name != who}
        return transfer_tool(colleagues, on_record(partial(self._put_through, who)))

    async def _put_through(self, who: str, params: FunctionCallParams) -> None:
        to, say = params.arguments.get("to"), params.arguments.get("say")
        if refusal := self._refusal(who, to):
            await params.result_callback(refusal)
            return
        words = say.strip() if isinstance(say, str) else ""
        await self._call(cast(str, to), "" if self._has_spoken else words or self._announcement)
        await params.result_callback(_result(cast(str, to)))

    def _refusal(self, who: str, to: Any) -> Mapping[str, str] | None:
        """Return why a caller cannot be put through, as a tool is answered; None if they can."""
        if who != self.active:
            return {"error": "put_through_already", "ask": "Say nothing more."}
        if to not in self._lines or to == who:
            names = ", ".join(name for name in self._lines if name != who)
            return {"error": "unknown_colleague", "ask": f"The colleagues are: {names}."}
        if transfers_since_asked(self._context.messages) >= MAX_TRANSFERS:
            return {"error": "put_through_too_often", "ask": "Answer the caller yourself."}
        return None

    async def _somebody_else(self) -> str | None:
        """Return whose business it is what the caller wants, if not of who has them."""
        messages = self._context.messages
        asked = asked_in(messages)
        if not self._find or not asked or transfers_since_asked(messages):
            return None
        to = await self._find(standard_message_text(messages[asked[-1]]))
        return None if to == self.active else to

    async def _call(self, to: str, announcement: str) -> None:
        self._announced = announcement
        self._voice = self._lines[to].voice
        await self.strategy.call(self._brains[to])

    async def _introduce(self) -> None:
        """Have the voice say who takes over, if somebody does, and be theirs from then on.

        Not sooner than they are asked: a voice that speaks holds up what comes back to them.
        """
        if self._announced:
            await self.push_frame(TTSSpeakFrame(self._announced, append_to_context=True))
        if self._voice:
            await self.push_frame(TTSUpdateSettingsFrame(delta=copy(self._voice)))
        self._announced, self._voice, self._has_spoken = "", None, False

    async def _show(self, handoff: Handoff, *, run_llm: bool) -> None:
        """Have everybody see a transfer as the tool that it would be of a language model's.

        Args:
            handoff: To whom, and why.
            run_llm: Whether who takes over is to be asked behind it.
        """
        call_id = f"{TOOL}_{uuid.uuid4().hex}"
        arguments = {"to": handoff.to, "why": handoff.reason}
        call = FunctionCallFromLLM(TOOL, call_id, arguments, self._context)
        await self.broadcast_frame(FunctionCallsStartedFrame, function_calls=[call])
        await self.broadcast_frame(
            FunctionCallInProgressFrame,
            function_name=TOOL,
            tool_call_id=call_id,
            arguments=arguments,
            cancel_on_interruption=True,
        )
        await self.broadcast_frame(
            FunctionCallResultFrame,
            function_name=TOOL,
            tool_call_id=call_id,
            arguments=arguments,
            result=_result(handoff.to),
            properties=FunctionCallResultProperties(run_llm=run_llm),
        )


def _result(to: str) -> dict[str, str]:
    return {TOOL: to, "next": TAKE_OVER}
