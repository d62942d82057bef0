"""A WebRTC client without a browser: for the terminal, for tests, for load.

It starts a session by `/start` like any of Pipecat's clients, sends 48 kHz mono audio, keeps
what the bot says, and reads the RTVI messages of the data channel.
"""

import asyncio
import fractions
import json
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
import numpy as np
import numpy.typing as npt
from aiortc import (
    RTCConfiguration,
    RTCIceServer,
    RTCIceTransportPolicy,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame, AudioResampler

from bots.audio_receiver import hear_without_delay
from bots.errors import ParlanteError
from bots.loopback import connect_over_loopback_when_alone

SAMPLE_RATE_HZ = 48_000
FRAME_SAMPLES = SAMPLE_RATE_HZ // 50
PING_INTERVAL_SECS = 1.0
"""Pipecat takes a peer for lost that has once pinged and then is silent for 3 s."""

HANG_UP_SECS = 1.0
"""How long the bot, which may be in the midst of a sentence, is waited for after a hang-up."""

PAUSE_SECS = 1.5
"""A silence after which the bot is taken to have finished: between two sentences there may be a
shorter one."""

MAX_WAITING_SAMPLES = SAMPLE_RATE_HZ // 5
"""Sound of a live microphone that may wait to be sent: 200 ms. Its clock is not the peer's."""

Pcm = npt.NDArray[np.int16]


class TalkFailed(ParlanteError):
    """A conversation could not be held."""

    code = "TALK_FAILED"


class Microphone(MediaStreamTrack):
    """An audio track that plays what it is given, in real time, and silence between."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._pending = np.zeros(0, np.int16)
        self._spoken = asyncio.Event()
        self._spoken.set()
        self._timestamp = 0
        self._started_at = 0.0

    def hear(self, pcm: Pcm) -> None:
        """Play 16-bit mono audio at 48 kHz as it comes; what has waited too long is dropped."""
        self._pending = np.concatenate([self._pending, pcm])[-MAX_WAITING_SAMPLES:]

    async def say(self, pcm: Pcm) -> None:
        """Play 16-bit mono audio at 48 kHz; returns when its last sample has been sent."""
        self._pending = np.concatenate([self._pending, pcm])
        self._spoken.clear()
        await self._spoken.wait()

    async def recv(self) -> AudioFrame:
        """Return the next 20 ms, when they are due."""
        if self._timestamp == 0:
            self._started_at = time.monotonic()
        due = self._started_at + self._timestamp / SAMPLE_RATE_HZ
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        samples, self._pending = self._pending[:FRAME_SAMPLES], self._pending[FRAME_SAMPLES:]
        if not self._pending.size:
            self._spoken.set()
        samples = np.pad(samples, (0, FRAME_SAMPLES - samples.size))
        frame = AudioFrame.from_ndarray(samples[None], layout="mono")
        frame.sample_rate = SAMPLE_RATE_HZ
        frame.pts = self._timestamp
        frame.time_base = fractions.Fraction(1, SAMPLE_RATE_HZ)
        self._timestamp += FRAME_SAMPLES
        return frame


class Peer:
    """One client in one call; use `connect` to make one.

    Attributes:
        session_id: The session it is in, with what lets into it.
        pc_id: Names its connection to the service; "" before there is one.
        microphone: What it says.
        on_heard: Takes each packet of what the bot says; by default they are kept in `heard`.
        heard: Everything the bot has sent, 16-bit mono at 48 kHz, a piece for each packet.
        messages: Every RTVI message it got, oldest first.
        closed: Set when the bot's sound has ended, and so the call.
    """

    def __init__(self, session_id: str, pc: RTCPeerConnection) -> None:
        self.session_id = session_id
        self.pc_id = ""
        self.microphone = Microphone()
        self.heard: list[Pcm] = []
        self.on_heard: Callable[[Pcm], None] = self.heard.append
        self.messages: list[dict[str, Any]] = []
        self.closed = asyncio.Event()
        self._pc = pc
        self._changed = asyncio.Event()
        self._channel: Any = None

    def send(self, kind: str, data: Any = None) -> None:
        """Send an RTVI message, such as `send-text`."""
        message = {"label": "rtvi-ai", "id": uuid.uuid4().hex[:8], "type": kind, "data": data}
        self._channel.send(json.dumps(message))

    async def wait_for(
        self, wanted: Callable[[dict[str, Any]], bool], *, timeout: float, after: int = 0
    ) -> dict[str, Any]:
        """Return the first RTVI message that is `wanted`.

        Args:
            wanted: Tells whether it is the one.
            timeout: Seconds to wait.
            after: Messages to skip: `len(peer.messages)` at some moment before.

        Raises:
            TimeoutError: If it does not come.
        """
        async with asyncio.timeout(timeout):
            while True:
                for message in self.messages[after:]:
                    if wanted(message):
                        return message
                self._changed.clear()
                await self._changed.wait()

    async def wait_for_state(self, state: str, *, timeout: float, after: int = 0) -> None:
        """Wait until the bot is in a voice state: "listening", "speaking" and so on.

        Raises:
            TimeoutError: If it does not come to it.
        """
        await self.wait_for(
            lambda m: m["type"] == "server-message" and m["data"].get("state") == state,
            timeout=timeout,
            after=after,
        )

    async def hear_out(self, *, timeout: float, after: int = 0) -> None:
        """Wait until the bot has spoken and has nothing more to say.

        Args:
            timeout: Seconds until it starts, and for each pause in its speech.
            after: Messages to skip: `len(peer.messages)` at some moment before.

        Raises:
            TimeoutError: If it does not speak, or does not stop.
        """
        while True:
            stopped = await self.wait_for(_is("bot-stopped-speaking"), timeout=timeout, after=after)
            after = self.messages.index(stopped, after) + 1
            try:
                await self.wait_for(_is("bot-started-speaking"), timeout=PAUSE_SECS, after=after)
            except TimeoutError:
                return

    async def listen(self, track: MediaStreamTrack) -> None:
        """Keep what the bot says until its track ends."""
        resampler = AudioResampler("s16", "mono", SAMPLE_RATE_HZ)
        try:
            while True:
                packet = await track.recv()
                assert isinstance(packet, AudioFrame)
                for frame in resampler.resample(packet):
                    self.on_heard(frame.to_ndarray()[0])
        except MediaStreamError:
            self.closed.set()

    async def open(self, answer: Callable[[str, str], Any]) -> None:
        """Connect: make an offer, get the answer, wait for the bot to be ready.

        Raises:
            TimeoutError: If the bot does not get ready within 20 s.
        """
        self._pc.addTransceiver(self.microphone, direction="sendrecv")
        hear_without_delay(self._pc)
        self._channel = self._pc.createDataChannel("chat")

        @self._channel.on("message")
        def on_message(text: str) -> None:
            message = json.loads(text)
            if message.get("label") == "rtvi-ai":
                self.messages.append(message)
                self._changed.set()

        @self._channel.on("open")
        def on_open() -> None:
            about = {"library": "parlante-peer"}
            self.send("client-ready", {"version": "2.0.0", "about": about})

        await self._pc.setLocalDescription(await self._pc.createOffer())
        offer = self._pc.localDescription
        sdp, kind = await answer(offer.sdp, offer.type)
        await self._pc.setRemoteDescription(RTCSessionDescription(sdp, kind))
        await self.wait_for(_is("bot-ready"), timeout=20)

    async def hang_up(self) -> None:
        """Tell the bot that this was the call, and close the connection."""
        if self._channel and self._channel.readyState == "open":
            self.send("disconnect-bot")
            with suppress(TimeoutError):
                async with asyncio.timeout(HANG_UP_SECS):
                    await self.closed.wait()
        await self.drop()

    async def drop(self) -> None:
        """Close the connection without a word; the session is still there to come back to."""
        await self._pc.close()

    async def ping(self) -> None:
        """Say again and again that this peer is alive."""
        while True:
            await asyncio.sleep(PING_INTERVAL_SECS)
            if self._channel.readyState == "open":
                self._channel.send("ping")


def _is(kind: str) -> Callable[[dict[str, Any]], bool]:
    return lambda message: message["type"] == kind


@asynccontextmanager
async def connect(
    url: str,
    *,
    bot: str | None = None,
    session_id: str | None = None,
    in_place_of: Peer | None = None,
    key: str | None = None,
    relay_only: bool = False,
) -> AsyncIterator[Peer]:
    """Call a bot; hangs up at the end.

    Args:
        url: The service, such as `http://localhost:7860`.
        bot: Who is called; None for the default bot.
        session_id: The session to come back to, with a new connection, as `Peer.session_id` was;
            None for a new session.
        in_place_of: Whose call goes on over the new connection, as after an ICE restart; None for
            a call of its own.
        key: An API key; None where the service is open.
        relay_only: Whether to go by way of a TURN server, as from behind a strict firewall.

    Raises:
        TalkFailed: If the service cannot be reached or refuses.
    """
    policy = RTCIceTransportPolicy.RELAY if relay_only else RTCIceTransportPolicy.ALL
    connect_over_loopback_when_alone()
    headers = {"X-API-Key": key} if key else None
    timeout = aiohttp.ClientTimeout(30)
    async with aiohttp.ClientSession(url, timeout=timeout, headers=headers) as http:
        servers = []
        session_id = in_place_of.session_id if in_place_of else session_id
        if session_id is None:
            started = await _post(http, "/start", {"transport": "webrtc", "body": {"bot": bot}})
            session_id = started["sessionId"]
            servers = started.get("iceConfig", {}).get("iceServers", [])
        ice = [RTCIceServer(**server) for server in servers]
        pc = RTCPeerConnection(RTCConfiguration(ice, iceTransportPolicy=policy))
        peer = Peer(session_id, pc)
        tasks: list[asyncio.Task[None]] = []

        async def answer(sdp: str, kind: str) -> tuple[str, str]:
            path = f"/sessions/{session_id}/api/offer"
            offer: dict[str, Any] = {"sdp": sdp, "type": kind}
            if in_place_of:
                offer |= {"pc_id": in_place_of.pc_id, "restart_pc": True}
            reply = await _post(http, path, offer)
            peer.pc_id = reply["pc_id"]
            return reply["sdp"], reply["type"]

        @pc.on("track")
        def on_track(track: MediaStreamTrack) -> None:
            tasks.append(asyncio.create_task(peer.listen(track)))

        try:
            await _open(peer, answer)
            tasks.append(asyncio.create_task(peer.ping()))
            yield peer
        finally:
            await peer.hang_up()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _open(peer: Peer, answer: Callable[[str, str], Any]) -> None:
    try:
        await peer.open(answer)
    except TimeoutError as error:
        message = "the bot did not get ready in time: see the log of the service"
        raise TalkFailed(message) from error


async def _post(http: aiohttp.ClientSession, path: str, body: Any) -> Any:
    try:
        async with http.post(path, json=body) as response:
            reply = await response.json()
            if not response.ok:
                raise TalkFailed(reply["error"]["message"])
            return reply
    except aiohttp.ClientConnectionError as error:
        raise TalkFailed(f"the service cannot be reached: {error}") from error
