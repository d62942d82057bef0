"""A WebRTC client without a browser: for the terminal, for tests, for load.

It starts a session by `/start` like any of Pipecat's clients, sends 48 kHz mono audio, keeps
what the bot says, and reads the RTVI messages of the data channel.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
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
from bots.loopback import connect_over_loopback_when_alone
from runner.clients.client import HTTP_SECS, SAMPLE_RATE_HZ, TalkFailed, post, with_key
from runner.clients.rtvi import READY, RtviClient, is_kind, rtvi_message

PING_INTERVAL_SECS = 1.0
"""Pipecat takes a peer for lost that has once pinged and then is silent for 3 s."""

HANG_UP_SECS = 1.0
"""How long the bot, which may be in the midst of a sentence, is waited for after a hang-up."""


class Peer(RtviClient):
    """One client in one call over WebRTC; use `connect` to make one.

    A piece of `heard` is a packet, and `closed` is set when the bot's sound has ended.

    Attributes:
        session_id: The session it is in, with what lets into it.
        pc_id: Names its connection to the service; "" before there is one.
    """

    def __init__(self, session_id: str, pc: RTCPeerConnection) -> None:
        super().__init__()
        self.session_id = session_id
        self.pc_id = ""
        self._pc = pc
        self._channel: Any = None

    def send(self, kind: str, data: Any = None) -> None:
        """Send an RTVI message, such as `send-text`."""
        self._channel.send(json.dumps(rtvi_message(kind, data)))

    async def write(self, text: str) -> None:
        """Send something in writing."""
        self.send("send-text", {"content": text})

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
            self.send("client-ready", READY)

        await self._pc.setLocalDescription(await self._pc.createOffer())
        offer = self._pc.localDescription
        sdp, kind = await answer(offer.sdp, offer.type)
        await self._pc.setRemoteDescription(RTCSessionDescription(sdp, kind))
        await self.wait_for(is_kind("bot-ready"), timeout=20)

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
    timeout = aiohttp.ClientTimeout(HTTP_SECS)
    async with aiohttp.ClientSession(url, timeout=timeout, headers=with_key(key)) as http:
        servers = []
        session_id = in_place_of.session_id if in_place_of else session_id
        if session_id is None:
            started = await post(http, "/start", {"transport": "webrtc", "body": {"bot": bot}})
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
            reply = await post(http, path, offer)
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
