"""Speech that is not made or not understood is given to the next service, sentence by sentence."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from functools import cache
from typing import Any, TypeVar, cast

from pipecat.frames.frames import ErrorFrame, Frame, TTSAudioRawFrame, TTSSpeakFrame
from pipecat.metrics.metrics import STTUsage
from pipecat.services.ai_service import AIService
from pipecat.services.stt_service import SegmentedSTTService
from pipecat.services.tts_service import TTSService
from pipecat.utils.errors import ErrorCategory, classify_http_exception

from processors.failover import Failure, Watch

Frames = AsyncGenerator[Frame | None, None]

NO_VOICE = "I am sorry, my voice does not work just now. Please try again in a moment."
"""What is said where no voice works, in a recording."""

WAV_HEADER_BYTES = 44
SAMPLE_BYTES = 2

TTS = TypeVar("TTS", bound=TTSService)
STT = TypeVar("STT", bound=SegmentedSTTService)


class _SpeechFailed(Exception):
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


class WatchedTTS(TTSService):
    """Goes before a service's class among the parents of one that is watched; see `watched_tts`.

    It must be one that yields its sound as it is asked for it. Its successors yield theirs in its
    place, so that sound and text keep their order, whoever speaks. A sentence that breaks off is
    said again from its beginning. Where none speaks, a recording says so, once in a reply.

    Attributes:
        watch: How it is watched; None for not at all.
        successors: Who speaks what it does not, in order of preference.
        recording: Returns `NO_VOICE` as 16-bit PCM, mono, at a sample rate in Hz; None for none.
    """

    watch: Watch | None = None
    successors: Sequence["WatchedTTS"] = ()
    recording: Callable[[int], bytes] | None = None
    _is_silent = False
    _apologised_in: str | None = None
    _told_so = False

    async def run_tts(self, text: str, context_id: str) -> Frames:
        """Speak `text`, or have it spoken."""
        if self.watch:
            self._is_silent = False
            services: Sequence[WatchedTTS] = [self, *self.successors]
            async for frame in _first_that_works(
                services, lambda service: service.speak(text, context_id)
            ):
                if isinstance(frame, ErrorFrame):
                    self._is_silent = True
                    await self.push_error_frame(frame)
                    if apology := self._apology(context_id):
                        yield apology
                else:
                    yield frame
            return
        async for frame in super().run_tts(text, context_id):
            yield frame

    def _apology(self, context_id: str) -> Frame | None:
        if not self.recording or self._apologised_in == context_id:
            return None
        self._apologised_in = context_id
        self._told_so = True
        pcm = self.recording(self.sample_rate)
        return TTSAudioRawFrame(pcm, self.sample_rate, 1, context_id=context_id)

    async def speak(self, text: str, context_id: str) -> Frames:
        """Speak `text`.

        Raises:
            _SpeechFailed: If it cannot be spoken to its end.
        """
        assert self.watch
        first_secs, idle_secs = self.watch.first_output_secs, self.watch.idle_secs
        has_sound = False
        async for frame in _timed(super().run_tts(text, context_id), self, first_secs, idle_secs):
            has_sound = has_sound or isinstance(frame, TTSAudioRawFrame)
            yield frame
        if not has_sound:
            raise _SpeechFailed("there is no sound")

    async def _push_spoken_text(
        self, src_frame: Any, text: str, context_id: str, append_to_context: bool
    ) -> None:
        # Words that nobody heard are none of the conversation, but what was heard instead is.
        if self._is_silent:
            told_so, self._told_so = self._told_so, False
            append_to_context = append_to_context and told_so
            text = NO_VOICE if told_so else text
        await super()._push_spoken_text(src_frame, text, context_id, append_to_context)


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
            secs = self._secs_of(audio)
            async for frame in _first_that_works(
                services, lambda service: service.hear(audio, secs)
            ):
                if isinstance(frame, ErrorFrame):
                    await self.push_error_frame(frame)
                    if self.cannot_hear:
                        yield TTSSpeakFrame(self.cannot_hear, append_to_context=True)
                else:
                    yield frame
            return
        async for frame in super().run_stt(audio):
            yield frame

    async def emit_stt_usage_metrics(self) -> None:
        """Tell what was heard, where it is not known yet who hears it: see `hear`."""
        if not self.watch:
            await super().emit_stt_usage_metrics()

    def _secs_of(self, audio: bytes) -> float:
        size = len(audio) - (WAV_HEADER_BYTES if self.wants_wav_segments else 0)
        return size / SAMPLE_BYTES / self.sample_rate

    async def hear(self, audio: bytes, secs: float) -> Frames:
        """Transcribe a segment of so many seconds, and tell that it was heard here.

        Raises:
            _SpeechFailed: If it cannot be.
        """
        assert self.watch
        first_secs, idle_secs = self.watch.first_output_secs, self.watch.idle_secs
        async for frame in _timed(super().run_stt(audio), self, first_secs, idle_secs):
            yield frame
        await self.start_stt_usage_metrics(STTUsage(audio_seconds=secs))


Speech = TypeVar("Speech", WatchedTTS, WatchedSTT)


async def _first_that_works(services: Sequence[Speech], work: Any) -> AsyncIterator[Frame | None]:
    """Have the first service do the work that is admitted, and the next if it fails.

    Args:
        services: In order of preference; if nobody is admitted, the first is asked anyway.
        work: Returns what a service yields for it.

    Yields:
        What the services yield; at the end an error, if none has done it.
    """
    failed: list[tuple[Watch, _SpeechFailed]] = []
    for service in services:
        watch = cast(Watch, service.watch)
        if watch.circuit.admit(watch.clock()):
            await _report(failed[-1:], watch.provider)
            try:
                async for frame in _counted(watch, work(service)):
                    yield frame
                return
            except _SpeechFailed as error:
                failed.append((watch, error))
    if not failed:
        watch = cast(Watch, services[0].watch)
        try:
            async for frame in _counted(watch, work(services[0])):
                yield frame
            return
        except _SpeechFailed as error:
            failed.append((watch, error))
    await _report(failed[-1:], None)
    yield ErrorFrame(str(failed[-1][1]), category=ErrorCategory.UNKNOWN)


async def _counted(watch: Watch, frames: Frames) -> Frames:
    """Yield what a service yields, and tell its circuit what came of it."""
    try:
        async with aclosing(frames):
            async for frame in frames:
                yield frame
    except _SpeechFailed as error:
        watch.failed(error.category)
        raise
    except (asyncio.CancelledError, GeneratorExit):
        watch.circuit.given_up()
        raise
    watch.circuit.succeeded()


async def _report(failed: Sequence[tuple[Watch, _SpeechFailed]], successor: str | None) -> None:
    for watch, error in failed:
        reason = "timeout" if error.is_late else error.category.value
        await watch.report(Failure(watch.stage, watch.provider, reason, successor))


async def _timed(
    frames: Frames, service: AIService, first_secs: float | None, idle_secs: float | None
) -> Frames:
    """Yield what a service yields, as long as it comes in time.

    Raises:
        _SpeechFailed: If it does not, or the service fails.
    """
    secs = first_secs
    async with aclosing(frames):
        while True:
            try:
                async with asyncio.timeout(secs):
                    frame = await anext(frames)
            except StopAsyncIteration:
                return
            except TimeoutError as error:
                why = f"nothing came for {secs} s"
                raise _SpeechFailed(why, ErrorCategory.CONNECTIVITY, is_late=True) from error
            except Exception as error:
                raise _SpeechFailed(str(error), _category_of(service, error)) from error
            if isinstance(frame, ErrorFrame):
                category = frame.category or ErrorCategory.UNKNOWN
                raise _SpeechFailed(frame.error, category)
            if frame:
                secs = idle_secs
            yield frame


def _category_of(service: AIService, error: Exception) -> ErrorCategory:
    return service._classify_error(error) or classify_http_exception(error)


def watched_tts(service: type[TTS]) -> type[TTS]:
    """Return a class that is `service`, and is watched."""
    return cast(type[TTS], _watched(WatchedTTS, service))


def watched_stt(service: type[STT]) -> type[STT]:
    """Return a class that is `service`, and is watched."""
    return cast(type[STT], _watched(WatchedSTT, service))


@cache
def _watched(watch: Any, service: Any) -> Any:
    return type(service.__name__, (watch, service), {})
