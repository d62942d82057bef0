"""When a user may take the turn from a speaking bot."""

import asyncio

from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    Frame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.turns.types import ProcessFrameResult
from pipecat.turns.user_start import BaseUserTurnStartStrategy

from processors.output_pause import OutputPause


class BargeInStartStrategy(BaseUserTurnStartStrategy):
    """Starts the user's turn at the first speech, or, over a speaking bot, after some of it.

    The bot is paused at once. After a cough or an "mhm" shorter than `min_speech_secs` it goes on
    where it was, and their transcript is dropped.

    Args:
        output: What the bot is paused by.
        min_speech_secs: Speech over the bot's before it is interrupted, in seconds.
    """

    def __init__(self, output: OutputPause, *, min_speech_secs: float) -> None:
        super().__init__()
        self._output = output
        self._min_speech_secs = min_speech_secs
        self._bot_speaking = False
        self._in_turn = False
        self._pending: asyncio.Task[None] | None = None

    async def handle_user_turn_started(self) -> None:
        """Forget what was pending: the turn has begun."""
        self._in_turn = True
        await self._cancel_pending()

    async def handle_user_turn_stopped(self) -> None:
        """Get ready for the next turn, and let play what must not be interrupted."""
        self._in_turn = False
        self._output.resume()

    async def cleanup(self) -> None:
        """Stop waiting."""
        await super().cleanup()
        await self._cancel_pending()

    async def process_frame(self, frame: Frame) -> ProcessFrameResult:
        """Look at a frame; STOP means that the user's turn has started with it."""
        match frame:
            case BotStartedSpeakingFrame():
                self._bot_speaking = True
            case BotStoppedSpeakingFrame():
                self._bot_speaking = False
                self._output.drop()
                if self._pending:
                    return await self._start()
            case VADUserStartedSpeakingFrame():
                heard_secs = frame.start_secs
                if not self._bot_speaking or heard_secs >= self._min_speech_secs:
                    return await self._start()
                await self._cancel_pending()
                self._output.pause()
                self._pending = self.task_manager.create_task(
                    self._start_after(self._min_speech_secs - heard_secs), f"{self}::barge_in"
                )
            case VADUserStoppedSpeakingFrame():
                await self._cancel_pending()
                self._output.resume()
            case TranscriptionFrame() if not self._in_turn:
                if not self._bot_speaking:
                    return await self._start()
                await self.trigger_reset_aggregation()
        return ProcessFrameResult.CONTINUE

    async def _start(self) -> ProcessFrameResult:
        await self._cancel_pending()
        await self.trigger_user_turn_started()
        return ProcessFrameResult.STOP

    async def _start_after(self, secs: float) -> None:
        await asyncio.sleep(secs)
        self._pending = None
        await self.trigger_user_turn_started()

    async def _cancel_pending(self) -> None:
        if self._pending:
            task, self._pending = self._pending, None
            await self.task_manager.cancel_task(task)
