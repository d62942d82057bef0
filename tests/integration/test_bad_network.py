"""A call over a network that loses, delays and reorders packets."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import numpy as np
import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription
from pipecat.frames.frames import Frame, InputAudioRawFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.runner.types import SmallWebRTCRunnerArguments
from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection
from pipecat.workers.runner import WorkerRunner

from bots.config import TelephonyConfig
from bots.transports import make_transport
from processors.output_pause import OutputPause
from runner.clients.client import SAMPLE_RATE_HZ, Microphone, Pcm
from runner.peer import connect
from tests.integration.test_call import REPLY_SECS, ask
from tests.integration.test_transcript import read
from tests.relay import Relay, Weather, far_from
from tests.service import Service
from tests.speech import LOUD_RMS, Speaker, rms, voiced_secs, words_wrong

pytestmark = pytest.mark.long

HEARD_HZ = 16_000
WINDOW_SECS = 0.1
RISING_SECS = 4.0
LOWEST_HZ, HIGHEST_HZ = 300, 3000


class Ear(FrameProcessor):
    """Keeps what a pipeline hears, 16-bit mono at 16 kHz, and when each piece came."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[Pcm] = []
        self.came_at: list[float] = []
        self.hearing = asyncio.Event()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame):
            assert frame.sample_rate == HEARD_HZ
            self.pieces.append(np.frombuffer(frame.audio, np.int16))
            self.came_at.append(time.monotonic())
            self.hearing.set()
        await self.push_frame(frame, direction)


@dataclass
class Call:
    """A microphone that is connected with a pipeline that only listens."""

    microphone: Microphone
    connection: SmallWebRTCConnection
    ear: Ear


@asynccontextmanager
async def calling(relay: Relay) -> AsyncIterator[Call]:
    """Make a call that goes over the relay."""
    connection, ear = SmallWebRTCConnection(), Ear()
    async with offering(relay) as (pc, microphone, offer):
        await connection.initialize(offer, "offer")
        transport = await make_transport(
            SmallWebRTCRunnerArguments(webrtc_connection=connection),
            OutputPause(),
            telephony=TelephonyConfig(),
        )
        pipeline = Pipeline([transport.input(), ear, transport.output()])
        worker = PipelineWorker(pipeline, idle_timeout_secs=None)
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(worker)
        running = asyncio.create_task(runner.run())
        try:
            await accept(pc, connection, relay)
            await asyncio.wait_for(ear.hearing.wait(), 10)
            yield Call(microphone, connection, ear)
        finally:
            await worker.cancel()
            await running
            await connection.disconnect()


@asynccontextmanager
async def offering(relay: Relay) -> AsyncIterator[tuple[RTCPeerConnection, Microphone, str]]:
    """Open a peer with a microphone, and its offer of a connection over the relay."""
    microphone, pc = Microphone(), RTCPeerConnection()
    pc.addTransceiver(microphone, direction="sendrecv")
    await pc.setLocalDescription(await pc.createOffer())
    try:
        yield pc, microphone, await relay.stand_for(pc.localDescription.sdp)
    finally:
        await pc.close()
        relay.close()


async def accept(pc: RTCPeerConnection, connection: SmallWebRTCConnection, relay: Relay) -> None:
    answer = connection.get_answer()
    assert answer
    sdp = await relay.stand_for(answer["sdp"])
    await pc.setRemoteDescription(RTCSessionDescription(sdp, "answer"))


