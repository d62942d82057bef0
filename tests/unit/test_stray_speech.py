"""Interruptions at every step of a real output transport's work."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    Frame,
    InterruptionFrame,
    StartFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
)
from pipecat.observers.base_observer import BaseObserver, FramePushed
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.frame_processor import FrameDirection
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import TransportParams
from pipecat.workers.runner import WorkerRunner

from processors.stray_speech import StraySpeechProcessor

RATE = 16000
BEFORE_CUT = 3
"""Chunks that have been played, or are being played, when the interruption is sent."""
STEPS = 12
"""Turns of the event loop until the playing task goes on: an interruption takes fewer."""
SETTLED_STEPS = 100
"""Turns of the event loop after which nothing of an interruption is left to be done."""


class Loudspeaker(BaseOutputTransport):
    """Plays at once, but for the chunk at which it is interrupted."""

    def __init__(self) -> None:
        super().__init__(TransportParams(audio_out_enabled=True, audio_out_sample_rate=RATE))
        self.plays_on = asyncio.Event()
        self.is_playing = asyncio.Event()
        self._played = 0

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def write_audio_frame(self, frame: Frame) -> bool:
        self._played += 1
        if self._played == BEFORE_CUT:
            self.is_playing.set()
            await self.plays_on.wait()
        return True


class Speech(BaseObserver):
    """Follows whether the bot is said to speak."""

    def __init__(self) -> None:
        super().__init__(observe_every_push=False)
        self.starts = 0
        self.silent = asyncio.Event()
        self.speaking = asyncio.Event()

    async def on_push_frame(self, data: FramePushed) -> None:
        if data.direction is not FrameDirection.UPSTREAM:
            return
        if isinstance(data.frame, BotStartedSpeakingFrame):
            self.starts += 1
            self.silent.clear()
            self.speaking.set()
        elif isinstance(data.frame, BotStoppedSpeakingFrame):
            self.speaking.clear()
            self.silent.set()


def speech(secs: float = 1) -> list[Frame]:
    audio = b"\x01\x01" * int(secs * RATE)
    return [TTSStartedFrame(), TTSAudioRawFrame(audio, RATE, 1), TTSStoppedFrame()]


@asynccontextmanager
async def in_call(loudspeaker: Loudspeaker, told: Speech) -> AsyncIterator[PipelineWorker]:
    pipeline = Pipeline([StraySpeechProcessor(), loudspeaker])
    worker = PipelineWorker(pipeline, observers=[told])
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())
    try:
        async with asyncio.timeout(5):
            yield worker
    finally:
        loudspeaker.plays_on.set()
        await worker.cancel()
        await running


async def turns_of_the_loop(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.mark.parametrize("steps", range(STEPS))
async def test_an_interrupted_bot_is_silent_until_its_answer(steps: int) -> None:
    loudspeaker, told = Loudspeaker(), Speech()
    async with in_call(loudspeaker, told) as worker:
        await worker.queue_frames(speech())
        await loudspeaker.is_playing.wait()

        await worker.queue_frame(InterruptionFrame())
        await turns_of_the_loop(steps)
        loudspeaker.plays_on.set()
        await turns_of_the_loop(SETTLED_STEPS)
        assert told.silent.is_set()

        before = told.starts
        await worker.queue_frames(speech())
        await told.speaking.wait()
        assert told.starts == before + 1, "the answer is told as a speech of its own"
        await told.silent.wait()
