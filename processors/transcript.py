"""Who said what in a call, and which tools ran: put together from what its pipeline does."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from pipecat.frames.frames import (
    AggregatedTextFrame,
    BotStartedSpeakingFrame,
    InterruptionFrame,
    LLMContextUserTurnFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TranscriptionFrame,
    TTSSpeakFrame,
    TTSTextFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.observers.base_observer import BaseObserver, FramePushed
from pipecat.observers.function_call_observer import FunctionCallEvent, FunctionCallEventKind
from pipecat.processors.aggregators.llm_context import LLMStandardMessage
from pipecat.processors.aggregators.llm_response_universal import (
    AssistantTurnStoppedMessage,
    LLMAssistantAggregator,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.processors.frameworks.rtvi.frames import RTVISendTextFrame

from processors.bot_words import BotWordsQueue
from processors.turn_order import TurnOrder

SETTLE_SECS = 1.5
"""How long a tool waits for the transcript of what it is called for."""


class Speaker(StrEnum):
    """Whose turn it was."""

    USER = "user"
    BOT = "bot"


@dataclass(frozen=True)
class Turn:
    """What somebody said, and what came of it.

    Attributes:
        speaker: Who.
        heard: What the other side heard of it: the transcript of what the user said; of the bot's
            words those whose sound was played.
        started_at: When it began to sound, UTC; of a turn of the bot that never did, when the bot
            began to think of it.
        ended_at: When it was over, UTC.
        generated: What the language model wrote; "" for the user, and for words that are the
            bot's own, such as a greeting.
        spoken: What was given to the voice; "" for the user.
        interrupted: Whether the user spoke over it.
    """

    speaker: Speaker
    heard: str
    started_at: datetime
    ended_at: datetime
    generated: str = ""
    spoken: str = ""
    interrupted: bool = False


class ToolOutcome(StrEnum):
    """What became of the call of a tool."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class ToolCall:
    """The call of a tool, when it begins and again when it is over.

    Attributes:
        call_id: The language model's name for it, unique within a call.
        tool: Which tool.
        outcome: What became of it.
        at: When it came to that, UTC.
        arguments: What the tool was given; None when it is over.
        result: What it returned, where it did.
        error: What went wrong, where something did.
    """

    call_id: str
    tool: str
    outcome: ToolOutcome
    at: datetime
    arguments: Any = None
    result: Any = None
    error: str | None = None


Past = Sequence[Turn | ToolCall]
"""What was said and done in a conversation, in its order; each tool call once, with its result."""

NOT_KNOWN = (
    "The line was cut while this ran. It is not known whether it was done: look before you do it "
    "again."
)

_OUTCOMES = {
    FunctionCallEventKind.IN_PROGRESS: ToolOutcome.RUNNING,
    FunctionCallEventKind.COMPLETED: ToolOutcome.COMPLETED,
    FunctionCallEventKind.FAILED: ToolOutcome.FAILED,
    FunctionCallEventKind.TIMED_OUT: ToolOutcome.TIMED_OUT,
    FunctionCallEventKind.CANCELLED: ToolOutcome.CANCELLED,
}


def tool_call(event: FunctionCallEvent) -> ToolCall | None:
    """Return what Pipecat tells of a tool; None for one that only waits to be run."""
    if event.kind not in _OUTCOMES:
        return None
    return ToolCall(
        event.tool_call_id,
        event.function_name,
        _OUTCOMES[event.kind],
        datetime.fromtimestamp(event.timestamp, UTC),
        event.arguments,
        event.result,
        event.error,
    )


def to_messages(past: Past) -> list[LLMStandardMessage]:
    """Return a conversation as a language model knows it, in which it can be gone on with.

    Of the bot's words it holds those that were heard. A last turn of the bot that was cut off is
    left out: what it answered waits for an answer again.
    """
    if past and isinstance(last := past[-1], Turn) and last.speaker is Speaker.BOT:
        past = past[:-1] if last.interrupted else past
    messages: list[LLMStandardMessage] = []
    for happened in past:
        match happened:
            case Turn(speaker=Speaker.USER, heard=words):
                messages.append({"role": "user", "content": words})
            case Turn(heard=words) if words:
                messages.append({"role": "assistant", "content": words})
            case ToolCall():
                messages += _tool_messages(happened)
    return messages


def _tool_messages(call: ToolCall) -> list[LLMStandardMessage]:
    """Return the call of a tool and what it gave, as Pipecat's aggregator writes them."""
    arguments = json.dumps(call.arguments, ensure_ascii=False)
    match call.outcome:
        case ToolOutcome.RUNNING:
            result = NOT_KNOWN
        case ToolOutcome.COMPLETED:
            result = json.dumps(call.result, ensure_ascii=False)
        case _:
            result = call.error or call.outcome.value.upper()
    return [
        {
            "role": "assistant",
            "tool_calls": [
                {
                    "id": call.call_id,
                    "function": {"name": call.tool, "arguments": arguments},
                    "type": "function",
                }
            ],
        },
        {"role": "tool", "content": result, "tool_call_id": call.call_id},
    ]


