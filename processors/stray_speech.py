"""Ends the speech that an output transport takes up again by mistake after an interruption."""

from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    Frame,
    InterruptionFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor


class StraySpeechProcessor(FrameProcessor):
    """Stands in front of the output transport.

    An interruption empties the transport's queue of audio, but not the hand of the task that
    plays it (Pipecat 1.14): a chunk that was just taken is played after the bot was said to be
    silent, so it is said to speak again, and nothing ends that for 3 s, or for the whole answer
    if that comes sooner.
    """

    def __init__(self) -> None:
        # It decides at once: a queue and a task of its own would only cost each frame some time.
        super().__init__(enable_direct_mode=True)
        self._interrupted = False

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Pass a frame on; end a speech that begins between an interruption and the next one."""
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)
        match frame:
            case InterruptionFrame():
                self._interrupted = True
            case TTSStartedFrame():
                self._interrupted = False
            case BotStartedSpeakingFrame() if self._interrupted:
                await self.push_frame(TTSStoppedFrame())
