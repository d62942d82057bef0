"""A client in the protocol of Pipecat's websocket transport: RTVI and sound in protobuf."""

import json
import time
from typing import Any

import numpy as np
import soxr
from pipecat.frames.protobufs import frames_pb2
from websockets.asyncio.client import ClientConnection

from runner.clients.client import SAMPLE_RATE_HZ, Pcm
from runner.clients.rtvi import READY, RtviClient, is_kind, rtvi_message
from runner.clients.sockets import SocketClient

MICROPHONE_HZ = 16_000
SPEAKER_HZ = 24_000
READY_SECS = 20


class RtviSocketClient(RtviClient, SocketClient):
    """A client whose sound comes only while the bot speaks.

    Attributes:
        interrupted_at: `len(heard)` at each interruption; what came before it, and has not been
            played, is not to be.
        heard_at: When each piece of sound came, in seconds.
    """

    def __init__(self, socket: ClientConnection) -> None:
        super().__init__(socket)
        self.interrupted_at: list[int] = []
        self.heard_at: list[float] = []
        self._to_microphone = soxr.ResampleStream(SAMPLE_RATE_HZ, MICROPHONE_HZ, 1, dtype="int16")
        self._to_ears = soxr.ResampleStream(SPEAKER_HZ, SAMPLE_RATE_HZ, 1, dtype="int16")

    async def open(self) -> None:
        """Say that there is a client, and let the microphone be heard."""
        await self.send("client-ready", READY)
        await self.wait_for(is_kind("bot-ready"), timeout=READY_SECS)
        await self.keep_talking()

    async def send(self, kind: str, data: Any = None) -> None:
        """Send a message of RTVI."""
        text = json.dumps(rtvi_message(kind, data))
        frame = frames_pb2.Frame(message=frames_pb2.MessageFrame(data=text))  # type: ignore[attr-defined]
        await self.socket.send(frame.SerializeToString())

    async def write(self, text: str) -> None:
        """Send something in writing."""
        await self.send("send-text", {"content": text})

    async def send_sound(self, pcm: Pcm) -> None:
        """Send a piece of what the microphone hears."""
        await self.socket.send(audio(self._to_microphone.resample_chunk(pcm).tobytes()))

    def take(self, data: str | bytes) -> None:
        """Take a frame of Pipecat's protobuf."""
        assert isinstance(data, bytes)
        frame = frames_pb2.Frame.FromString(data)  # type: ignore[attr-defined]
        match frame.WhichOneof("frame"):
            case "audio":
                assert (frame.audio.sample_rate, frame.audio.num_channels) == (SPEAKER_HZ, 1)
                self.heard_at.append(time.monotonic())
                sound = np.frombuffer(frame.audio.audio, np.int16)
                self.on_heard(self._to_ears.resample_chunk(sound))
            case "interruption":
                self.interrupted_at.append(len(self.heard))
            case "message":
                self.messages.append(json.loads(frame.message.data))


def audio(pcm: bytes, *, rate_hz: int = MICROPHONE_HZ, channels: int = 1) -> bytes:
    """Return a message with 16-bit sound."""
    sound = frames_pb2.AudioRawFrame(audio=pcm, sample_rate=rate_hz, num_channels=channels)  # type: ignore[attr-defined]
    return bytes(frames_pb2.Frame(audio=sound).SerializeToString())  # type: ignore[attr-defined]
