"""Sound in the messages of a protocol, and the end of an utterance by the word of its client."""

import asyncio
import base64
import binascii
from collections.abc import Callable
from functools import partial
from typing import Literal, Protocol, TypeAlias

from pipecat.frames.frames import InputAudioRawFrame
from pydantic import BaseModel

from engines.audio.error import AudioError, Truncated, UnknownFormat
from processors.protocols.json_serializer import ProtocolError
from processors.push_to_talk import FinalAudioFrame

SAMPLE_BYTES = 2

SILENCE_SECS = 0.6
"""Behind an utterance that its client ends: in it, the voice activity detector is sure of the end
(after 0.2 s), and speech recognition has what it takes for a pause."""


class Decoder(Protocol):
    """Reads sound as it comes, cut anywhere.

    Its methods raise an `AudioError` where the sound cannot be read, after which it is of no use.
    """

    def feed(self, data: bytes) -> bytes:
        """Return what more has become of it: 16-bit mono."""

    def finish(self) -> bytes:
        """Return the rest, where no more comes."""

    def close(self) -> None:
        """Read no more, where it has not come to its end."""


class Encoder(Protocol):
    """Writes sound as it is spoken."""

    def feed(self, pcm: bytes) -> list[bytes]:
        """Return the pieces that are complete with 16-bit mono."""

    def finish(self) -> list[bytes]:
        """Return the rest."""


MakeDecoder: TypeAlias = Callable[["Sound", int], Decoder]
"""Makes what reads an utterance, of its first piece and the rate that it is to have then."""

MakeEncoder: TypeAlias = Callable[[int], Encoder]
"""Makes an encoder for a speech, of the sample rate that it is given."""

AudioFormat: TypeAlias = Literal["auto", "pcm16", "mulaw", "alaw"]
"""`auto` for what says itself what it is: WebM, Ogg, WAV, MP3, MP4."""


class Sound(BaseModel):
    """Sound in a message.

    Attributes:
        data: Base64.
        format: Of `data`.
        sample_rate: Of `data`, in Hz; only for a format that does not say it itself.
    """

    data: str
    format: AudioFormat = "pcm16"
    sample_rate: Literal[8000, 16000, 24000, 44100, 48000] = 16000


class Microphone:
    """Reads what a client records, an utterance after the other.

    Args:
        make_decoder: Makes what reads it.
    """

    def __init__(self, make_decoder: MakeDecoder) -> None:
        self._make_decoder = make_decoder
        self._decoder: Decoder | None = None
        self._kind: tuple[str, int] | None = None
        # Whether the rest of a file comes, of which no more can be read.
        self._is_lost = False
        self._decoding: asyncio.Task[bytes] | None = None

    async def hear(
        self, sound: Sound | None, rate_hz: int, *, is_final: bool = False
    ) -> InputAudioRawFrame | None:
        """Return what can be heard of a piece of sound; None if that is nothing yet.

        Args:
            sound: The next piece; None for none.
            rate_hz: Of the sound that is returned.
            is_final: Whether the utterance ends with it.

        Raises:
            ProtocolError: If it cannot be read; what comes next is read as a new utterance.
        """
        pcm = await self._read(sound, rate_hz) if sound and sound.data else b""
        if not is_final:
            return InputAudioRawFrame(pcm, rate_hz, 1) if pcm else None
        self._is_lost = False
        if self._decoder:
            decoder, self._decoder = self._decoder, None
            pcm += await self._decode(decoder.finish)
        silence = bytes(SAMPLE_BYTES * round(rate_hz * SILENCE_SECS))
        return FinalAudioFrame(pcm + silence, rate_hz, 1)

    async def close(self) -> None:
        """Read no more, when what is being read has been, though nobody waits for that."""
        if self._decoding:
            await asyncio.wait({self._decoding})
        decoder, self._decoder = self._decoder, None
        if decoder:
            await asyncio.to_thread(decoder.close)

    async def _read(self, sound: Sound, rate_hz: int) -> bytes:
        kind = (sound.format, sound.sample_rate)
        if kind != self._kind:
            await self.close()
            self._kind = kind
        data = from_base64(sound.data)
        if sound.format == "pcm16" and len(data) % SAMPLE_BYTES:
            # Else all that follows would be noise.
            raise ProtocolError(Truncated.code, "a piece ends in the middle of a 16-bit sample")
        decoder = self._decoder = self._decoder or self._make_decoder(sound, rate_hz)
        try:
            pcm = await self._decode(partial(decoder.feed, data))
        except ProtocolError as error:
            self._decoder = None
            if self._is_lost and error.code == UnknownFormat.code:
                return b""
            self._is_lost = True
            raise
        self._is_lost = self._is_lost and not pcm
        return pcm

    async def _decode(self, decode: Callable[[], bytes]) -> bytes:
        """Decode beside the event loop.

        Raises:
            ProtocolError: If the sound cannot be read.
        """
        self._decoding = asyncio.create_task(asyncio.to_thread(decode))
        try:
            return await asyncio.shield(self._decoding)
        except AudioError as error:
            raise ProtocolError(error.code, error.message) from error


def to_base64(audio: bytes) -> str:
    """Write sound as text."""
    return base64.b64encode(audio).decode()


def from_base64(data: str) -> bytes:
    """Read sound that was written as text.

    Raises:
        ProtocolError: If it is no Base64.
    """
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ProtocolError(AudioError.code, "the sound is not in Base64") from error
