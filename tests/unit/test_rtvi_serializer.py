"""What a client may send over a WebSocket."""

import json

import pytest
from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    Frame,
    InputAudioRawFrame,
    InputTransportMessageFrame,
    InterruptionFrame,
    OutputAudioRawFrame,
    OutputTransportMessageUrgentFrame,
)
from pipecat.frames.protobufs import frames_pb2

from processors.rtvi_serializer import RTVISerializer

RATE_HZ = 16_000
PROTO = frames_pb2.Frame


@pytest.fixture
def serializer(monkeypatch: pytest.MonkeyPatch) -> RTVISerializer:
    serializer = RTVISerializer()
    monkeypatch.setattr(serializer, "_rate_hz", RATE_HZ)
    return serializer


def sound(secs: float, rate_hz: int = RATE_HZ, channels: int = 1) -> bytes:
    pcm = bytes(2 * int(secs * RATE_HZ))
    raw = frames_pb2.AudioRawFrame(audio=pcm, sample_rate=rate_hz, num_channels=channels)
    return bytes(PROTO(audio=raw).SerializeToString())


def message(text: str) -> bytes:
    return bytes(PROTO(message=frames_pb2.MessageFrame(data=text)).SerializeToString())


async def test_sound_and_messages_are_taken(serializer: RTVISerializer) -> None:
    frame = await serializer.deserialize(sound(0.02))
    assert isinstance(frame, InputAudioRawFrame)
    assert (frame.sample_rate, frame.num_channels, len(frame.audio)) == (RATE_HZ, 1, 640)
    frame = await serializer.deserialize(message(json.dumps({"label": "rtvi-ai"})))
    assert isinstance(frame, InputTransportMessageFrame)
    assert frame.message == {"label": "rtvi-ai"}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("text", "not a frame"),
        (b"", "not None"),
        (b"\xff\xff", "not a frame"),
        (PROTO(text=frames_pb2.TextFrame(text="x")).SerializeToString(), "not text"),
        (
            PROTO(transcription=frames_pb2.TranscriptionFrame(text="x")).SerializeToString(),
            "not transcription",
        ),
        (
            PROTO(interruption=frames_pb2.InterruptionFrame(name="x")).SerializeToString(),
            "not interruption",
        ),
        (message("3"), "JSON object"),
        (message("{"), "JSON object"),
        (message("[" * 100_000), "JSON object"),
        (message("9" * 5_000), "JSON object"),
        (message('{"id": "\\ud800"}'), "JSON object"),
        (message('{"type": "raw-audio", "data": {}}'), "audio frames"),
        (message('{"type": "raw-audio-batch", "data": {}}'), "audio frames"),
        (sound(0.02, rate_hz=48_000), "16-bit mono at 16000 Hz"),
        (sound(0.02, channels=2), "16-bit mono"),
        (
            PROTO(
                audio=frames_pb2.AudioRawFrame(audio=b"odd", sample_rate=RATE_HZ, num_channels=1)
            ).SerializeToString(),
            "16-bit mono",
        ),
    ],
)
async def test_all_else_is_answered(
    serializer: RTVISerializer, data: str | bytes, words: str
) -> None:
    answer = await serializer.deserialize(data)
    assert isinstance(answer, OutputTransportMessageUrgentFrame)
    assert answer.message["type"] == "error"
    assert words in answer.message["data"]["error"]
    assert not answer.message["data"]["fatal"]
    assert await serializer.serialize(answer)


@pytest.mark.parametrize("frame", [EndFrame(), CancelFrame(), OutputAudioRawFrame(b"", 24_000, 1)])
async def test_the_end_and_sound_that_was_dropped_are_not_sent(
    serializer: RTVISerializer, frame: Frame
) -> None:
    assert await serializer.serialize(frame) is None


async def test_sound_and_interruptions_are_sent(serializer: RTVISerializer) -> None:
    for frame, kind in (
        (OutputAudioRawFrame(bytes(960), 24_000, 1), "audio"),
        (InterruptionFrame(), "interruption"),
    ):
        sent = await serializer.serialize(frame)
        assert PROTO.FromString(sent).WhichOneof("frame") == kind
