"""When a user may take the turn from a speaking bot."""

import asyncio
import re

from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    EagerTranscriptionFrame,
    Frame,
    InterimTranscriptionFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.turns.types import ProcessFrameResult
from pipecat.turns.user_start import BaseUserTurnStartStrategy

from processors.output_pause import OutputPause
from processors.words_due import NothingSaidFrame, words_due_after

WORDLESS_SECS = 0.7
"""Who has spoken over the bot for so much longer than it takes interrupts it, whatever they say:
not every speech recognition has words before the end."""

LAST_WORDS_SECS = 1.0
"""Words that are understood so shortly before the bot has finished answer what it says: longer than
its paused last word takes, and the silence until that is known to have been the last."""

LISTENING = {
    *("mm", "mmm", "mhm", "hm", "hmm", "uh", "huh", "um", "ah", "aha", "oh"),
    *("ok", "okay", "right", "yeah", "i", "see"),
}
"""The words of somebody who only listens. "Yes", "no" and "sure" are none: they answer."""


def only_listens(said: str) -> bool:
    """Tell whether words over the bot's are no more than a sign that it is listened to."""
    return set(re.findall(r"[^\W_]+", said.lower())) <= LISTENING


class BargeInStartStrategy(BaseUserTurnStartStrategy):
    """Starts the user's turn at the first speech, or, over a speaking bot, when it interrupts.

    The bot is paused at once. What is shorter than `min_speech_secs`, or holds no words but those
    of a listener, interrupts nothing: the bot goes on where it was, and the transcript is dropped.
    Words that were said before the bot spoke, and come late, are none of these: they interrupt it,
    since it has answered without them. Nor is a short word over the bot's last ones: the turn
    starts with it when the bot has finished.

    Args:
        output: What the bot is paused by.
        min_speech_secs: Speech over the bot's before it is interrupted, in seconds.
    """

    def __init__(self, output: OutputPause, *, min_speech_secs: float) -> None:
        super().__init__()
        self._output = output
        self._min_speech_secs = min_speech_secs
        self._bot_speaking = False
        self._user_speaking = False
        self._in_turn = False
        # Of so many pieces of speech in the user's turn no transcript has come yet.
        self._words_due = 0
        # What is known of speech over the bot's.
        self._long_enough = False
        self._has_words = False
        self._pending: asyncio.Task[None] | None = None
        # What was too short to interrupt the bot, and until when the bot's end makes it count.
        self._last_words: TranscriptionFrame | None = None
        self._last_words_until = 0.0

    async def handle_user_turn_started(self) -> None:
        """Forget what was pending: the turn has begun."""
        self._in_turn = True
        self._last_words = None
        self._words_due = int(self._user_speaking)
        await self._forget()

    async def handle_user_turn_stopped(self) -> None:
        """Get ready for the next turn, and let its answer play, but nothing from before."""
        self._in_turn = False
        self._output.drop()

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
                if self._user_speaking and not self._in_turn:
                    return await self._start()
                await self._take_last_words()
            case VADUserStartedSpeakingFrame():
                self._user_speaking = True
                self._words_due += self._in_turn
                heard_secs = frame.start_secs
                if not self._bot_speaking or heard_secs >= self._min_speech_secs:
                    return await self._start()
                await self._forget()
                self._output.pause()
                self._pending = self.task_manager.create_task(
                    self._start_after(self._min_speech_secs - heard_secs), f"{self}::barge_in"
                )
            case VADUserStoppedSpeakingFrame():
                self._user_speaking = False
                await self._cancel_pending()
                # Its words may still come, and interrupt.
                self._output.resume()
            case InterimTranscriptionFrame() | EagerTranscriptionFrame() | TranscriptionFrame():
                return await self._hear(frame)
            case NothingSaidFrame():
                self._words_due = words_due_after(finalized=True, before=self._words_due)
        return ProcessFrameResult.CONTINUE

    async def _hear(
        self, frame: InterimTranscriptionFrame | EagerTranscriptionFrame | TranscriptionFrame
    ) -> ProcessFrameResult:
        """Look at what is said, or seems to be."""
        is_final = isinstance(frame, TranscriptionFrame)
        come_late = is_final and self._words_due > 0
        if isinstance(frame, TranscriptionFrame):
            self._words_due = words_due_after(finalized=frame.finalized, before=self._words_due)
        if self._in_turn:
            return ProcessFrameResult.CONTINUE
        if not self._bot_speaking:
            return await self._start() if is_final else ProcessFrameResult.CONTINUE
        self._has_words = self._has_words or not only_listens(frame.text)
        if self._has_words and (self._long_enough or come_late):
            return await self._start()
        if isinstance(frame, TranscriptionFrame) and not self._user_speaking:
            if self._has_words:
                self._last_words, self._last_words_until = frame, _now() + LAST_WORDS_SECS
            await self.trigger_reset_aggregation()
            await self._forget()
        return ProcessFrameResult.CONTINUE

    async def _start(self) -> ProcessFrameResult:
        await self._forget()
        await self.trigger_user_turn_started()
        return ProcessFrameResult.STOP

    async def _take_last_words(self) -> None:
        """Have what was said over the bot's last words come again, now that it is silent."""
        words, self._last_words = self._last_words, None
        if words and _now() <= self._last_words_until:
            await self.push_frame(words)

    async def _start_after(self, secs: float) -> None:
        """Start the turn once the speech over the bot's interrupts it."""
        await asyncio.sleep(secs)
        self._long_enough = True
        if not self._has_words:
            await asyncio.sleep(WORDLESS_SECS)
        self._pending = None
        await self.trigger_user_turn_started()

    async def _forget(self) -> None:
        self._long_enough = self._has_words = False
        await self._cancel_pending()

    async def _cancel_pending(self) -> None:
        if self._pending:
            task, self._pending = self._pending, None
            await self.task_manager.cancel_task(task)


def _now() -> float:
    return asyncio.get_running_loop().time()
