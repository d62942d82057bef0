"""An agent that streams text as the brain of a bot: an `LLMService` that speaks for it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from dataclasses import fields, replace
from typing import Any

from loguru import logger
from pipecat.frames.frames import (
    EagerEndOfTurnCancelFrame,
    Frame,
    FunctionCallCancelFrame,
    FunctionCallFromLLM,
    FunctionCallInProgressFrame,
    FunctionCallResultFrame,
    FunctionCallResultProperties,
    FunctionCallsStartedFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    MetricsFrame,
    TTSSpeakFrame,
)
from pipecat.metrics.metrics import LLMTokenUsage, LLMUsageMetricsData
from pipecat.processors.aggregators.llm_context import (
    LLMContext,
    LLMContextMessage,
    LLMSpecificMessage,
    LLMStandardMessage,
    standard_message_text,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.llm_service import LLMService
from pipecat.services.settings import LLMSettings
from pipecat.utils.errors import ErrorCategory
from pipecat.utils.types import is_given

from processors.estimates import EstimatedUsage, estimated
from processors.text_agent import (
    AgentFailed,
    Chunk,
    Handoff,
    TextAgent,
    TokensUsed,
    ToolFinished,
    ToolStarted,
)
from processors.usage import on_behalf
from processors.withdrawn import HeedsWithdrawals

FIRST_SECS = 15.0
"""How long an agent may take to begin: an answer, or what it says behind a tool."""

IDLE_SECS = 8.0
"""How long it may fall silent in the midst of one."""

TOOL_SECS = 20.0
"""How long it may take for a tool; longer than tools have, which have deadlines of their own."""

CLOSE_SECS = 5.0
"""How long it may take to give up what it does, before it is left to itself."""


class _Stream:
    """What an agent gives out, read in a task of its own, which can be stopped without waiting.

    Args:
        chunks: From the agent.
        create_task: Makes the task.
    """

    def __init__(
        self,
        chunks: AsyncIterator[Chunk],
        create_task: Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]],
    ) -> None:
        self._chunks = chunks
        # With room for one, the agent is held up where its words are not taken.
        self._read: asyncio.Queue[Chunk | Exception | None] = asyncio.Queue(1)
        self._reading = create_task(self._read_all(), "agent")

    async def next(self, timeout_secs: float) -> Chunk | None:
        """Return what comes next; None at the end.

        Raises:
            AgentFailed: If the agent has failed, or nothing comes in time.
        """
        try:
            async with asyncio.timeout(timeout_secs):
                chunk = await self._read.get()
        except TimeoutError:
            raise AgentFailed(f"the agent has been silent for {timeout_secs:g} s") from None
        if isinstance(chunk, AgentFailed):
            raise chunk
        if isinstance(chunk, Exception):
            raise AgentFailed(f"the agent has failed: {type(chunk).__name__}") from chunk
        return chunk

    def stop(self) -> None:
        """Have the agent stop; see `stopped`."""
        self._reading.cancel()

    async def stopped(self) -> None:
        """Wait until the agent has stopped, but not for ever."""
        _, late = await asyncio.wait({self._reading}, timeout=CLOSE_SECS)
        if late:
            logger.warning("an agent does not stop within {:g} s", CLOSE_SECS)

    async def _read_all(self) -> None:
        end: Exception | None = None
        try:
            async for chunk in self._chunks:
                await self._read.put(chunk)
        except Exception as error:  # noqa: BLE001 - whatever it is, the user is told
            end = error
        finally:
            # Not every iterator is a generator, and one is not closed by its reader's end.
            if aclose := getattr(self._chunks, "aclose", None):
                await aclose()
        await self._read.put(end)


class AgentLLMService(HeedsWithdrawals, LLMService[Any]):
    """An agent as Pipecat's language model.

    Its tool calls are shown as any language model's are, though it runs them itself.

    Args:
        agent: Who answers; closed with this.
        apology: What is said where the agent fails or falls silent; "" for nothing.
        first_secs: How long the agent may take to begin.
        idle_secs: How long it may fall silent in the midst of an answer.
        tool_secs: How long it may take for a tool.

    Attributes:
        on_handoff: Called when the agent hands the conversation over, which ends its answer; None
            if nobody can take it: then that is a failure, as where this raises `AgentFailed`.
        on_failure: Called when the agent has failed and that was apologised for; None for nothing.
    """

    on_handoff: Callable[[Handoff], Awaitable[None]] | None = None
    on_failure: Callable[[], Awaitable[None]] | None = None

    def __init__(
        self,
        agent: TextAgent,
        *,
        apology: str,
        first_secs: float = FIRST_SECS,
        idle_secs: float = IDLE_SECS,
        tool_secs: float = TOOL_SECS,
    ) -> None:
        super().__init__(settings=_nothing_set())
        self._agent = agent
        self._apology = apology
        self._first_secs = first_secs
        self._idle_secs = idle_secs
        self._tool_secs = tool_secs
        self._stream: _Stream | None = None
        self._responds = False
        self._running: dict[str, ToolStarted] = {}
        # Of the answer that is made: what was written since it was told what that took, whether
        # something is not told yet, and whether anything is.
        self._written = ""
        self._is_due = False
        self._has_told = False
        self._last_told: TokensUsed | None = None

    def can_generate_metrics(self) -> bool:
        """Tell that it is measured how long the agent takes to begin."""
        return True

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Answer a context; pass on everything else."""
        self.note_withdrawal(frame)
        if isinstance(frame, LLMContextFrame) and self.is_withdrawn(frame):
            return
        await super().process_frame(frame, direction)
        if not isinstance(frame, LLMContextFrame):
            await self.push_frame(frame, direction)
        elif self._speculation_gate.is_speculating:
            # What an agent does cannot be taken back: tools run, and its memory is written, in
            # places that no gate holds. It is asked when the turn has ended, as Pipecat's language
            # models are whose answer calls a tool.
            await self.broadcast_frame(EagerEndOfTurnCancelFrame)
        else:
            await self._answer(frame.context)

    async def cleanup(self) -> None:
        """Stop and close the agent."""
        await super().cleanup()
        if self._stream:
            self._stream.stop()
            await self._stream.stopped()
        try:
            async with asyncio.timeout(CLOSE_SECS):
                await self._agent.aclose()
        except Exception as error:  # noqa: BLE001 - the call is over, and must end
            logger.warning("an agent cannot be closed: {!r}", error)

    async def _answer(self, context: LLMContext) -> None:
        failure: AgentFailed | None = None
        self._written, self._is_due, self._has_told = "", False, False
        try:
            await self._start_response()
            if self._stream:
                # The agent may still be about to write down how far it has come.
                await self._stream.stopped()
            question = question_in(context.get_messages())
            self._stream = _Stream(self._agent.stream_response(*question), self.create_task)
            self._is_due = True
            await self._give_out(self._stream, context)
        except AgentFailed as error:
            failure = error
        except asyncio.CancelledError:
            if self._is_due:
                await self._estimate(context)
            raise
        finally:
            # Where an interruption has cancelled this, the bot is not silent before it is over.
            if self._stream:
                self._stream.stop()
            await self._end_response()
            for call in [*self._running.values()]:
                await self._cancel_tool(call)
        # What an agent says of its own, behind what its model has written, takes nothing.
        if self._written and (failure or not self._has_told):
            await self._estimate(context)
        if failure:
            await self._apologise(failure)

    async def _apologise(self, failure: AgentFailed) -> None:
        cause = failure.__cause__ if isinstance(failure.__cause__, Exception) else failure
        # It cannot be told from here that a cause is there to stay.
        await self.push_error(str(failure), exception=cause, category=ErrorCategory.UNKNOWN)
        if self._apology:
            await self.push_frame(TTSSpeakFrame(self._apology, append_to_context=True))
        if self.on_failure:
            await self.on_failure()

    async def _give_out(self, stream: _Stream, context: LLMContext) -> None:
        wait_secs = self._first_secs
        while (chunk := await stream.next(wait_secs)) is not None:
            await self.stop_ttfb_metrics()
            wait_secs = self._first_secs
            match chunk:
                case str():
                    await self._say(chunk)
                    wait_secs = self._idle_secs
                case ToolStarted():
                    await self._start_tool(chunk, context)
                case ToolFinished():
                    await self._finish_tool(chunk)
                case TokensUsed():
                    await self._count(chunk)
                case Handoff():
                    return await self._hand_over(chunk)
            if self._running:
                wait_secs = self._tool_secs

    async def _count(self, used: TokensUsed) -> None:
        self._written, self._is_due, self._has_told = "", False, True
        self._last_told = used
        if not self.usage_metrics_enabled:
            return
        form = EstimatedUsage if used.is_estimated else LLMTokenUsage
        tokens = form(
            prompt_tokens=used.prompt,
            completion_tokens=used.completion,
            total_tokens=used.prompt + used.completion,
            cache_read_input_tokens=used.cached,
            cache_creation_input_tokens=used.cache_write,
        )
        name = on_behalf(used.provider, self.name) if used.provider else self.name
        data = LLMUsageMetricsData(processor=name, model=used.model, value=tokens)
        await self.push_frame(MetricsFrame(data=[data]))

    async def _estimate(self, context: LLMContext) -> None:
        """Count what was read and written that the agent has not told of, for it is paid for."""
        tokens = estimated(context, None, self._written)
        whose = self._last_told or TokensUsed(0, 0)
        used = replace(
            whose,
            prompt=tokens.prompt_tokens,
            completion=tokens.completion_tokens,
            cached=0,
            cache_write=0,
            is_estimated=True,
        )
        await self._count(used)

    async def _say(self, text: str) -> None:
        if text:
            self._written += text
            self._is_due = True
            await self._start_response()
            await self._push_llm_text(text)

    async def _start_response(self) -> None:
        if not self._responds:
            self._responds = True
            await self.push_frame(LLMFullResponseStartFrame())
            await self.start_processing_metrics()
            await self.start_ttfb_metrics()

    async def _end_response(self) -> None:
        if self._responds:
            self._responds = False
            await self.stop_processing_metrics()
            await self.push_frame(LLMFullResponseEndFrame())

    async def _start_tool(self, call: ToolStarted, context: LLMContext) -> None:
        # What was said before it is spoken meanwhile, also where it does not end like a sentence.
        await self._end_response()
        self._running[call.call_id] = call
        started = FunctionCallFromLLM(call.tool, call.call_id, call.arguments, context)
        await self.broadcast_frame(FunctionCallsStartedFrame, function_calls=[started])
        await self.broadcast_frame(
            FunctionCallInProgressFrame,
            function_name=call.tool,
            tool_call_id=call.call_id,
            arguments=call.arguments,
            cancel_on_interruption=True,
        )

    async def _finish_tool(self, done: ToolFinished) -> None:
        call = self._running.pop(done.call_id, None)
        if not call:
            raise AgentFailed(f"the agent has finished a tool that was not running: {done.call_id}")
        await self._push_result(call, done.result, done.error)
        # It is read by a language model now.
        self._is_due = True
        if not self._running:
            await self._start_response()

    async def _cancel_tool(self, call: ToolStarted) -> None:
        """Settle a call whose result will not come; see `InterruptedTools`."""
        del self._running[call.call_id]
        await self.broadcast_frame(
            FunctionCallCancelFrame, function_name=call.tool, tool_call_id=call.call_id
        )

    async def _push_result(self, call: ToolStarted, result: Any, error: str | None) -> None:
        await self.broadcast_frame(
            FunctionCallResultFrame,
            function_name=call.tool,
            tool_call_id=call.call_id,
            arguments=call.arguments,
            result=result,
            # The agent knows it already, and goes on by itself.
            properties=FunctionCallResultProperties(run_llm=False),
            error=error,
        )

    async def _hand_over(self, handoff: Handoff) -> None:
        if not self.on_handoff:
            raise AgentFailed(f"the agent hands over to '{handoff.to}', and nobody takes it")
        await self._end_response()
        await self.on_handoff(handoff)


def question_in(messages: Sequence[LLMContextMessage]) -> tuple[str, list[LLMStandardMessage]]:
    """Return what waits for an answer in a conversation, and what was before; see `TextAgent`."""
    history: list[LLMStandardMessage] = [
        message for message in messages if not isinstance(message, LLMSpecificMessage)
    ]
    # What is not the caller's must not look as if it were; see `bots.trust`.
    if history and history[-1]["role"] == "user":
        return standard_message_text(history[-1]), history[:-1]
    return "", history


def _nothing_set() -> LLMSettings:
    """Return settings of a language model that has none: they are the agent's own."""
    settings = LLMSettings()
    for field in fields(settings):
        if not is_given(getattr(settings, field.name)):
            setattr(settings, field.name, None)
    return settings
