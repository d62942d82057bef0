"""Keeps the words of a speech-to-speech model together with the sound that they are spoken in."""

from collections import deque

from pipecat.frames.frames import (
    Frame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

CHARACTERS_PER_SEC = 15.0
"""So fast is English spoken. Services write what they say faster than they say it, and tell of no
word when it is heard."""

SAMPLE_BYTES = 2


class SpokenWords(FrameProcessor):
    """Stands between the model and the loudspeaker, where frames wait for their turn to be played.

    A word goes there behind as much sound as it takes to come to it, and with the end of the sound
    at the latest: after an interruption the words that were not heard are still here, or there.
    """

    def __init__(self) -> None:
        # It decides at once: a queue and a task of its own would only cost each frame some time.
        super().__init__(enable_direct_mode=True)
        self._held: deque[TTSTextFrame] = deque()
        self._sound_secs = 0.0
        self._characters = 0
        self._interrupted = False

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Pass on a frame, or hold it until it is due."""
        await super().process_frame(frame, direction)
        match frame:
            case TTSTextFrame() | TTSAudioRawFrame() if self._interrupted:
                return
            case TTSTextFrame():
                self._held.append(frame)
                return await self._release()
            case InterruptionFrame():
                self._held.clear()
                self._interrupted = True
            case LLMFullResponseStartFrame():
                self._interrupted = False
            case TTSStartedFrame():
                self._sound_secs, self._characters = 0.0, 0
            case TTSStoppedFrame() | LLMFullResponseEndFrame():
                await self._release(everything=True)
        await self.push_frame(frame, direction)
        if isinstance(frame, TTSAudioRawFrame):
            self._sound_secs += len(frame.audio) / SAMPLE_BYTES / frame.sample_rate
            await self._release()

    async def _release(self, *, everything: bool = False) -> None:
        while self._held:
            characters = self._characters + len(self._held[0].text)
            if not everything and characters > self._sound_secs * CHARACTERS_PER_SEC:
                return
            self._characters = characters
            await self.push_frame(self._held.popleft())
