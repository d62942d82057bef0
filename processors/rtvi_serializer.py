"""RTVI over a WebSocket: Pipecat's protobuf frames, of which a client may send only some."""

from google.protobuf.message import DecodeError
from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    Frame,
    InputAudioRawFrame,
    InputTransportMessageFrame,
    OutputAudioRawFrame,
    OutputTransportMessageUrgentFrame,
)
from pipecat.frames.protobufs import frames_pb2
from pipecat.processors.frame_processor import FrameProcessorSetup
from pipecat.processors.frameworks.rtvi.models import Error, ErrorData
from pipecat.serializers.protobuf import ProtobufFrameSerializer
from pydantic_core import from_json

SAMPLE_BYTES = 2


class RTVISerializer(ProtobufFrameSerializer):
    """Reads what `@pipecat-ai/websocket-transport` sends, and answers what it cannot take.

    An exception would end Pipecat's reading of the socket without a word to the client. An error
    message in place of the frame goes through the pipeline and out to it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._rate_hz = 0

    async def setup(self, setup: FrameProcessorSetup) -> None:  # type: ignore[override]
        """Learn the sample rate of the pipeline."""
        await super().setup(setup)
        self._rate_hz = setup.audio_in_sample_rate

    async def serialize(self, frame: Frame) -> str | bytes | None:
        """Return a frame as it is sent.

        None for the end, which the closing socket tells, and for what an `OutputPause` has
        dropped, which would come to the client behind the interruption.
        """
        if isinstance(frame, EndFrame | CancelFrame):
            return None
        if isinstance(frame, OutputAudioRawFrame) and not frame.audio:
            return None
        return await super().serialize(frame)

    async def deserialize(self, data: str | bytes) -> Frame | None:
        """Return what a client sent: sound, a message, or an error message back to it."""
        try:
            frame = frames_pb2.Frame.FromString(data)  # type: ignore[attr-defined]
        except (DecodeError, TypeError):
            return _error("this is not a frame of Pipecat's protobuf protocol")
        match frame.WhichOneof("frame"):
            case "audio":
                sound = frame.audio
                return self._hear(sound.audio, sound.sample_rate, sound.num_channels)
            case "message":
                return _read(frame.message.data)
            case kind:
                # It would speak in the bot's voice, put words into the user's mouth, or
                # interrupt without a sound.
                return _error(f"clients send audio and message frames, not {kind}")

    def _hear(self, audio: bytes, rate_hz: int, channels: int) -> Frame | None:
        if rate_hz != self._rate_hz or channels != 1 or len(audio) % SAMPLE_BYTES:
            return _error(f"sound has to be 16-bit mono at {self._rate_hz} Hz")
        return InputAudioRawFrame(audio, rate_hz, channels) if audio else None


def _read(text: str) -> Frame:
    try:
        message = from_json(text, allow_inf_nan=False)
    except ValueError:
        message = None
    if not isinstance(message, dict):
        return _error("a message is not a JSON object")
    if message.get("type") in ("raw-audio", "raw-audio-batch"):
        # Pipecat takes it as it is, of whatever rate.
        return _error("sound comes in audio frames, not in messages")
    return InputTransportMessageFrame(message=message)


def _error(text: str) -> OutputTransportMessageUrgentFrame:
    message = Error(data=ErrorData(error=text, fatal=False))
    return OutputTransportMessageUrgentFrame(message=message.model_dump())
