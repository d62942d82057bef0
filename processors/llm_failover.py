"""A language model that fails or falls silent is noticed, and its answer is made good."""

import asyncio
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeVar, cast

from httpx import TransportError
from openai import APIConnectionError
from pipecat.frames.frames import (
    EagerEndOfTurnCancelFrame,
    ErrorFrame,
    Frame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    MetricsFrame,
    TTSSpeakFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.metrics.metrics import LLMTokenUsage
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.llm_service import LLMService
from pipecat.turns.speculation_gate import SpeculationState
from pipecat.utils.errors import ErrorCategory

from processors.estimates import estimated
from processors.failover import StageFailedFrame, Watch, failure
from processors.rehearsal import Rehearsal
from processors.withdrawn import HeedsWithdrawals

LLM = TypeVar("LLM", bound=LLMService[Any])

GO_ON = (
    "Your last message was cut off by a failure, and the user has heard it up to there, and that "
    "you have lost your thread. Go on with the answer, in whole sentences, without a greeting and "
    "without what was said."
)
"""What the language model is told that goes on with the answer of another."""


@dataclass(frozen=True)
class Words:
    """What is said where language models fail; "" for nothing.

    Attributes:
        lost_thread: Between what one has said and what another goes on with.
        cannot_answer: Where none is left.
    """

    lost_thread: str
    cannot_answer: str


@dataclass
class RetryFrame(LLMContextFrame):
    """What a language model is asked after another has failed at it.

    Attributes:
        is_open: Whether a beginning of the answer has left.
        said: The words that have left.
        tried: Names of the services that have failed at it.
    """

    is_open: bool = False
    said: str = ""
    tried: frozenset[str] = frozenset()


@dataclass
class _Attempt:
    """One request to the language model.

    Attributes:
        task: In which it is made.
        is_open: Whether a beginning of the answer had left before.
        deadline: Ends it; moved on by all that comes.
        text: What has come.
        gave: Whether anything has come at all.
        is_counted: Whether the service has told what it consumed.
        error: What went wrong, if something did.
    """

    task: "asyncio.Task[Any] | None"
    is_open: bool
    deadline: asyncio.Timeout | None = None
    text: list[str] = field(default_factory=list)
    gave: bool = False
    is_counted: bool = False
    error: ErrorFrame | None = None


class WatchedLLM(HeedsWithdrawals, LLMService[Any]):
    """Goes before a service's class among the parents of one that is watched; see `watched_llm`.

    Of an answer that is held until its turn is confirmed, nothing has left: it is dropped, and
    asked for again as the same. Otherwise the successor's answer continues the one that was begun,
    so that there is one beginning and one end, whoever answers. What is withdrawn before it is
    begun is not answered.

    Attributes:
        watch: How it is watched; None for not at all.
        words: What is said where it fails.
        rehearsal: Follows answers while they are held; None where nobody does.
    """

    watch: Watch | None = None
    rehearsal: Rehearsal | None = None
    words = Words("", "")
    _attempt: _Attempt | None = None

    @property
    def is_busy(self) -> bool:
        """Whether it is asked for an answer at this moment."""
        return self._attempt is not None

    async def put_down(self) -> None:
        """Drop what is held of an answer; its end closes the gate behind it."""
        for frame in (EagerEndOfTurnCancelFrame(), LLMFullResponseEndFrame()):
            for kept, direction in self._speculation_gate.process(frame, FrameDirection.DOWNSTREAM):
                if kept is not frame:
                    await super(LLMService, self).push_frame(kept, direction)

    def take_turn(self, *, speculating: bool) -> None:
        """Be the one that answers; of the turn until now it has not been told."""
        gate, down = self._speculation_gate, FrameDirection.DOWNSTREAM
        gate.process(
            UserStartedSpeakingFrame() if speculating else UserStoppedSpeakingFrame(), down
        )
        gate.begin_speculation(speculating)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Answer, or see to it that somebody does."""
        self.note_withdrawal(frame)
        if isinstance(frame, LLMContextFrame) and self.is_withdrawn(frame):
            return
        if self.watch and isinstance(frame, LLMContextFrame):
            await self._answer(self.watch, frame, direction)
        else:
            await super().process_frame(frame, direction)

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        """Push a frame; the end of an answer waits until it is known how it came about."""
        if (attempt := self._current) and direction is FrameDirection.DOWNSTREAM:
            match frame:
                case LLMFullResponseStartFrame():
                    if attempt.is_open:
                        return
                case LLMFullResponseEndFrame():
                    return
                case MetricsFrame():
                    pass
                case _:
                    self._go_on(attempt)
                    if isinstance(frame, LLMTextFrame):
                        attempt.text.append(frame.text)
        if self.rehearsal and self._speculation_gate.is_speculating:
            await self.rehearsal.follow(frame)
        await super().push_frame(frame, direction)

    async def push_error_frame(
        self, error: ErrorFrame, force_treat_as_permanent: bool = False
    ) -> None:
        """Keep an error of the answer that is being made; tell of all others."""
        if (attempt := self._current) and error.category is not ErrorCategory.APPLICATION:
            attempt.error = error
        else:
            await super().push_error_frame(error, force_treat_as_permanent)

    async def stop_ttfb_metrics(self, **kwargs: Any) -> None:
        """Take it that something has come, be it a piece of a tool's arguments."""
        if attempt := self._current:
            self._go_on(attempt)
        await super().stop_ttfb_metrics(**kwargs)

    async def start_llm_usage_metrics(self, tokens: LLMTokenUsage) -> None:
        """Take what an answer has consumed, as the service tells it."""
        if attempt := self._current:
            attempt.is_counted = True
        await super().start_llm_usage_metrics(tokens)

    async def run_inference(self, context: LLMContext, *args: Any, **kwargs: Any) -> str | None:
        """Answer beside the conversation; Pipecat does not tell what that consumes."""
        written = await super().run_inference(context, *args, **kwargs)
        await self.start_llm_usage_metrics(estimated(context, None, written or ""))
        return written

    def _classify_error(self, exception: Exception) -> ErrorCategory | None:
        """Name what Pipecat does not: connections that are refused, or break."""
        if isinstance(exception, APIConnectionError | TransportError):
            return ErrorCategory.CONNECTIVITY
        return super()._classify_error(exception)

    @property
    def _current(self) -> _Attempt | None:
        """The request that is made in this task."""
        attempt = self._attempt
        return attempt if attempt and attempt.task is asyncio.current_task() else None

    def _go_on(self, attempt: _Attempt) -> None:
        assert self.watch
        attempt.gave = True
        if attempt.deadline and not attempt.deadline.expired():
            secs = self.watch.idle_secs
            attempt.deadline.reschedule(secs and asyncio.get_running_loop().time() + secs)

    async def _answer(
        self, watch: Watch, frame: LLMContextFrame, direction: FrameDirection
    ) -> None:
        request = frame if isinstance(frame, RetryFrame) else RetryFrame(frame.context)
        if request.said:
            await self.push_frame(LLMTextFrame(f"... {self.words.lost_thread} "))
        attempt = _Attempt(asyncio.current_task(), request.is_open)
        self._attempt = attempt
        try:
            async with asyncio.timeout(watch.first_output_secs) as attempt.deadline:
                await super().process_frame(frame, direction)
        except TimeoutError as error:
            attempt.error = _too_late(error, watch.idle_secs if attempt.gave else None)
        except asyncio.CancelledError:
            watch.circuit.given_up()
            self._attempt = None
            await self._count(attempt, frame.context)
            await self.push_frame(LLMFullResponseEndFrame())
            raise
        self._attempt = None
        if attempt.gave:
            await self._count(attempt, frame.context)
        if not attempt.error and not attempt.gave:
            attempt.error = ErrorFrame("the answer is empty, or cannot be read")
        if attempt.error:
            await self._fail(watch, request, attempt, attempt.error)
        else:
            watch.circuit.succeeded()
            await self.push_frame(LLMFullResponseEndFrame())

    async def _count(self, attempt: _Attempt, context: LLMContext) -> None:
        """See to it that what was read and written is counted of an answer that was cut off.

        It is paid for, but services tell of it at the end of an answer alone.
        """
        if not attempt.is_counted:
            instructions = cast(str | None, self._settings.system_instruction)
            await self.start_llm_usage_metrics(
                estimated(context, instructions, "".join(attempt.text))
            )

    async def _fail(
        self, watch: Watch, request: RetryFrame, attempt: _Attempt, error: ErrorFrame
    ) -> None:
        """Have somebody else answer, or apologise."""
        gate = self._speculation_gate
        speculating, held = gate.is_speculating, gate.state is not SpeculationState.OPEN
        if held:
            await self.put_down()
            gate.begin_speculation(speculating)
        begun = "" if held else "".join(attempt.text)
        tried = request.tried | {self.name}
        left = RetryFrame(
            _continued(request.context, begun, self.words) if begun else request.context,
            speculating,
            is_open=not held,
            said=request.said + begun,
            tried=tried,
        )
        failed = StageFailedFrame(
            error.error,
            processor=self,
            exception=error.exception,
            category=error.category,
            request=left,
            tried=tried,
        )
        await self.push_error_frame(failed)
        watch.failed(failed.category)
        if not failed.is_void and not failed.successor:
            await self._apologise(left)
        await watch.report(failure(watch, failed))

    async def _apologise(self, left: RetryFrame) -> None:
        """Say that there will be no answer."""
        if not left.is_open:
            await self.push_frame(LLMFullResponseStartFrame())
        if left.said:
            # Behind the words that still wait for the rest of their sentence.
            await self.push_frame(LLMTextFrame(f"... {self.words.cannot_answer}"))
        elif self.words.cannot_answer:
            await self.push_frame(TTSSpeakFrame(self.words.cannot_answer, append_to_context=True))
        await self.push_frame(LLMFullResponseEndFrame())


def watched_llm(service: type[LLM]) -> type[LLM]:
    """Return a class that is `service`, and is watched."""
    return cast(type[LLM], _watched(service))


@cache
def _watched(service: Any) -> Any:
    return type(service.__name__, (WatchedLLM, service), {})


def _too_late(error: TimeoutError, idle_secs: float | None) -> ErrorFrame:
    why = f"it paused for {idle_secs} s" if idle_secs else "nothing came in time"
    return ErrorFrame(why, exception=error, category=ErrorCategory.CONNECTIVITY)


def _continued(context: LLMContext, said: str, words: Words) -> LLMContext:
    """Return a conversation in which an answer was begun, and is to be gone on with."""
    begun = f"{said}... {words.lost_thread}".strip()
    messages = [
        *context.messages,
        {"role": "assistant", "content": begun},
        {"role": "developer", "content": GO_ON},
    ]
    return LLMContext(cast(Any, messages), context.tools, context.tool_choice)
