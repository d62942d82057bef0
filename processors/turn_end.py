"""When a user's turn has ended."""

import asyncio
import time
from typing import Any

from pipecat.frames.frames import (
    Frame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.turns.types import ProcessFrameResult
from pipecat.turns.user_stop import TurnAnalyzerUserTurnStopStrategy


class MinDelayTurnStopStrategy(TurnAnalyzerUserTurnStopStrategy):
    """Smart Turn, but never before the user has been silent for a while.

    Transcription and Smart Turn run at the voice activity detector's first silence, so that the
    wait costs nothing beyond itself; speech that goes on takes the decision back.

    Args:
        min_delay_secs: Silence before a turn can end, in seconds.
        **kwargs: Passed to `TurnAnalyzerUserTurnStopStrategy`.
    """

    def __init__(self, *, min_delay_secs: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._min_delay_secs = min_delay_secs
        self._silent_since = 0.0
        self._hold: asyncio.Task[None] | None = None

    async def process_frame(self, frame: Frame) -> ProcessFrameResult:
        """Look at a frame, and note when the user fell silent or went on."""
        match frame:
            case VADUserStartedSpeakingFrame():
                await self._release()
            case VADUserStoppedSpeakingFrame():
                self._silent_since = frame.timestamp - frame.stop_secs
        return await super().process_frame(frame)

    async def trigger_user_turn_stopped(self, **kwargs: Any) -> None:
        """End the turn, once the user has been silent for long enough."""
        remaining = self._silent_since + self._min_delay_secs - time.time()
        if self._hold:
            return
        if remaining <= 0:
            await super().trigger_user_turn_stopped(**kwargs)
        else:
            self._hold = self.task_manager.create_task(
                self._stop_after(remaining, kwargs), f"{self}::hold"
            )

    async def handle_user_turn_stopped(self) -> None:
        """Get ready for the next turn."""
        await self._release()
        await super().handle_user_turn_stopped()

    async def cleanup(self) -> None:
        """Stop waiting."""
        await self._release()
        await super().cleanup()

    async def _stop_after(self, secs: float, kwargs: dict[str, Any]) -> None:
        await asyncio.sleep(secs)
        self._hold = None
        await super().trigger_user_turn_stopped(**kwargs)

    async def _release(self) -> None:
        if self._hold:
            task, self._hold = self._hold, None
            await self.task_manager.cancel_task(task)
