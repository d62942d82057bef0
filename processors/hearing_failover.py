"""Speech that is not understood is given to the next service of a list, piece by piece."""

from collections.abc import AsyncGenerator, Sequence
from functools import cache
from typing import Any, TypeVar, cast

from pipecat.frames.frames import ErrorFrame, Frame, TTSSpeakFrame
from pipecat.services.stt_service import SegmentedSTTService, STTService

from processors.failover import Watch
from processors.speech_failover import first_that_works, timed, watch_of

STT = TypeVar("STT", bound=STTService)
Frames = AsyncGenerator[Frame | None, None]


class WatchedSTT(SegmentedSTTService):
    """Goes before a service's class among the parents of one that is watched; see `watched_stt`.

    What one does not understand, the next is given to hear at once.

    Attributes:
        watch: How it is watched; None for not at all.
        successors: Who listens in its place, in order of preference.
        cannot_hear: What is said where nobody understands; "" for nothing.
    """

    watch: Watch | None = None
    successors: Sequence["WatchedSTT"] = ()
    cannot_hear = ""

    async def run_stt(self, audio: bytes) -> Frames:
        """Transcribe a segment, or have it transcribed."""
        if self.watch:
            services: Sequence[WatchedSTT] = [self, *self.successors]
            async for frame in first_that_works(services, lambda service: service.hear(audio)):
                if isinstance(frame, ErrorFrame):
                    await self.push_error_frame(frame)
                    if self.cannot_hear:
                        yield TTSSpeakFrame(self.cannot_hear, append_to_context=True)
                else:
                    yield frame
            return
        async for frame in super().run_stt(audio):
            yield frame

    async def hear(self, audio: bytes) -> Frames:
        """Transcribe a segment.

        Raises:
            SpeechFailed: If it cannot be.
        """
        async for frame in timed(super().run_stt(audio), self, watch_of(self)):
            yield frame


def watched_stt(service: type[STT]) -> type[STT]:
    """Return a class that is `service`, and is watched."""
    return cast(type[STT], _watched(service))


@cache
def _watched(service: Any) -> Any:
    return type(service.__name__, (WatchedSTT, service), {})
