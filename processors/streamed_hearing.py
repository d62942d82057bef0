"""A speech recognition that is given sound as it comes, and what is done where it fails."""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pipecat.audio.utils import pcm_to_wav
from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    ErrorFrame,
    Frame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    StartFrame,
    TranscriptionFrame,
    TTSSpeakFrame,
    UserAudioRawFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.stt_service import STTService
from pipecat.utils.errors import ErrorCategory

from processors.asked_hearing import AskedSTT
from processors.circuit import CircuitState
from processors.speech_failover import Frames, Hears, SpeechFailed, first_that_works, watch_of

BEFORE_SECS = 1.0
"""So much of the sound before speech is noticed belongs to it."""

BEHIND_SECS = 0.5
"""Of silence behind it: a model garbles a last word that the sound ends with."""

WORDLESS_SECS = 1.0
"""Shorter speech may have been none: of a service that does not confirm what it has heard, it is no
failure that nothing comes of it."""


@dataclass
class _Piece:
    """Speech between two pauses.

    Attributes:
        speech_secs: How long it is, from when speech was noticed.
        sound: All of it that is not transcribed yet, as 16-bit PCM.
        is_live: Whether the service was given it as it came.
        is_confirmed: Whether the service has said that it has heard all of it; None for one that
            does not say so.
        is_answered: Whether a transcript has come since it began.
        error: Why the service has not understood it.
        is_forsaken: Whether the service has failed while it was not its turn to be understood.
        changed: Set when one of these changes.
    """

    is_live: bool
    speech_secs: float = 0.0
    sound: bytes = b""
    is_confirmed: bool | None = None
    is_answered: bool = False
    error: SpeechFailed | None = None
    is_forsaken: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_heard(self) -> bool:
        """Whether the service has done its work."""
        return self.is_answered if self.is_confirmed is None else self.is_confirmed


