"""A service that fails is stood in for by the next one of its list, within the same turn."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias, cast

from pipecat.frames.frames import (
    EagerEndOfTurnCancelFrame,
    ErrorFrame,
    Frame,
    InterruptionFrame,
    LLMContextFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.pipeline.service_switcher import ServiceSwitcher, ServiceSwitcherStrategy
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.utils.errors import ErrorCategory

from processors.circuit import Circuit

Clock: TypeAlias = Callable[[], float]

REFUSED = {ErrorCategory.AUTHENTICATION, ErrorCategory.AUTHORIZATION, ErrorCategory.QUOTA}
"""What fails next time as well. A bad request may be bad in one conversation alone."""


@dataclass(frozen=True)
class Failure:
    """That a service has not done its work.

    Attributes:
        stage: What it is for: `stt`, `llm` or `tts`.
        provider: Whose it is.
        reason: Why, by Pipecat's names (`rate_limit`), or `timeout`.
        successor: The provider whose service does the work instead; None if there is none.
    """

    stage: str
    provider: str
    reason: str
    successor: str | None


@dataclass(frozen=True)
class Watch:
    """How a service is watched.

    Attributes:
        stage: What it is for: `stt`, `llm` or `tts`.
        provider: Whose it is.
        circuit: Keeps work away from it; all sessions share it.
        first_output_secs: How long it may take until the first it gives; None for however long.
        idle_secs: How long it may pause after that; None for however long.
        report: Told of its failures.
        clock: In seconds.
    """

    stage: str
    provider: str
    circuit: Circuit
    first_output_secs: float | None
    idle_secs: float | None
    report: Callable[[Failure], Awaitable[None]]
    clock: Clock = time.monotonic

    def failed(self, category: ErrorCategory | None) -> None:
        """Note in the circuit that the service has failed."""
        self.circuit.failed(self.clock(), lasting=category in REFUSED)


@dataclass
class StageFailedFrame(ErrorFrame):
    """A service has not done its work, and somebody else may.

    Attributes:
        request: The work, as the successor is to be given it.
        tried: Names of the services that have failed at it.
        successor: Who has been given it; None if nobody has.
        is_void: Whether nobody wants it done any more.
    """

    request: Frame | None = None
    tried: frozenset[str] = frozenset()
    successor: "Watched | None" = field(default=None, repr=False)
    is_void: bool = False


class Watched(Protocol):
    """A service that says when it has failed."""

    name: str
    watch: Watch | None

    @property
    def is_busy(self) -> bool:
        """Whether it is at work."""

    async def put_down(self) -> None:
        """Forget what is left of earlier work."""

    def take_turn(self, *, speculating: bool) -> None:
        """Be the one that answers from now on.

        Args:
            speculating: Whether the turn to be answered may still go on.
        """


def failure(watch: Watch, failed: StageFailedFrame) -> Failure:
    """Return what there is to report of a service that has failed."""
    is_late = isinstance(failed.exception, TimeoutError)
    category = failed.category or ErrorCategory.UNKNOWN
    successor = failed.successor.watch if failed.successor else None
    return Failure(
        watch.stage,
        watch.provider,
        "timeout" if is_late else category.value,
        successor.provider if successor else None,
    )


class FailoverStrategy(ServiceSwitcherStrategy):
    """Gives work to the first service of the list whose circuit admits it.

    That is looked at anew for each piece of work: a service that has rested is tried again, and
    has its place back when it does what it should.
    """

    def __init__(self, services: list[FrameProcessor]) -> None:
        super().__init__(services)
        self._turn_is_over = False
        self._is_void = False

    def follow(self, frame: Frame) -> None:
        """Take note of how the turn stands, before the active service does."""
        match frame:
            case UserStartedSpeakingFrame():
                self._turn_is_over = False
            case UserStoppedSpeakingFrame():
                self._turn_is_over = True
            case InterruptionFrame():
                self._is_void = True
            case EagerEndOfTurnCancelFrame():
                # What answers a turn that is over cannot be withdrawn.
                self._is_void = self._is_void or not self._turn_is_over

    async def choose(self, *, speculation: bool) -> None:
        """Choose who does the work that comes; if nobody is admitted, the first is asked anyway.

        Args:
            speculation: Whether it is an answer to a turn that may still go on.
        """
        self._is_void = False
        active = _watched(self.active_service)
        if active.is_busy:
            return
        chosen = next(filter(_admits, self.services), self.services[0])
        if chosen is not self.active_service:
            await self._hand_over(chosen, speculating=speculation and not self._turn_is_over)

    async def handle_error(self, error: ErrorFrame) -> FrameProcessor | None:
        """Give the work of a service that has failed to the next that is admitted, if one is."""
        if not isinstance(error, StageFailedFrame):
            return None
        if self._is_void:
            error.is_void = True
            return self.active_service
        left = (service for service in self.services if service.name not in error.tried)
        successor = next(filter(_admits, left), None)
        if not successor or not error.request:
            return None
        speculating = isinstance(error.request, LLMContextFrame) and error.request.speculation
        await self._hand_over(successor, speculating=speculating and not self._turn_is_over)
        error.successor = _watched(successor)
        await successor.queue_frame(error.request)
        return successor

    async def _hand_over(self, service: FrameProcessor, *, speculating: bool) -> None:
        # One whose key was refused is written off by Pipecat; its circuit says when to ask again.
        await service.set_usable(True)
        await _watched(service).put_down()
        # Nothing may come between: what tells of the turn goes to the active service alone.
        _watched(service).take_turn(speculating=speculating)
        await self._set_active_if_available(service)


class FailoverSwitcher(ServiceSwitcher[FailoverStrategy]):
    """Several services for one purpose, of which one works at a time.

    Args:
        services: In order of preference; all are `Watched`.
    """

    def __init__(self, services: list[FrameProcessor]) -> None:
        super().__init__(services, FailoverStrategy)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Choose who is given a frame."""
        self.strategy.follow(frame)
        if isinstance(frame, LLMContextFrame):
            await self.strategy.choose(speculation=frame.speculation)
        await super().process_frame(frame, direction)


def _watched(service: FrameProcessor) -> Watched:
    return cast(Watched, service)


def _admits(service: FrameProcessor) -> bool:
    watch = _watched(service).watch
    return not watch or watch.circuit.admit(watch.clock())
