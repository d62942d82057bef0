"""Speech that is not made or not understood is given to the next service, piece by piece."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from typing import Protocol, TypeAlias, TypeVar

from pipecat.frames.frames import ErrorFrame, Frame
from pipecat.services.ai_service import AIService
from pipecat.utils.errors import ErrorCategory, classify_http_exception

from processors.failover import Failure, Watch


class SpeechFailed(Exception):
    """A service has not done what it was asked for.

    Attributes:
        category: Why.
        is_late: Whether it was silent for too long.
    """

    def __init__(
        self, message: str, category: ErrorCategory = ErrorCategory.UNKNOWN, is_late: bool = False
    ) -> None:
        super().__init__(message)
        self.category = category
        self.is_late = is_late


class Asked(Protocol):
    """A service that is asked for a piece of work, and watched."""

    watch: Watch | None


Frames: TypeAlias = AsyncGenerator[Frame | None, None]


class Hears(Asked, Protocol):
    """A service that can be given a piece of speech to hear, and is watched."""

    def hear(self, audio: bytes) -> Frames:
        """Transcribe a piece of speech, a WAV file.

        Raises:
            SpeechFailed: If it cannot be.
        """


Speech = TypeVar("Speech", bound=Asked)
Item = TypeVar("Item")
Work = Callable[[Speech], AsyncGenerator[Item, None]]


async def first_that_works(
    services: Sequence[Speech], work: Work[Speech, Item]
) -> AsyncIterator[Item | ErrorFrame]:
    """Have the first service do the work that is admitted, and the next if it fails.

    Args:
        services: In order of preference; if nobody is admitted, the first is asked anyway.
        work: Yields what a service makes of it; raises `SpeechFailed` if it fails.

    Yields:
        What the services make; at the end an error, if none has done it.
    """
    failed: list[tuple[Watch, SpeechFailed]] = []
    for service in services:
        watch = watch_of(service)
        if watch.circuit.admit(watch.clock()):
            await _report(failed[-1:], watch.provider)
            try:
                async for item in _counted(watch, work(service)):
                    yield item
                return
            except SpeechFailed as error:
                failed.append((watch, error))
    if not failed:
        watch = watch_of(services[0])
        try:
            async for item in _counted(watch, work(services[0])):
                yield item
            return
        except SpeechFailed as error:
            failed.append((watch, error))
    await _report(failed[-1:], None)
    yield ErrorFrame(str(failed[-1][1]), category=ErrorCategory.UNKNOWN)


def watch_of(service: Asked) -> Watch:
    """Return how a service is watched that is."""
    assert service.watch
    return service.watch


async def _counted(watch: Watch, items: AsyncGenerator[Item, None]) -> AsyncGenerator[Item, None]:
    """Yield what a service makes, and tell its circuit what came of it."""
    try:
        async with aclosing(items):
            async for item in items:
                yield item
    except SpeechFailed as error:
        watch.failed(error.category)
        raise
    except (asyncio.CancelledError, GeneratorExit):
        watch.circuit.given_up()
        raise
    watch.circuit.succeeded()


async def _report(failed: Sequence[tuple[Watch, SpeechFailed]], successor: str | None) -> None:
    for watch, error in failed:
        reason = "timeout" if error.is_late else error.category.value
        await watch.report(Failure(watch.stage, watch.provider, reason, successor))


async def timed(
    items: AsyncGenerator[Item | ErrorFrame, None], service: AIService, watch: Watch
) -> AsyncGenerator[Item, None]:
    """Yield what a service makes, as long as it comes in time.

    Raises:
        SpeechFailed: If it does not, or the service fails.
    """
    secs = watch.first_output_secs
    async with aclosing(items):
        while True:
            try:
                async with asyncio.timeout(secs):
                    item = await anext(items)
            except StopAsyncIteration:
                return
            except TimeoutError as error:
                why = f"nothing came for {secs} s"
                raise SpeechFailed(why, ErrorCategory.CONNECTIVITY, is_late=True) from error
            except Exception as error:
                raise SpeechFailed(str(error), _category_of(service, error)) from error
            if isinstance(item, ErrorFrame):
                raise SpeechFailed(item.error, item.category or ErrorCategory.UNKNOWN)
            if item:
                secs = watch.idle_secs
            yield item


def _category_of(service: AIService, error: Exception) -> ErrorCategory:
    return service._classify_error(error) or classify_http_exception(error)
