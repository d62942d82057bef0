"""What a caller keys in is answered as what others type."""

import asyncio

from pipecat.frames.frames import Frame, LLMMessagesAppendFrame, TranscriptionFrame
from pipecat.processors.aggregators.dtmf_aggregator import DTMFAggregator
from pipecat.processors.aggregators.llm_context import LLMStandardMessage
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.processors.frameworks.rtvi.frames import RTVISendTextFrame

ENTRY = "I key in "
"""Before the keys, in the words of the caller: whatever model reads them knows what they are."""


def make_keypad() -> list[FrameProcessor]:
    """Return what has keys answered, in its order; it stands behind the microphone.

    Keys belong together until none comes for 2 s, or "#" does. The first interrupts the bot.
    """
    return [DTMFAggregator(prefix=ENTRY), TypedKeys()]


class TypedKeys(FrameProcessor):
    """Stands behind a `DTMFAggregator`, before speech recognition.

    The aggregator has keys for transcribed speech. There was none, so that what decides by the
    sound when a turn begins and ends would take it amiss, and a speech-to-speech service would not
    hear of it.
    """

    def __init__(self) -> None:
        # It decides at once: a queue and a task of its own would only cost each frame some time.
        super().__init__(enable_direct_mode=True)
        self._typing: asyncio.Task[None] | None = None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Pass on a frame; of keys, that they were typed."""
        await super().process_frame(frame, direction)
        if isinstance(frame, TranscriptionFrame) and direction is FrameDirection.DOWNSTREAM:
            await self._stop_typing()
            self._typing = self.create_task(self._type(frame.text))
        else:
            await self.push_frame(frame, direction)

    async def cleanup(self) -> None:
        """Type nothing any more."""
        await super().cleanup()
        await self._stop_typing()

    async def _type(self, text: str) -> None:
        # What the bot was saying is part of the conversation before what it was interrupted by.
        await self.pipeline_worker.flush_pipeline()
        message: LLMStandardMessage = {"role": "user", "content": text}
        await self.push_frame(LLMMessagesAppendFrame([message], run_llm=True))
        await self.push_frame(RTVISendTextFrame(msg_id="keypad", text=text))

    async def _stop_typing(self) -> None:
        if self._typing:
            await self.cancel_task(self._typing)
            self._typing = None
