"""Sound in the messages of a protocol, and the end of an utterance by the word of its client."""

import asyncio
import base64
import binascii
from collections.abc import Callable
from typing import Literal, Protocol, TypeAlias

from pipecat.frames.frames import InputAudioRawFrame
from pydantic import BaseModel

from processors.protocols.json_serializer import ProtocolError
from processors.push_to_talk import FinalAudioFrame

SAMPLE_BYTES = 2

SILENCE_SECS = 0.6
"""Behind an utterance that its client ends: in it, the voice activity detector is sure of the end
(after 0.2 s), and speech recognition has what it takes for a pause."""


class Decoder(Protocol):
    """Reads sound as it comes, cut anywhere."""

    def feed(self, data: bytes) -> bytes:
        """Return what more has become of it: 16-bit mono."""

    def finish(self) -> bytes:
        """Return the rest, where no more comes."""


class Encoder(Protocol):
    """Writes sound as it is spoken."""

    def feed(self, pcm: bytes) -> list[bytes]:
        """Return the pieces that are complete with 16-bit mono."""

    def finish(self) -> list[bytes]:
        """Return the rest."""


MakeDecoder: TypeAlias = Callable[[str, int, int], Decoder]
"""Makes a decoder for an utterance, of its format, its sample rate and the one to return."""

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
        self._kind = ("", 0)

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
        if self._decoder:
            decoder, self._decoder = self._decoder, None
            pcm += await asyncio.to_thread(decoder.finish)
        silence = bytes(SAMPLE_BYTES * round(rate_hz * SILENCE_SECS))
        return FinalAudioFrame(pcm + silence, rate_hz, 1)

    async def _read(self, sound: Sound, rate_hz: int) -> bytes:
        kind = (sound.format, sound.sample_rate)
        if not self._decoder or kind != self._kind:
            self._kind = kind
            self._decoder = self._make_decoder(*kind, rate_hz)
        return await asyncio.to_thread(self._decoder.feed, from_base64(sound.data))


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
        raise ProtocolError("INVALID_AUDIO", "the sound is not in Base64") from error
