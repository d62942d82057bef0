"""Ends the way of the microphone's sound, behind the last who listens to it."""

from pipecat.frames.frames import Frame, InputAudioRawFrame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor


class MicrophoneSinkProcessor(FrameProcessor):
    """Stands behind the user aggregator, which hears the voice and the end of a turn.

    Pipecat passes on what a processor does not use: 50 times a second, each processor from here to
    the pipeline's end would take a frame out of its queue and put it into the next one.
    """

    def __init__(self) -> None:
        # It decides at once: a queue and a task of its own would only cost each frame some time.
        super().__init__(enable_direct_mode=True)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Pass on everything but the microphone's sound."""
        await super().process_frame(frame, direction)
        if not isinstance(frame, InputAudioRawFrame):
            await self.push_frame(frame, direction)
