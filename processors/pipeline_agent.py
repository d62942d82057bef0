"""What answers in a pipeline, as an agent that streams text: without ears and without a voice."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, cast

from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    FunctionCallCancelFrame,
    FunctionCallInProgressFrame,
    FunctionCallResultFrame,
    FunctionCallResultProperties,
    FunctionCallsStartedFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    MetricsFrame,
    TTSSpeakFrame,
)
from pipecat.metrics.metrics import LLMUsageMetricsData
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext, LLMStandardMessage
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.llm_service import FunctionCallParams
from pipecat.workers.runner import WorkerRunner

from processors.estimates import EstimatedUsage
from processors.switchboard import MAX_TRANSFERS, TOOL, transfer_tool, transfers_since_asked
from processors.text_agent import (
    CANCELLED,
    AgentFailed,
    Chunk,
    Handoff,
    TokensUsed,
    ToolFinished,
    ToolStarted,
)
from processors.usage import whole_prompt

MAX_WAITING = 100
"""Pieces of an answer that wait to be taken; above, the pipeline waits."""

ProviderOf = Callable[[str], str | None]


class _Gatherer(FrameProcessor):
    """Gathers an answer behind what gives it, and knows when it is over.

    Attributes:
        pieces: What was given; None behind the last.
        handoff: To whom the caller is put through when it is over; None for nobody.

    Args:
        provider_of: See `PipelineAgent`.
    """

    def __init__(self, provider_of: ProviderOf) -> None:
        super().__init__()
        self._provider_of = provider_of
        self.pieces: asyncio.Queue[Chunk | None] = asyncio.Queue(MAX_WAITING)
        self.handoff: Handoff | None = None
        self._responds = False
        # For what is being said: Pipecat tells of it in a frame that overtakes words.
        self._consumed: list[TokensUsed] = []
        self._running: set[str] = set()
        # Whether whoever keeps the conversation is going to ask again, for what tools have given;
        # and how often they have, without an answer having begun.
        self._goes_on = False
        self._asked = 0

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Take what is given, and pass everything on."""
        await super().process_frame(frame, direction)
        # Whoever keeps the conversation behind this is to know first of the result of a tool.
        await self.push_frame(frame, direction)
        match frame:
            case LLMContextFrame() if direction is FrameDirection.UPSTREAM:
                self._goes_on = False
                self._asked += 1
            case LLMFullResponseStartFrame():
                self._responds = True
                self._asked = max(0, self._asked - 1)
            case LLMTextFrame() | TTSSpeakFrame():
                await self.pieces.put(frame.text)
            case MetricsFrame():
                for usage in frame.data:
                    if isinstance(usage, LLMUsageMetricsData):
                        self._consumed.append(self._tokens_of(usage))
            case FunctionCallsStartedFrame():
                self._running |= {call.tool_call_id for call in frame.function_calls}
            case FunctionCallInProgressFrame() if frame.function_name != TOOL:
                started = ToolStarted(frame.tool_call_id, frame.function_name, frame.arguments)
                await self.pieces.put(started)
            case FunctionCallResultFrame() if _is_final(frame):
                done = ToolFinished(frame.tool_call_id, frame.result, frame.error)
                await self._settle(frame.function_name, done, _asks_again(frame))
            case FunctionCallCancelFrame():
                done = ToolFinished(frame.tool_call_id, CANCELLED, "the tool was given up")
                await self._settle(frame.function_name, done, bool(frame.run_llm))
            case LLMFullResponseEndFrame():
                for tokens in self._consumed:
                    await self.pieces.put(tokens)
                self._consumed.clear()
                self._responds = False
                await self._end_if_over()

    def _tokens_of(self, used: LLMUsageMetricsData) -> TokensUsed:
        told = used.value
        return TokensUsed(
            whole_prompt(told.prompt_tokens, told.completion_tokens, told.total_tokens),
            told.completion_tokens,
            told.cache_read_input_tokens or 0,
            provider=self._provider_of(used.processor),
            model=used.model,
            is_estimated=isinstance(told, EstimatedUsage),
            cache_write=told.cache_creation_input_tokens or 0,
        )

    async def _settle(self, tool: str, done: ToolFinished, asks_again: bool | None) -> None:
        self._running.discard(done.call_id)
        # Of several, the last one brings the question, where the tool does not decide.
        self._goes_on |= not self._running if asks_again is None else asks_again
        if tool != TOOL:
            await self.pieces.put(done)
        await self._end_if_over()

    async def _end_if_over(self) -> None:
        # Who puts the caller through says nothing more, whatever other tools have given.
        goes_on = not self.handoff and (self._goes_on or self._asked)
        if self._responds or self._running or goes_on:
            return
        if self.handoff:
            await self.pieces.put(self.handoff)
        await self.pieces.put(None)


