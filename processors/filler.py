"""Words for a caller who waits in silence while a tool runs."""

import asyncio

from pipecat.frames.frames import (
    Frame,
    FunctionCallCancelFrame,
    FunctionCallInProgressFrame,
    FunctionCallResultFrame,
    InterruptionFrame,
    LLMTextFrame,
    TTSSpeakFrame,
    UserStartedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor


class Filler(FrameProcessor):
    """Stands between what thinks and the voice, and speaks once in a turn of the caller.

    It does so when a tool has run for some time, nothing has been said in this turn, and there is
    no result yet. What is heard of it is in the conversation, as words of the bot's own are.

    Args:
        words: What it says.
        after_secs: How long tools may run in silence.
    """

    def __init__(self, words: str, *, after_secs: float) -> None:
        # It decides at once: a queue and a task of its own would only cost each frame some time.
        super().__init__(enable_direct_mode=True)
        self._words = words
        self._after_secs = after_secs
        self._running: set[str] = set()
        self._has_spoken = False
        self._waiting: asyncio.Task[None] | None = None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Pass on a frame, and take note of who speaks and of tools that run."""
        await super().process_frame(frame, direction)
        match frame:
            case UserStartedSpeakingFrame() | InterruptionFrame():
                self._has_spoken = False
            case LLMTextFrame(text=text) | TTSSpeakFrame(text=text) if text.strip():
                self._has_spoken = True
            case FunctionCallInProgressFrame(tool_call_id=call_id):
                self._running.add(call_id)
            case FunctionCallResultFrame(tool_call_id=call_id, properties=properties):
                if properties is None or properties.is_final:
                    self._running.discard(call_id)
            case FunctionCallCancelFrame(tool_call_id=call_id):
                self._running.discard(call_id)
        await self._wait_or_not()
        await self.push_frame(frame, direction)

    async def cleanup(self) -> None:
        """Say nothing more."""
        await super().cleanup()
        await self._stop_waiting()

    async def _wait_or_not(self) -> None:
        if not self._running or self._has_spoken:
            await self._stop_waiting()
        elif not self._waiting:
            self._waiting = self.create_task(self._speak_later())

    async def _stop_waiting(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting:
            await self.cancel_task(waiting)

    async def _speak_later(self) -> None:
        await asyncio.sleep(self._after_secs)
        self._has_spoken, self._waiting = True, None
        await self.push_frame(TTSSpeakFrame(self._words, append_to_context=True))
