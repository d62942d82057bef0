"""A client over a WebSocket, in the protocol of Pipecat's websocket transport."""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import numpy as np
import soxr
from pipecat.frames.protobufs import frames_pb2
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_socket
from websockets.exceptions import ConnectionClosed

from runner.peer import SAMPLE_RATE_HZ, Peer

MICROPHONE_HZ = 16_000
SPEAKER_HZ = 24_000
READY_SECS = 20


class SocketPeer(Peer):
    """The peer of `runner.peer`, over a socket; sound comes only while the bot speaks.

    Attributes:
        interrupted_at: `len(heard)` at each interruption; what came before it, and has not been
            played, is not to be.
        heard_at: When each piece of `heard` came, in seconds.
    """

    def __init__(self, socket: ClientConnection) -> None:
        super().__init__("", None)  # type: ignore[arg-type]
        self.socket = socket
        self.interrupted_at: list[int] = []
        self.heard_at: list[float] = []

    def send(self, kind: str, data: Any = None) -> None:
        raise NotImplementedError("a socket is awaited: use send_message")

    async def send_message(self, kind: str, data: Any = None) -> None:
        """Send an RTVI message."""
        message = {"label": "rtvi-ai", "id": uuid.uuid4().hex[:8], "type": kind, "data": data}
        frame = frames_pb2.Frame(message=frames_pb2.MessageFrame(data=json.dumps(message)))
        await self.socket.send(frame.SerializeToString())

    async def read(self) -> None:
        """Keep what comes until the socket is closed."""
        resampler = soxr.ResampleStream(SPEAKER_HZ, SAMPLE_RATE_HZ, 1, dtype="int16")
        try:
            async for data in self.socket:
                assert isinstance(data, bytes)
                frame = frames_pb2.Frame.FromString(data)
                match frame.WhichOneof("frame"):
                    case "audio":
                        assert frame.audio.sample_rate == SPEAKER_HZ
                        assert frame.audio.num_channels == 1
                        pcm = np.frombuffer(frame.audio.audio, np.int16)
                        self.heard.append(resampler.resample_chunk(pcm))
                        self.heard_at.append(time.monotonic())
                    case "interruption":
                        self.interrupted_at.append(len(self.heard))
                    case "message":
                        self.messages.append(json.loads(frame.message.data))
                        self._changed.set()
        except ConnectionClosed:
            pass
        self.closed.set()

    async def speak(self) -> None:
        """Send what the microphone hears, in real time."""
        resampler = soxr.ResampleStream(SAMPLE_RATE_HZ, MICROPHONE_HZ, 1, dtype="int16")
        while True:
            sound = (await self.microphone.recv()).to_ndarray()[0]
            try:
                await self.socket.send(audio(resampler.resample_chunk(sound).tobytes()))
            except ConnectionClosed:
                return


def audio(pcm: bytes, *, rate_hz: int = MICROPHONE_HZ, channels: int = 1) -> bytes:
    """Return a message with 16-bit sound."""
    sound = frames_pb2.AudioRawFrame(audio=pcm, sample_rate=rate_hz, num_channels=channels)
    return bytes(frames_pb2.Frame(audio=sound).SerializeToString())


async def start(url: str) -> str:
    """Start a session; return the address of its socket."""
    async with aiohttp.ClientSession(url) as http:
        wish = {"transport": "websocket", "body": {}}
        async with http.post("/start", json=wish) as response:
            answer = await response.json()
            assert response.status == 200, answer
    assert set(answer) == {"wsUrl"}, "Pipecat's client takes no other key"
    address: str = answer["wsUrl"]
    return address


@asynccontextmanager
async def connect_by_socket(url: str) -> AsyncIterator[SocketPeer]:
    """Call the default bot; hangs up at the end."""
    async with join_by_socket(await start(url)) as peer:
        yield peer


@asynccontextmanager
async def join_by_socket(address: str, *, muted: bool = False) -> AsyncIterator[SocketPeer]:
    """Come to a session that was started; hangs up at the end.

    Args:
        address: Of its socket.
        muted: Whether the microphone sends nothing, not even silence.
    """
    async with open_socket(address) as socket:
        peer = SocketPeer(socket)
        tasks = [asyncio.create_task(peer.read())]
        if not muted:
            tasks.append(asyncio.create_task(peer.speak()))
        try:
            await peer.send_message(
                "client-ready", {"version": "2.0.0", "about": {"library": "test"}}
            )
            await peer.wait_for(lambda m: m["type"] == "bot-ready", timeout=READY_SECS)
            yield peer
        finally:
            await socket.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