class PipelineAgent:
    """A `TextAgent` that has a pipeline answer one question.

    Args:
        brain: Facts, and behind them a language model.
        tools: What the language model may call.
        colleagues: Whom it may put the caller through to, by name, and what they are for.
        app_resources: What tools find under that name.
        provider_of: Tells whose a service is, by its name; None where that is not known.
    """

    def __init__(
        self,
        brain: Sequence[FrameProcessor],
        tools: Sequence[Any],
        colleagues: Mapping[str, str],
        app_resources: object,
        provider_of: ProviderOf,
    ) -> None:
        self._brain = brain
        self._tools = tools
        self._colleagues = colleagues
        self._app_resources = app_resources
        self._gatherer = _Gatherer(provider_of)
        self._running: tuple[PipelineWorker, asyncio.Task[None]] | None = None
        self._error: str | None = None

    async def stream_response(
        self, message: str, history: Sequence[LLMStandardMessage]
    ) -> AsyncIterator[Chunk]:
        """Answer; see `TextAgent`. Tools that run are cancelled when it is stopped.

        Raises:
            AgentFailed: If there is no answer because of an error.
        """
        context = self._context(message, history)
        worker = self._worker(context)
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(worker)
        self._running = worker, asyncio.create_task(runner.run())
        given = False
        try:
            await worker.queue_frame(LLMContextFrame(context))
            while (piece := await self._gatherer.pieces.get()) is not None:
                given = True
                yield piece
        except BaseException:
            # It is stopped.
            await self.aclose()
            raise
        if not given:
            # An error may still be on its way.
            await self.aclose()
            if self._error:
                raise AgentFailed(self._error)

    async def aclose(self) -> None:
        """End its pipeline, which nobody needs to wait for who only wants the answer."""
        if self._running:
            worker, running = self._running
            await worker.cancel()
            await running

    def _context(self, message: str, history: Sequence[LLMStandardMessage]) -> LLMContext:
        messages = [*history]
        if message:
            messages.append(cast(LLMStandardMessage, {"role": "user", "content": message}))
        tools = [*self._tools]
        if self._colleagues and transfers_since_asked(messages) < MAX_TRANSFERS:
            tools.append(transfer_tool(self._colleagues, self._put_through))
        return LLMContext(list(messages), tools=tools)

    def _worker(self, context: LLMContext) -> PipelineWorker:
        assistant = LLMContextAggregatorPair(context).assistant()
        worker = PipelineWorker(
            Pipeline([*self._brain, self._gatherer, assistant]),
            params=PipelineParams(enable_usage_metrics=True),
            app_resources=self._app_resources,
            enable_rtvi=False,
            enable_turn_tracking=False,
            idle_timeout_secs=None,
        )

        @worker.event_handler("on_pipeline_error")
        async def on_pipeline_error(_worker: PipelineWorker, frame: ErrorFrame) -> None:
            self._error = frame.error

        return worker

    async def _put_through(self, params: FunctionCallParams) -> None:
        to, why, say = (params.arguments.get(name, "") for name in ("to", "why", "say"))
        if to not in self._colleagues:
            names = ", ".join(self._colleagues)
            await params.result_callback({"error": f"The colleagues are: {names}."})
            return
        if say:
            await self._gatherer.pieces.put(str(say))
        self._gatherer.handoff = Handoff(to, str(why))
        stop = FunctionCallResultProperties(run_llm=False)
        await params.result_callback({TOOL: to}, properties=stop)


def _is_final(frame: FunctionCallResultFrame) -> bool:
    return frame.properties is None or frame.properties.is_final


def _asks_again(frame: FunctionCallResultFrame) -> bool | None:
    """Tell whether a result has the language model asked again; None if others decide it, too."""
    if not frame.result:
        return False
    if frame.properties and frame.properties.run_llm is not None:
        return frame.properties.run_llm
    return frame.run_llm
