"""How fast sound goes through a WebSocket, in virtual time: a real pipeline and its transport."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator

import pytest
from loguru import logger
from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    InputTransportMessageFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
)
from pipecat.frames.protobufs import frames_pb2
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams
from pipecat.workers.runner import WorkerRunner
from starlette.types import Message
from starlette.websockets import WebSocket

from processors.protocols.socket_transport import (
    BURST_SECS,
    LEAD_SECS,
    MAX_WAITING_SECS,
    PIECE_SECS,
    SPEED,
    TELL_SECS,
    SocketTransport,
)
from processors.push_to_talk import FinalAudioFrame
from processors.rtvi_serializer import RTVISerializer
from tests import virtual_time
from tests.socket_peer import audio

IN_HZ = 16_000
OUT_HZ = 24_000
PIECE_BYTES = 640
SETTLED_SECS = 60


class Line:
    """A call whose client is at hand, and whose bot is a script.

    Attributes:
        send_secs: How long a message takes to be read by the client.
        heard: What has come to the pipeline, and when.
        sent: How much sound each message had that has gone to the client, and when.
        dropped_secs: What was told of sound that was dropped.
    """

    def __init__(self) -> None:
        self.send_secs = 0.0
        self.heard: list[tuple[float, Frame]] = []
        self.sent: list[tuple[float, float]] = []
        self.dropped_secs: list[float] = []
        self._received: asyncio.Queue[Message] = asyncio.Queue()

    async def talk(self, script: Callable[["Line"], Awaitable[None]]) -> None:
        self._received.put_nowait({"type": "websocket.connect"})
        websocket = WebSocket({"type": "websocket"}, self._received.get, self._send)
        await websocket.accept()
        params = FastAPIWebsocketParams(
            audio_in_enabled=True,
            audio_out_enabled=True,
            audio_out_10ms_chunks=2,
            serializer=RTVISerializer(),
            allowed_origins=[],
        )
        self.transport = SocketTransport(websocket, params)

        @self.transport.event_handler("on_audio_dropped")
        async def on_audio_dropped(_: SocketTransport, secs: float) -> None:
            self.dropped_secs.append(secs)

        self.worker = PipelineWorker(
            Pipeline([self.transport.input(), Ear(self.heard), self.transport.output()]),
            enable_rtvi=False,
            idle_timeout_secs=None,
        )
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(self.worker)
        running = asyncio.create_task(runner.run())
        await asyncio.sleep(1)
        await script(self)
        await asyncio.sleep(SETTLED_SECS)
        await self.worker.cancel()
        await running

    def say(self, secs: float, value: int = 0) -> None:
        """Be the client, and send sound of one value, in one message."""
        self.put(audio(value.to_bytes(2, "little") * round(secs * IN_HZ)))

    def put(self, data: bytes) -> None:
        self._received.put_nowait({"type": "websocket.receive", "bytes": data})

    async def speak(self, secs: float) -> None:
        """Be the bot, whose voice is faster than what it says lasts."""
        pcm = bytes(2 * round(secs * OUT_HZ))
        sound = TTSAudioRawFrame(pcm, OUT_HZ, 1)
        await self.worker.queue_frames([TTSStartedFrame(), sound, TTSStoppedFrame()])

    async def _send(self, message: Message) -> None:
        if message["type"] != "websocket.send":
            return
        await asyncio.sleep(self.send_secs)
        frame = frames_pb2.Frame.FromString(message["bytes"])
        secs = len(frame.audio.audio) / 2 / OUT_HZ
        self.sent.append((asyncio.get_running_loop().time(), secs))


class Ear(FrameProcessor):
    """Notes what comes from the client."""

    def __init__(self, heard: list[tuple[float, Frame]]) -> None:
        super().__init__()
        self._heard = heard

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame | InputTransportMessageFrame):
            self._heard.append((asyncio.get_running_loop().time(), frame))
        if not isinstance(frame, InputAudioRawFrame):
            await self.push_frame(frame, direction)


def play_line(script: Callable[[Line], Awaitable[None]]) -> Line:
    async def main() -> Line:
        line = Line()
        await line.talk(script)
        return line

    return virtual_time.run(main())


def sound_in(heard: list[tuple[float, Frame]]) -> list[tuple[float, InputAudioRawFrame]]:
    return [(at, frame) for at, frame in heard if isinstance(frame, InputAudioRawFrame)]


def secs_of(frames: list[tuple[float, InputAudioRawFrame]]) -> float:
    return sum(len(frame.audio) for _, frame in frames) / 2 / IN_HZ


@pytest.fixture
def warnings() -> Iterator[list[str]]:
    said: list[str] = []
    sink = logger.add(lambda it: said.append(it.record["message"]), level="WARNING")
    yield said
    logger.remove(sink)


def test_a_long_message_is_heard_in_pieces_at_most_four_times_as_fast_as_it_was_spoken() -> None:
    async def script(line: Line) -> None:
        line.say(10)

    heard = sound_in(play_line(script).heard)
    assert {len(frame.audio) for _, frame in heard} == {PIECE_BYTES}
    assert secs_of(heard) == pytest.approx(10)
    began_at, ended_at = heard[0][0], heard[-1][0]
    assert ended_at - began_at == pytest.approx((10 - BURST_SECS) / SPEED, abs=0.02)
    for index, (at, _) in enumerate(heard):
        assert index * PIECE_SECS <= BURST_SECS + PIECE_SECS + SPEED * (at - began_at) + 1e-6


def test_what_comes_in_time_is_heard_at_once() -> None:
    said_at = []

    async def script(line: Line) -> None:
        for _ in range(50):
            said_at.append(asyncio.get_running_loop().time())
            line.say(PIECE_SECS)
            await asyncio.sleep(PIECE_SECS)

    heard = sound_in(play_line(script).heard)
    assert [at for at, _ in heard] == pytest.approx(said_at, abs=0.001)


def test_of_too_much_sound_the_latest_is_heard_and_the_rest_is_counted(
    warnings: list[str],
) -> None:
    minute = 60

    async def script(line: Line) -> None:
        for second in range(minute):
            line.say(1, second)

    line = play_line(script)
    heard = sound_in(line.heard)
    assert secs_of(heard) == pytest.approx(MAX_WAITING_SECS, abs=1)
    assert sum(line.dropped_secs) == pytest.approx(minute - secs_of(heard))
    seconds = [frame.audio[0] for _, frame in heard]
    assert seconds == sorted(seconds)
    assert set(seconds) > set(range(minute - MAX_WAITING_SECS + 1, minute))
    assert len([it for it in warnings if "faster than it can be heard" in it]) == 1


def test_who_goes_on_sending_too_fast_is_heard_late_by_a_bounded_time_and_forgotten_then(
    warnings: list[str],
) -> None:
    too_fast, secs = 3 * SPEED, 60

    async def script(line: Line) -> None:
        for tick in range(secs):
            for _ in range(too_fast):
                line.say(1, tick)
            await asyncio.sleep(1)

    line = play_line(script)
    heard = sound_in(line.heard)
    late = [at - 1 - frame.audio[0] for at, frame in heard]
    assert max(late) < MAX_WAITING_SECS / SPEED + 1
    assert secs_of(heard) + sum(line.dropped_secs) == pytest.approx(secs * too_fast)
    assert len(line.dropped_secs) <= secs / TELL_SECS + 1
    assert len([it for it in warnings if "faster than it can be heard" in it]) == 1


def test_a_second_spell_of_too_much_is_logged_again(warnings: list[str]) -> None:
    async def script(line: Line) -> None:
        for _ in range(2):
            for _ in range(60):
                line.say(1)
            await asyncio.sleep(60)

    play_line(script)
    assert len([it for it in warnings if "faster than it can be heard" in it]) == 2


def test_a_message_does_not_wait_behind_sound() -> None:
    async def script(line: Line) -> None:
        for _ in range(60):
            line.say(1)
        line.put(
            frames_pb2.Frame(
                message=frames_pb2.MessageFrame(data='{"type": "x"}')
            ).SerializeToString()
        )

    heard = play_line(script).heard
    [at] = [at for at, frame in heard if isinstance(frame, InputTransportMessageFrame)]
    assert at - heard[0][0] < 0.1
    assert heard[-1][0] - at > 5


def test_the_end_of_an_utterance_waits_behind_its_sound() -> None:
    async def script(line: Line) -> None:
        for secs in (5, 2):
            pcm = bytes(2 * IN_HZ * secs)
            await line.transport.input().push_audio_frame(FinalAudioFrame(pcm, IN_HZ, 1))

    heard = sound_in(play_line(script).heard)
    ends = [index for index, (_, it) in enumerate(heard) if isinstance(it, FinalAudioFrame)]
    assert ends == [5 / PIECE_SECS - 1, 7 / PIECE_SECS - 1]


def test_the_voice_is_sent_with_a_lead_and_neither_jitter_nor_drift() -> None:
    async def script(line: Line) -> None:
        await line.speak(60)

    sent = play_line(script).sent
    began_at = sent[0][0]
    assert sum(secs for _, secs in sent) == pytest.approx(60)
    ahead = 0.0
    for at, secs in sent:
        ahead += secs
        assert ahead - (at - began_at) < LEAD_SECS + secs + 1e-6, "no more than the lead"
        if at > began_at:
            assert ahead - (at - began_at) > LEAD_SECS - 1e-6, "and no less"
    later = [at for at, _ in sent if at > began_at]
    gaps = [after - before for before, after in itertools.pairwise(later)]
    assert gaps == pytest.approx([PIECE_SECS] * len(gaps))


def test_where_the_network_falters_the_voice_is_heard_without_a_gap() -> None:
    async def script(line: Line) -> None:
        await line.speak(10)
        for _ in range(9):
            await asyncio.sleep(1)
            line.send_secs = LEAD_SECS * 0.9
            await asyncio.sleep(PIECE_SECS)
            line.send_secs = 0.0

    sent = play_line(script).sent
    began_at, ahead = sent[0][0], 0.0
    assert max(after - before for (before, _), (after, _) in itertools.pairwise(sent)) > 0.15
    for at, secs in sent:
        assert at - began_at <= ahead + 1e-6, "the client has played all that it had"
        ahead += secs


@pytest.mark.parametrize("slower", [0.9, 1.5])
def test_to_a_slow_reader_nothing_is_sent_before_it_reads(slower: float) -> None:
    async def script(line: Line) -> None:
        line.send_secs = PIECE_SECS * slower
        await line.speak(20)

    sent = play_line(script).sent
    began_at, ended_at = sent[0][0], sent[-1][0]
    assert ended_at - began_at == pytest.approx(20 * max(1, slower), rel=0.02)


def test_a_reader_that_stalls_gets_the_lead_again_and_no_more() -> None:
    async def script(line: Line) -> None:
        await line.speak(10)
        await asyncio.sleep(5)
        line.send_secs = 2.0
        await asyncio.sleep(0.02)
        line.send_secs = 0.0

    sent = play_line(script).sent
    stall = max(itertools.pairwise(sent), key=lambda pair: pair[1][0] - pair[0][0])
    again_at = stall[1][0]
    assert again_at - stall[0][0] == pytest.approx(2.0, abs=0.05)
    at_once = sum(secs for at, secs in sent if again_at <= at < again_at + 0.001)
    assert at_once == pytest.approx(LEAD_SECS, abs=2 * PIECE_SECS)
