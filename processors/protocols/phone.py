"""The media stream of a phone call, as Pipecat's serializers speak it for each provider."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Literal

import numpy as np
from av import AudioFrame, AudioResampler
from loguru import logger
from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    Frame,
    InputAudioRawFrame,
    OutputAudioRawFrame,
)
from pipecat.processors.frame_processor import FrameProcessorSetup
from pipecat.serializers.base_serializer import FrameSerializer
from pydantic import Base64Bytes, BaseModel, Field, TypeAdapter

from processors.protocols.json_serializer import hang_up

PHONE_RATE_HZ = 8000
"""Of the sound in both directions."""

PLAYED_SECS = 0.5
"""How long the provider may still be playing the last that was sent to it."""


class _Sound(BaseModel):
    payload: Base64Bytes


class _Key(BaseModel):
    digit: str


class Media(BaseModel):
    """A piece of what the caller says."""

    event: Literal["media"]
    media: _Sound


class Dtmf(BaseModel):
    """A key of the caller's phone."""

    event: Literal["dtmf"]
    dtmf: _Key


class Stop(BaseModel):
    """The stream ends: the caller has hung up, or somebody else has the call from now on."""

    event: Literal["stop"]


EVENTS: TypeAdapter[Media | Dtmf | Stop] = TypeAdapter(
    Annotated[Media | Dtmf | Stop, Field(discriminator="event")]
)
"""What counts of the events of all providers; the others are marks, and what is new."""


class PhoneSerializer(FrameSerializer):
    """Guards a serializer of Pipecat's, and ends the phone call when the bot does.

    What cannot be taken is passed over: an exception would end Pipecat's reading of the socket.
    Sound is brought to the rate of the pipeline here, where it waits 2 ms for that; Pipecat's
    resampler keeps up to 95 ms, and the end of every turn would come so much later.

    Args:
        stream: The serializer. It leaves the rate of sound alone, and does not hang up.
        end_call: Ends the phone call; it raises nothing, and takes no longer than some seconds.
    """

    def __init__(self, stream: FrameSerializer, end_call: Callable[[], Awaitable[None]]) -> None:
        super().__init__()
        self._stream = stream
        self._end_call = end_call
        self._is_over = False
        self._rate_hz = 0
        self._resampler: AudioResampler | None = None

    async def setup(self, setup: FrameProcessorSetup) -> None:  # type: ignore[override]
        """Learn the sample rate of the pipeline."""
        await self._stream.setup(setup)
        self._rate_hz = setup.audio_in_sample_rate
        self._resampler = AudioResampler(format="s16", layout="mono", rate=self._rate_hz)

    async def serialize(self, frame: Frame) -> str | bytes | None:
        """Return a frame as the provider takes it; at the last frame, end the phone call."""
        match frame:
            case EndFrame() | CancelFrame():
                if not self._is_over:
                    self._is_over = True
                    if isinstance(frame, EndFrame):
                        await asyncio.sleep(PLAYED_SECS)
                    await self._end_call()
                return None
            case OutputAudioRawFrame(audio=b""):
                # An `OutputPause` has dropped it.
                return None
        return await self._stream.serialize(frame)

    async def deserialize(self, data: str | bytes) -> Frame | None:
        """Return what the provider sent, if it is of use."""
        try:
            if isinstance(EVENTS.validate_json(data), Stop):
                self._is_over = True
                return hang_up()
            frame = await self._stream.deserialize(data)
            return self._resampled(frame) if isinstance(frame, InputAudioRawFrame) else frame
        except ValueError as error:
            logger.debug("a message of the phone provider is passed over: {}", type(error).__name__)
            return None

    def _resampled(self, sound: InputAudioRawFrame) -> InputAudioRawFrame | None:
        """Return sound at the rate of the pipeline; None if there is none yet.

        Raises:
            ValueError: If it ends within a sample.
        """
        assert self._resampler
        samples = np.frombuffer(sound.audio, np.int16).reshape(1, -1)
        piece = AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        piece.sample_rate = sound.sample_rate
        audio = b"".join(it.to_ndarray().tobytes() for it in self._resampler.resample(piece))
        return InputAudioRawFrame(audio, self._rate_hz, 1) if audio else None
