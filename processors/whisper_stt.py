"""Offline speech-to-text: the Pipecat service of one session on a shared Whisper model."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from typing import Any

from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    TranscriptionFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.settings import STTSettings
from pipecat.services.stt_service import SegmentedSTTService
from pipecat.transcriptions.language import Language
from pipecat.turns.eager_end_of_turn_mixin import EagerEndOfTurnSTTServiceMixin
from pipecat.utils.time import time_now_iso8601
from pipecat.utils.tracing.service_decorators import traced_stt

from engines.reading import Reading
from engines.whisper import SAMPLE_RATE_HZ, WhisperEngine, pcm_to_samples
from processors.speech_pause import PAUSE_SECS, PauseDetector
from processors.words_due import NothingSaidFrame

INTERIM_INTERVAL_SECS = 0.7
"""New speech that must have arrived before another interim transcript is worth its decoding."""

PAUSE_BYTES = round(PAUSE_SECS * SAMPLE_RATE_HZ) * 2
"""Silence that has been heard when a pause is noticed, in 16-bit samples."""

MAX_SEGMENT_SECS = 28.0
"""Longest segment decoded at once: it must fit the full window together with its tail."""

FINAL_TRANSCRIPT_P99_SECS = 0.8
"""From the end of speech to its transcript: 0.2 s until the voice activity detector is sure of the
silence, and on two busy cores up to 0.6 s of decoding."""


class WhisperSTT(EagerEndOfTurnSTTServiceMixin, SegmentedSTTService):
    """Transcribes what one user says, with interim transcripts while they speak.

    At every pause, which the level of the sound tells long before the voice activity detector is
    sure, what was said so far is read. It goes out as an eager end of turn, which is withdrawn
    when the user goes on, and is the final transcript when they do not.

    Args:
        engine: The model; shared, and closed by its owner.
        language: Language spoken; an English-only model takes everything for English.
        **kwargs: Passed to `SegmentedSTTService`.
    """

    def __init__(
        self, engine: WhisperEngine, *, language: Language = Language.EN, **kwargs: Any
    ) -> None:
        super().__init__(
            sample_rate=SAMPLE_RATE_HZ,
            enable_eager_end_of_turn=True,
            # The window has silence after the speech already.
            trailing_silence_secs=0.0,
            ttfs_p99_latency=FINAL_TRANSCRIPT_P99_SECS,
            settings=STTSettings(model=None, language=language),
            **kwargs,
        )
        self._engine = engine
        self._language = language
        self._pause = PauseDetector(SAMPLE_RATE_HZ)
        self._paused_at_bytes = 0
        # What was begun to be read of the unfinished segment last, and how much of it.
        self._reading: asyncio.Task[Reading] | None = None
        self._reading_bytes = 0
        # For each finished segment that waits, the reading of all of it where that has begun.
        self._begun: deque[asyncio.Task[Reading] | None] = deque()

    @property
    def wants_wav_segments(self) -> bool:
        """Segments come as 16-bit PCM, which the engine reads directly."""
        return False

    def can_generate_metrics(self) -> bool:
        """Report the time each transcription takes."""
        return True

    async def process_audio_frame(
        self, frame: InputAudioRawFrame, direction: FrameDirection
    ) -> None:
        """Buffer audio; at pauses, and now and then, read what the user has said so far.

        A segment is cut after `MAX_SEGMENT_SECS` even if the user goes on.
        """
        await super().process_audio_frame(frame, direction)
        was_paused = self._pause.paused
        self._pause.hear(frame.audio)
        if not self._user_speaking:
            return
        size = len(self._audio_buffer)
        if size >= MAX_SEGMENT_SECS * SAMPLE_RATE_HZ * 2:
            await self._withdraw()
            self._begun.append(None)
            await self._segment_queue.put(bytes(self._audio_buffer))
            self._audio_buffer.clear()
            self._reading_bytes = 0
        elif self._pause.paused and not was_paused:
            self._paused_at_bytes = size - PAUSE_BYTES
            # What is being read for an interim transcript may be all that was said.
            is_read = self._reading and not self._reading.done()
            if not is_read or self._reading_bytes < self._paused_at_bytes:
                await self._read_so_far()
        elif was_paused and not self._pause.paused:
            await self._withdraw()
        elif (
            size - self._reading_bytes >= INTERIM_INTERVAL_SECS * SAMPLE_RATE_HZ * 2
            and not self._pause.paused
            and not self._engine.busy
        ):
            await self._read_so_far()

    @traced_stt
    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        """Transcribe a finished segment of 16-bit PCM, mono, 16 kHz."""
        await self.start_processing_metrics()
        begun = self._begun.popleft()
        reading = (await begun if begun else None) or await self._read(audio)
        await self.stop_processing_metrics()
        if reading.text:
            yield TranscriptionFrame(
                reading.text, self._user_id, time_now_iso8601(), self._language, result=reading
            )
        else:
            yield NothingSaidFrame()

    async def cleanup(self) -> None:
        """Stop what is still under way, also where the call ended before it had begun."""
        await self._cancel_segment_task()
        await self._stop_reading()
        while self._begun:
            if begun := self._begun.popleft():
                await self.cancel_task(begun)
        await super().cleanup()

    async def _handle_user_stopped_speaking(self, frame: VADUserStoppedSpeakingFrame) -> None:
        if self.is_usable:
            if not self._covers_all():
                await self._stop_reading()
            self._begun.append(self._reading)
            self._reading = None
        self._reading_bytes = 0
        self._clear_eager_end_of_turn()
        await super()._handle_user_stopped_speaking(frame)

    def _covers_all(self) -> bool:
        """Tell whether the user has said no more since what is read, or was read last."""
        return self._pause.paused and self._reading_bytes >= self._paused_at_bytes

    async def _read_so_far(self) -> None:
        await self._stop_reading()
        self._reading_bytes = len(self._audio_buffer)
        self._reading = self.create_task(self._read_and_tell(bytes(self._audio_buffer)))

    async def _read_and_tell(self, audio: bytes) -> Reading:
        """Read what was said; where the user has paused, and said no more since, that is all."""
        reading = await self._read(audio)
        # A segment that has ended meanwhile is told by its final transcript.
        if reading.text and asyncio.current_task() is self._reading:
            if self._covers_all():
                await self._push_eager_end_of_turn(
                    reading.text, user_id=self._user_id, language=self._language, result=reading
                )
            await self.push_frame(
                InterimTranscriptionFrame(
                    reading.text, self._user_id, time_now_iso8601(), self._language
                )
            )
        return reading

    async def _read(self, audio: bytes) -> Reading:
        # Whisper knows languages, not where they are spoken.
        language = self._language.partition("-")[0]
        return await self._engine.transcribe(pcm_to_samples(audio), language)

    async def _withdraw(self) -> None:
        """Take back what was read at a pause: the user goes on."""
        await self._stop_reading()
        await self._cancel_eager_end_of_turn()

    async def _stop_reading(self) -> None:
        if self._reading:
            task, self._reading = self._reading, None
            await self.cancel_task(task)