class TranscriptObserver(BaseObserver):
    """Reports every turn when it is over, and every tool, in the order in which they began.

    A speech-to-speech service answers what it hears, and transcribes it meanwhile: what the bot
    says and does then is kept until it is known what it answers.

    Args:
        report: Called with each.
    """

    def __init__(self, report: Callable[[Turn | ToolCall], Awaitable[None]]) -> None:
        super().__init__(observe_every_push=False)
        self._report = report
        self._words = BotWordsQueue()
        self._sounds_since: datetime | None = None
        self._is_speech_to_speech = False
        self._order: TurnOrder[Turn | ToolCall] = TurnOrder()
        self._reporting = asyncio.Lock()
        self._changed = asyncio.Event()

    def follow(self, assistant: LLMAssistantAggregator, *, is_speech_to_speech: bool) -> None:
        """Take the bot's turns from here on from `assistant`, which knows what was played."""
        self._is_speech_to_speech = is_speech_to_speech
        assistant.add_event_handler("on_assistant_turn_stopped", self._on_bot_turn)

    async def tell_tool(self, call: ToolCall) -> None:
        """Report a tool that has begun or is over."""
        await self._add(call, call.at)

    async def settle(self) -> None:
        """Wait until everything is reported that has been said so far.

        It does not take long: then everything is reported that there is, without what was said.
        """
        try:
            async with asyncio.timeout(SETTLE_SECS):
                while self._order.is_waiting:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            await self.close()

    async def close(self) -> None:
        """Report what is left: no transcript will come any more."""
        await self._tell(self._order.take_all())

    async def on_push_frame(self, data: FramePushed) -> None:
        """Follow a frame that was pushed for the first time."""
        if self._is_speech_to_speech:
            await self._follow_user(data)
        match data.frame:
            case LLMFullResponseStartFrame():
                self._words.begin()
            case LLMTextFrame(text=text):
                self._words.write(text)
            case TTSSpeakFrame(text=text):
                self._words.say(text)
            case TTSTextFrame():
                pass
            case AggregatedTextFrame(text=text, will_be_spoken=True):
                self._words.speak(text)
            case InterruptionFrame():
                self._words.cut_off()
            case BotStartedSpeakingFrame():
                self._sounds_since = self._sounds_since or datetime.now(UTC)
            case LLMContextUserTurnFrame(text=text, timestamp=timestamp):
                # It is sent both ways.
                if data.direction is FrameDirection.DOWNSTREAM and not self._is_speech_to_speech:
                    await self._report_user(text, datetime.fromisoformat(timestamp))
            case RTVISendTextFrame(text=text):
                await self._report_user(text, datetime.now(UTC))

    async def _follow_user(self, data: FramePushed) -> None:
        """Follow what a speech-to-speech service tells of the user."""
        now = datetime.now(UTC)
        is_downstream = data.direction is FrameDirection.DOWNSTREAM
        match data.frame:
            case UserStartedSpeakingFrame() if is_downstream:
                self._order.begin(now)
            case UserStoppedSpeakingFrame() if is_downstream:
                self._order.end(now)
            case TranscriptionFrame(text=text) if text.strip():
                begun_at, ended_at = self._order.times(now)
                self._order.said(Turn(Speaker.USER, text.strip(), begun_at, ended_at), now)
        if self._order.is_waiting:
            await self._tell(self._order.take(now))

    async def _report_user(self, text: str, started_at: datetime) -> None:
        await self._add(Turn(Speaker.USER, text, started_at, datetime.now(UTC)), started_at)

    async def _add(self, item: Turn | ToolCall, begun_at: datetime) -> None:
        if not self._is_speech_to_speech:
            return await self._report(item)
        self._order.add(item, begun_at)
        await self._tell(self._order.take(datetime.now(UTC)))

    async def _tell(self, items: Sequence[Turn | ToolCall]) -> None:
        async with self._reporting:
            for item in items:
                await self._report(item)
        self._changed.set()

    async def _on_bot_turn(self, _: object, message: AssistantTurnStoppedMessage) -> None:
        generated, spoken = self._words.take(message.content, interrupted=message.interrupted)
        turn = Turn(
            Speaker.BOT,
            message.content,
            self._sounds_since or datetime.fromisoformat(message.timestamp),
            datetime.now(UTC),
            generated=generated,
            spoken=generated if self._is_speech_to_speech else spoken,
            interrupted=message.interrupted,
        )
        self._sounds_since = None
        if turn.heard or turn.generated or turn.spoken:
            await self._add(turn, turn.started_at)