async def delay(microphone: Microphone, ear: Ear) -> float:
    """Return the seconds, median of several, from when a packet is sent to when it is heard."""
    delays = []
    for _ in range(9):
        beginning = len(ear.pieces)
        await microphone.say(rising_tone()[: SAMPLE_RATE_HZ // 10])
        said_at = time.monotonic()
        await asyncio.sleep(0.15)
        pieces = ear.pieces[beginning:]
        delays.append(ear.came_at[beginning + voiced(pieces).stop - 1] - said_at)
    return float(np.median(delays))


def rising_tone() -> Pcm:
    """Return a tone whose pitch tells the time."""
    t = np.arange(int(RISING_SECS * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    turns = LOWEST_HZ * t + (HIGHEST_HZ - LOWEST_HZ) * t**2 / (2 * RISING_SECS)
    return (9000 * np.sin(2 * np.pi * turns)).astype(np.int16)


def times_told(heard: Pcm) -> list[float]:
    """Return for each window of what was heard of `rising_tone` the moment that it is of."""
    size = int(WINDOW_SECS * HEARD_HZ)
    told = []
    for start in range(0, len(heard) - size, size):
        spectrum = np.abs(np.fft.rfft(heard[start : start + size] * np.hanning(size)))
        pitch = float(np.argmax(spectrum)) / WINDOW_SECS
        told.append((pitch - LOWEST_HZ) / (HIGHEST_HZ - LOWEST_HZ) * RISING_SECS)
    return told


def voiced(pieces: list[Pcm]) -> slice:
    """Return the pieces from the first to the last that holds sound."""
    loud = [i for i, piece in enumerate(pieces) if rms(piece) > LOUD_RMS]
    return slice(loud[0], loud[-1] + 1)


def lateness(pieces: list[Pcm], came_at: list[float]) -> list[float]:
    """Return for each piece by how many seconds it came later than the fastest came."""
    began_at = np.cumsum([0, *map(len, pieces[:-1])]) / HEARD_HZ
    due = np.array(came_at) - began_at
    return list(due - due.min())


@pytest.mark.parametrize(
    "weather",
    [Weather(loss=0.05), Weather(swapped=0.2), Weather(loss=0.05, jitter_secs=0.03)],
    ids=["loss", "reordering", "loss and jitter"],
)
async def test_what_the_user_says_comes_whole_in_order_and_in_time(weather: Weather) -> None:
    relay = Relay()
    async with calling(relay) as call:
        relay.weather = weather
        await call.microphone.say(rising_tone())
        await asyncio.sleep(0.5)
    ear = call.ear
    tone = voiced(ear.pieces)
    heard = np.concatenate(ear.pieces[tone])
    assert abs(len(heard) / HEARD_HZ - RISING_SECS) < 0.02 * RISING_SECS, "none is left out"
    told = times_told(heard)
    expected = (np.arange(len(told)) + 0.5) * WINDOW_SECS
    assert np.mean(np.abs(told - expected) < 0.06) > 0.95, "each moment is in its place"
    late = lateness(ear.pieces[tone], ear.came_at[tone])
    assert np.median(late) < 0.1, "no loss leaves a delay behind"


async def test_what_the_user_says_is_not_held_back() -> None:
    async with calling(Relay()) as call:
        assert await delay(call.microphone, call.ear) < 0.06


async def test_nor_after_the_client_has_come_back() -> None:
    again = Relay()
    async with calling(Relay()) as call, offering(again) as (pc, microphone, offer):
        await call.connection.renegotiate(offer, "offer", restart_pc=True)
        call.ear.hearing.clear()
        await accept(pc, call.connection, again)
        await asyncio.wait_for(call.ear.hearing.wait(), 10)
        assert await delay(microphone, call.ear) < 0.06


async def test_a_call_goes_on_after_an_ice_restart(service: Service) -> None:
    async with connect(service.url) as peer:
        await peer.hear_out(timeout=REPLY_SECS)
        async with connect(service.url, in_place_of=peer) as again:
            before = len(again.messages)
            again.send("send-text", {"content": "When do you open on Monday?"})
            await again.hear_out(timeout=REPLY_SECS, after=before)
            whole = await read(service.url, peer.session_id)
            assert [entry["speaker"] for entry in whole["entries"]] == ["bot", "user", "bot"]
            assert "eight" in whole["entries"][2]["heard"], "no second greeting"
            assert voiced_secs(np.concatenate(again.heard)) > 1


async def test_candidates_that_come_after_the_offer_connect_the_call(service: Service) -> None:
    pc, connected = RTCPeerConnection(), asyncio.Event()
    pc.addTransceiver(Microphone(), direction="sendrecv")

    @pc.on("connectionstatechange")
    def on_change() -> None:
        if pc.connectionState == "connected":
            connected.set()

    await pc.setLocalDescription(await pc.createOffer())
    sdp = pc.localDescription.sdp
    candidates = [
        {"candidate": candidate, "sdp_mid": "0", "sdp_mline_index": 0}
        for candidate in re.findall(r"a=(candidate:.*)\r\n", sdp)
    ]
    # Neither end is told where the other is, so that only the candidates can connect them.
    async with aiohttp.ClientSession(service.url) as http:
        offer = {"sdp": without_candidates(sdp), "type": "offer"}
        async with http.post("/api/offer", json=offer) as response:
            answer = await response.json()
        await pc.setRemoteDescription(
            RTCSessionDescription(without_candidates(answer["sdp"]), "answer")
        )
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(connected.wait(), 1)
        late = {"pc_id": answer["pc_id"], "candidates": candidates}
        async with http.patch("/api/offer", json=late) as response:
            assert response.status == 200
        await asyncio.wait_for(connected.wait(), 10)
    await pc.close()


def without_candidates(sdp: str) -> str:
    return re.sub(r"a=(candidate:.*|end-of-candidates)\r\n", "", sdp)


async def test_a_question_over_a_network_that_loses_packets_is_answered(
    service: Service, speaker: Speaker
) -> None:
    question = "Is there somewhere to leave my car?"
    async with far_from(service.url) as (url, relay), connect(url) as peer:
        relay.weather = Weather(loss=0.05, swapped=0.05)
        began_at, before = time.monotonic(), sum(map(len, peer.heard))
        await peer.hear_out(timeout=REPLY_SECS)
        heard, answer, voiced_for = await ask(peer, speaker, question)
        share = (
            (sum(map(len, peer.heard)) - before) / SAMPLE_RATE_HZ / (time.monotonic() - began_at)
        )
    assert relay.lost > 10
    assert share > 0.9, "and the peer hears the bot whole"
    assert words_wrong(question, heard) <= 2
    assert "free" in answer.lower() or "behind" in answer.lower()
    assert voiced_for > 1
