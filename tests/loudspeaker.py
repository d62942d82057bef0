"""A loudspeaker that a test looks into: a real output transport without a line."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    OutputAudioRawFrame,
    StartFrame,
)
from pipecat.observers.base_observer import BaseObserver, FramePushed
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import TransportParams
from pipecat.workers.runner import WorkerRunner

from processors.output_pause import OutputPause

RATE = 16000

SETTLED_STEPS = 100
"""Turns of the event loop after which nothing of an interruption is left to be done."""


async def turns_of_the_loop(count: int = SETTLED_STEPS) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


class Tongue(OutputPause):
    """Notes what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    def pause(self) -> None:
        self.told.append("pause")
        super().pause()

    def resume(self) -> None:
        self.told.append("resume")
        super().resume()

    def drop(self) -> None:
        self.told.append("drop")
        super().drop()


class Loudspeaker(BaseOutputTransport):
    """Plays at once, but stops in the middle of one chunk.

    Args:
        output: Pauses it.
        stops_at: The number of that chunk, counted from 1.

    Attributes:
        played: The chunks that were played, that one included.
        has_stopped: Set in that chunk.
        plays_on: To be set to let it go on.
    """

    def __init__(self, output: OutputPause, *, stops_at: int) -> None:
        super().__init__(
            TransportParams(
                audio_out_enabled=True, audio_out_sample_rate=RATE, audio_out_filter=output
            )
        )
        self.played: list[bytes] = []
        self.has_stopped = asyncio.Event()
        self.plays_on = asyncio.Event()
        self._stops_at = stops_at

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        self.played.append(frame.audio)
        if len(self.played) == self._stops_at:
            self.has_stopped.set()
            await self.plays_on.wait()
        return True


class Speech(BaseObserver):
    """Follows whether the bot is said to speak.

    Attributes:
        starts: How often it began to.
        speaking: Set while it does.
        silent: Set while it no longer does.
    """

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


@asynccontextmanager
async def playing(
    loudspeaker: Loudspeaker,
    told: Speech,
    *,
    before: Sequence[FrameProcessor] = (),
    behind: Sequence[FrameProcessor] = (),
    secs: float = 5,
) -> AsyncIterator[PipelineWorker]:
    """Run a pipeline with a loudspeaker, for so many seconds at most."""
    worker = PipelineWorker(Pipeline([*before, loudspeaker, *behind]), observers=[told])
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())
    try:
        async with asyncio.timeout(secs):
            yield worker
    finally:
        loudspeaker.plays_on.set()
        await worker.cancel()
        await running