class StreamedSTT(AskedSTT):
    """Goes before a service's class among the parents of one that is watched; see `watched_stt`.

    While its connection is good, it hears the microphone, and its transcripts go their way. When
    the speech pauses, it has to have understood it, in time; else the others are given the same
    sound, but for what it has transcribed. While its connection is not good, every piece of speech
    is given whole to the first that can hear it; where that is this one, it hears the microphone
    again.

    Attributes:
        successors: Who listens in its place, in order of preference.
        cannot_hear: What is said where nobody understands; "" for nothing.
        has_microphone: Whether it is the one that hears the microphone.
    """

    successors: Sequence[Hears] = ()
    cannot_hear = ""
    has_microphone = False
    _speaking: _Piece | None = None
    _confirmed: _Piece | None = None
    _hearing: asyncio.Task[None] | None = None

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._sound = bytearray()
        self._unheard: deque[_Piece] = deque()
        # Speech comes no faster than it is spoken, and each piece is given up after some time.
        self._pieces: asyncio.Queue[_Piece] = asyncio.Queue()

    async def start(self, frame: StartFrame) -> None:
        """Begin to listen, if it has the microphone."""
        await super().start(frame)
        if self.has_microphone:
            self._hearing = self.create_task(self._hear_pieces())
            if watch_of(self).circuit.state is CircuitState.CLOSED:
                self.connect_ahead()

    async def stop(self, frame: EndFrame) -> None:
        """End with the call."""
        await self._stop_hearing()
        await super().stop(frame)

    async def cancel(self, frame: CancelFrame) -> None:
        """End at once."""
        await self._stop_hearing()
        await super().cancel(frame)

    async def cleanup(self) -> None:
        """Leave nothing running."""
        await self._stop_hearing()
        await super().cleanup()

    async def _stop_hearing(self) -> None:
        if self._hearing:
            await self.cancel_task(self._hearing)
            self._hearing = None

    # The microphone

    @property
    def _hears_microphone(self) -> bool:
        """Whether it is given sound as it comes, and what it makes of it counts."""
        if self._speaking:
            return self._speaking.is_live and not self._speaking.error
        is_closed = watch_of(self).circuit.state is CircuitState.CLOSED
        return self._is_open and not self._asked and is_closed

    async def process_audio_frame(
        self, frame: InputAudioRawFrame, direction: FrameDirection
    ) -> None:
        """Keep the sound of speech, and hear it."""
        if self.is_muted:
            return
        self._user_id = frame.user_id if isinstance(frame, UserAudioRawFrame) else ""
        self._sound += frame.audio
        if self._speaking:
            self._speaking.speech_secs += len(frame.audio) / self._bytes(1)
        else:
            del self._sound[: -self._bytes(BEFORE_SECS)]
        if self._hears_microphone:
            await super().process_audio_frame(frame, direction)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Follow where speech begins and ends."""
        match frame:
            case VADUserStartedSpeakingFrame():
                self._speaking = _Piece(is_live=self._hears_microphone)
                self._unheard.append(self._speaking)
                await super().process_frame(frame, direction)
            case VADUserStoppedSpeakingFrame():
                try:
                    if self._hears_microphone:
                        await super().process_frame(frame, direction)
                    else:
                        # The service is not to be told, but everybody else.
                        await STTService.process_frame(self, frame, direction)
                finally:
                    self._end_piece()
            case _:
                await super().process_frame(frame, direction)

    def _end_piece(self) -> None:
        piece, self._speaking = self._speaking, None
        if piece:
            piece.sound = bytes(self._sound) + bytes(self._bytes(BEHIND_SECS))
            self._pieces.put_nowait(piece)
        self._sound.clear()

    def request_finalize(self) -> None:
        """Take that the service will say when it has heard all of a piece."""
        super().request_finalize()
        if self._speaking:
            self._speaking.is_confirmed = False

    def confirm_finalize(self) -> None:
        """Take that it has."""
        super().confirm_finalize()
        piece = next((it for it in self._unheard if it.is_confirmed is False), None)
        if piece and not self._asked:
            self._confirmed = piece
            piece.is_confirmed = True
            piece.changed.set()

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        """Push a frame, but for transcripts that are late."""
        if isinstance(frame, TranscriptionFrame | InterimTranscriptionFrame) and not self._asked:
            if not self._hears_microphone:
                return
            if isinstance(frame, TranscriptionFrame):
                self._answer()
        await super().push_frame(frame, direction)

    def _fail(self, error: SpeechFailed) -> None:
        """Have the others hear what it was given, and this one connect anew.

        It has failed once, however many pieces it was given.
        """
        for piece in self._unheard:
            if piece is self._unheard[0]:
                piece.error = error
            else:
                piece.is_live, piece.is_forsaken = False, True
            piece.changed.set()
        super()._fail(error)

    def _answer(self) -> None:
        """Take that something is transcribed: nobody else need hear that.

        As long as speech from before is not understood, or where the service has just said that it
        is, it is of that, and not of what is being said.
        """
        before = [
            it
            for it in self._unheard
            if it is not self._speaking and (not it.is_heard or it is self._confirmed)
        ]
        self._confirmed = None
        if not before or not self._speaking:
            self._sound.clear()
        for piece in before or self._unheard:
            piece.is_answered = True
            piece.changed.set()

    # Pieces of speech

    async def _hear_pieces(self) -> None:
        """Have each piece understood by the first that can."""
        while True:
            piece = await self._pieces.get()
            try:
                await self._have_heard(piece)
            except Exception as error:  # noqa: BLE001 - whatever it is, the user is told
                await self._tell_of_failure(ErrorFrame(str(error), exception=error))
            self._unheard.remove(piece)

    async def _have_heard(self, piece: _Piece) -> None:
        services: Sequence[Hears] = [self, *self.successors]
        if piece.is_forsaken and self.successors:
            services = self.successors
        async for frame in first_that_works(services, partial(self._heard_by, piece=piece)):
            if isinstance(frame, ErrorFrame):
                await self._tell_of_failure(frame)
            elif frame:
                await self._tell(frame)

    async def _tell_of_failure(self, error: ErrorFrame) -> None:
        await self._tell(error)
        if self.cannot_hear:
            await self._tell(TTSSpeakFrame(self.cannot_hear, append_to_context=True))

    async def _heard_by(self, service: Hears, piece: _Piece) -> Frames:
        if service is self and piece.error:
            raise piece.error
        if service is self and piece.is_live:
            await self._understand(piece)
            return
        async with aclosing(service.hear(pcm_to_wav(piece.sound, self.sample_rate))) as frames:
            async for frame in frames:
                yield frame

    async def _understand(self, piece: _Piece) -> None:
        """Wait until a piece that was heard as it came is understood.

        Raises:
            SpeechFailed: If it is not, in time.
        """
        secs = watch_of(self).first_output_secs
        try:
            async with asyncio.timeout(secs):
                while not piece.is_heard and not piece.error:
                    piece.changed.clear()
                    await piece.changed.wait()
        except TimeoutError as error:
            if piece.is_confirmed is None and piece.speech_secs < WORDLESS_SECS:
                return
            why = f"nothing came for {secs} s"
            late = SpeechFailed(why, ErrorCategory.CONNECTIVITY, is_late=True)
            # Nothing will come of what is being said now, either.
            self._fail(late)
            raise late from error
        if piece.error:
            raise piece.error
