"""Speech that is not understood is given to the next service of a list, piece by piece."""

from collections.abc import Sequence
from functools import cache
from typing import Any, TypeVar, cast

from pipecat.frames.frames import ErrorFrame, TTSSpeakFrame
from pipecat.metrics.metrics import STTUsage
from pipecat.services.stt_service import SegmentedSTTService, STTService

from processors.failover import Watch
from processors.speech_failover import Frames, Hears, first_that_works, timed, watch_of
from processors.streamed_hearing import StreamedSTT

STT = TypeVar("STT", bound=STTService)

WAV_HEADER_BYTES = 44
SAMPLE_BYTES = 2


class WatchedSTT(SegmentedSTTService):
    """Goes before a service's class among the parents of one that is watched; see `watched_stt`.

    What one does not understand, the next is given to hear at once.

    Attributes:
        watch: How it is watched; None for not at all.
        successors: Who listens in its place, in order of preference.
        cannot_hear: What is said where nobody understands; "" for nothing.
    """

    watch: Watch | None = None
    successors: Sequence[Hears] = ()
    cannot_hear = ""

    async def run_stt(self, audio: bytes) -> Frames:
        """Transcribe a segment, or have it transcribed."""
        if self.watch:
            services: Sequence[Hears] = [self, *self.successors]
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
        """Transcribe a segment, and tell that it was heard here.

        Raises:
            SpeechFailed: If it cannot be.
        """
        async for frame in timed(super().run_stt(audio), self, watch_of(self)):
            yield frame
        size = len(audio) - (WAV_HEADER_BYTES if self.wants_wav_segments else 0)
        secs = size / SAMPLE_BYTES / self.sample_rate
        await self.start_stt_usage_metrics(STTUsage(audio_seconds=secs))

    async def emit_stt_usage_metrics(self) -> None:
        """Tell what was heard, where it is not known yet who hears it: see `hear`."""
        if not self.watch:
            await super().emit_stt_usage_metrics()


def watched_stt(service: type[STT]) -> type[STT]:
    """Return a class that is `service`, and is watched, if it can be.

    One that tells itself when a turn is over is left to itself.
    """
    if issubclass(service, SegmentedSTTService):
        return cast(type[STT], _watched(WatchedSTT, service))
    if service.service_metadata_frame is STTService.service_metadata_frame:
        return cast(type[STT], _watched(StreamedSTT, service))
    return service


@cache
def _watched(watch: Any, service: Any) -> Any:
    return type(service.__name__, (watch, service), {})
