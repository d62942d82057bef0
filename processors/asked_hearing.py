"""A speech recognition with a connection of its own that is given a piece of speech to hear."""

import asyncio
import io
import wave
from contextlib import suppress
from typing import TypeAlias

from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    InterimTranscriptionFrame,
    TranscriptionFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.metrics.metrics import STTUsage
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.stt_service import STTService
from pipecat.utils.errors import ErrorCategory

from processors.failover import Watch
from processors.own_connection import OwnConnection
from processors.speech_failover import Frames, SpeechFailed, timed, watch_of

SENT_SECS = 0.1
"""Of sound that is sent at once."""

TAIL_SECS = 0.3
"""So long after a transcript, or the word that there is no more, another is waited for."""

Heard: TypeAlias = TranscriptionFrame | ErrorFrame | None
"""What a service says of a piece; None for the word that there is no more."""


class AskedSTT(OwnConnection, STTService):
    """Goes before a service's class that is given sound as it comes.

    It can be given a piece of speech whole: what it transcribes meanwhile is for who has asked.

    Attributes:
        watch: How it is watched; None for not at all.
    """

    watch: Watch | None = None
    _is_open = False
    _error: SpeechFailed | None = None
    _asked: asyncio.Queue[Heard] | None = None
    _end_of_asked: Frame | None = None

    def connect_ahead(self) -> None:
        """Connect, in the background."""
        self._may_connect = True
        self._begin(self._open())

    async def _open(self) -> None:
        self._error = None
        await self._connect()
        self._is_open = self._error is None

    def hang_up(self) -> None:
        """Give the connection up, in the background."""
        self._is_open = False
        super().hang_up()

    async def push_error_frame(
        self, error: ErrorFrame, force_treat_as_permanent: bool = False
    ) -> None:
        """Tell of an error, whoever waits for a transcript included; then connect anew."""
        await super().push_error_frame(error, force_treat_as_permanent)
        if not self._is_hanging_up:
            self._error = SpeechFailed(error.error, error.category or ErrorCategory.UNKNOWN)
            if self._asked:
                self._asked.put_nowait(error)
            self._fail(self._error)

    def _fail(self, _error: SpeechFailed) -> None:
        """Take that nothing more will come of what it was given."""
        self.hang_up()

    def confirm_finalize(self) -> None:
        """Take that the service has heard all that it was given."""
        super().confirm_finalize()
        if self._asked:
            self._asked.put_nowait(None)

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        """Push a frame, but for transcripts for who has asked."""
        if frame is self._end_of_asked:
            return
        if self._asked and isinstance(frame, TranscriptionFrame | InterimTranscriptionFrame):
            if isinstance(frame, TranscriptionFrame):
                self._asked.put_nowait(frame)
            return
        await super().push_frame(frame, direction)

    async def _tell(self, frame: Frame) -> None:
        """Push what has come of a piece of speech, whoever asks at this moment."""
        if isinstance(frame, ErrorFrame):
            await super().push_error_frame(frame)
        else:
            await super().push_frame(frame)

    async def hear(self, audio: bytes) -> Frames:
        """Transcribe a piece of speech, a WAV file, and tell that it was heard here.

        Raises:
            SpeechFailed: If it cannot be.
        """
        with wave.open(io.BytesIO(audio)) as file:
            pcm = file.readframes(file.getnframes())
        self._asked = asyncio.Queue()
        try:
            async for frame in timed(self._transcript(pcm, self._asked), self, watch_of(self)):
                yield frame
            await self.start_stt_usage_metrics(STTUsage(audio_seconds=len(pcm) / self._bytes(1)))
        except SpeechFailed:
            self.hang_up()
            raise
        finally:
            self._asked = None

    async def _transcript(self, pcm: bytes, asked: asyncio.Queue[Heard]) -> Frames:
        await self.settle()
        if not self._is_open:
            self.connect_ahead()
            await self.settle()
        size = self._bytes(SENT_SECS)
        for start in range(0, len(pcm), size):
            async for frame in self.run_stt(pcm[start : start + size]):
                yield frame
        self._end_of_asked = VADUserStoppedSpeakingFrame()
        await super().process_frame(self._end_of_asked, FrameDirection.DOWNSTREAM)
        said: list[TranscriptionFrame] = []
        tail_secs = None
        with suppress(TimeoutError):
            while not (said and said[-1].finalized):
                async with asyncio.timeout(tail_secs):
                    item = await asked.get()
                if isinstance(item, ErrorFrame):
                    yield item
                elif item:
                    said.append(item)
                tail_secs = TAIL_SECS
        if said:
            last = said[-1]
            last.text = " ".join(frame.text.strip() for frame in said)
            last.finalized = True
            yield last

    def _bytes(self, secs: float) -> int:
        return round(secs * self.sample_rate) * 2
