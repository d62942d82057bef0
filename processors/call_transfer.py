"""Puts a caller through to a person, when they have heard that they are."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from loguru import logger
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    Frame,
    FunctionCallResultFrame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    TTSAudioRawFrame,
    UserSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

SILENCE_SECS = 10.0
"""How long nobody may say anything, before a caller is put through who was not told so."""

LEAVE_SECS = 15.0
"""How long a caller who is put through may still be in the call."""

PutThrough = Callable[[], Awaitable[str]]
"""Puts the caller of one call through, who leaves it then; what returns at all, returns why they
could not be."""


@dataclass
class _Announcement:
    """How far the bot is with telling the caller.

    Attributes:
        is_due: Whether it knows by now that there is something to be told.
        is_begun: Whether an answer has begun since.
        is_heard: Whether some of that was heard.
        is_whole: Whether it has come to its end.
    """

    is_due: bool = False
    is_begun: bool = False
    is_heard: bool = False
    is_whole: bool = False


class CallTransfer(FrameProcessor):
    """Stands behind the output transport, where what comes by has been heard.

    Args:
        put_through: Puts the caller through; it is cancelled when the call ends.
        failed: Called when they could not be, and are still there.

    Attributes:
        is_under_way: Whether the caller is being put through.
    """

    def __init__(self, put_through: PutThrough, failed: Callable[[], Awaitable[None]]) -> None:
        # It decides at once: a queue and a task of its own would only cost each frame some time.
        super().__init__(enable_direct_mode=True)
        self.is_under_way = False
        self._put_through = put_through
        self._failed = failed
        self._transferring: asyncio.Task[None] | None = None
        self._bot_speaks = False
        self._said_at = 0.0
        self._announcement = _Announcement()
        self._is_announced = asyncio.Event()

    def ask(self) -> None:
        """Put the caller through when the bot has told them so; once, however often it is asked."""
        if self._transferring and not self._transferring.done():
            return
        self._announcement = _Announcement()
        self._is_announced.clear()
        self._said_at = _now()
        self._transferring = self.create_task(self._transfer())

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Pass on a frame, and take note of what is said."""
        await super().process_frame(frame, direction)
        if direction is FrameDirection.DOWNSTREAM:
            self._follow(frame)
        await self.push_frame(frame, direction)

    async def cleanup(self) -> None:
        """Put nobody through any more."""
        await super().cleanup()
        if self._transferring:
            await self.cancel_task(self._transferring)

    def _follow(self, frame: Frame) -> None:
        it = self._announcement
        match frame:
            case BotStartedSpeakingFrame():
                self._bot_speaks = True
            case BotStoppedSpeakingFrame():
                self._bot_speaks = False
            case TTSAudioRawFrame():
                self._said_at = _now()
                it.is_heard = it.is_begun
            case UserSpeakingFrame():
                self._said_at = _now()
            case FunctionCallResultFrame():
                it.is_due = True
            case LLMFullResponseStartFrame():
                it.is_begun, it.is_whole = it.is_due, False
            case LLMFullResponseEndFrame():
                it.is_whole = it.is_begun
            case InterruptionFrame() if it.is_heard:
                self._is_announced.set()
            case InterruptionFrame():
                # Even if the tool was stopped, the next answer tells of it.
                it.is_due = True
        # The end of an answer may come by before its last words do.
        if it.is_whole and it.is_heard and not self._bot_speaks:
            self._is_announced.set()

    async def _transfer(self) -> None:
        await self._until_announced()
        self.is_under_way = True
        logger.info("the caller is put through")
        try:
            why = await asyncio.wait_for(self._put_through(), LEAVE_SECS)
        except TimeoutError:
            why = f"they are still there after {LEAVE_SECS:.0f} s"
        logger.warning("the caller could not be put through: {}", why)
        self.is_under_way = False
        await self._failed()

    async def _until_announced(self) -> None:
        """Wait until the caller has been told, or nothing is said any more."""
        announced = self._is_announced
        while not announced.is_set() and (left := self._said_at + SILENCE_SECS - _now()) > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(announced.wait(), left)


def _now() -> float:
    return asyncio.get_running_loop().time()
