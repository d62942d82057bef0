"""A place in a pipeline whose processors can be replaced while it runs."""

import asyncio
from collections.abc import Sequence

from pipecat.frames.frames import Frame, InputAudioRawFrame, StartFrame
from pipecat.pipeline.pipeline import Pipeline, PipelineSink, PipelineSource
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor


class Stage(FrameProcessor):
    """Is empty at first, and passes on then whatever comes but the microphone's sound.

    Pipecat switches between services, all of which are connected; here what is not in use is not
    there, and what takes its place can be another part of a pipeline altogether.
    """

    def __init__(self) -> None:
        super().__init__(enable_direct_mode=True)
        self._start: StartFrame | None = None
        self._started = asyncio.Event()
        self._inner: Pipeline | None = None
        self._leaving: set[asyncio.Task[None]] = set()
        self._closed = False

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Let a frame through whatever is here."""
        await super().process_frame(frame, direction)
        if isinstance(frame, StartFrame):
            self._start = frame
            self._started.set()
        if self._inner:
            await self._inner.queue_frame(frame, direction)
        elif not isinstance(frame, InputAudioRawFrame):
            await self.push_frame(frame, direction)

    async def until_started(self) -> None:
        """Wait until the pipeline has started."""
        await self._started.wait()

    async def fill(self, processors: Sequence[FrameProcessor]) -> None:
        """Set processors up and put them here; returns when they can take frames.

        It has to be empty, and the pipeline to have started. If this is cancelled, the processors
        are cleaned up again.
        """
        assert self._start
        assert not self._inner
        inner = Pipeline(
            processors, source=PipelineSource(self._leave), sink=PipelineSink(self._leave)
        )
        try:
            await inner.setup(self.processor_setup)
            await inner.queue_frame(self._start)
        except BaseException:
            await inner.cleanup()
            raise
        if self._closed:
            await inner.cleanup()
        else:
            self._inner = inner

    def empty(self) -> asyncio.Task[None]:
        """Take out what is here.

        Returns:
            What cleans it up, which is waited for at the end of the pipeline at the latest.
        """
        task = asyncio.create_task(self._clean_up(self._inner))
        self._inner = None
        self._leaving.add(task)
        return task

    async def cleanup(self) -> None:
        """Clean up what is here, and wait for what was."""
        self._closed = True
        await super().cleanup()
        self.empty()
        await asyncio.gather(*self._leaving)

    async def _clean_up(self, inner: Pipeline | None) -> None:
        if inner:
            await inner.cleanup()

    async def _leave(self, frame: Frame, direction: FrameDirection) -> None:
        # The rest of the pipeline has started.
        if not isinstance(frame, StartFrame):
            await self.push_frame(frame, direction)
