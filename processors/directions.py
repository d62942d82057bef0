"""Has a speech-to-speech model say what a voice would be given to say, or read what was typed.

Pipecat's user aggregator keeps such frames for itself, and a realtime service would not hear of
them: they are wrapped before it, and unwrapped behind it.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    DataFrame,
    EndFrame,
    ErrorFrame,
    Frame,
    LLMMessagesAppendFrame,
    TTSSpeakFrame,
    UserStartedSpeakingFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContextMessage, standard_message_text
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.processors.frameworks.rtvi.frames import RTVISendTextFrame
from pipecat.utils.errors import ErrorCategory

from processors.client_control import ClientMessageFrame, RespondFrame

LAST_WORDS_SECS = 10.0
"""How long the end of a call waits for words that were to be said before it."""


@dataclass
class DirectionFrame(DataFrame):
    """Something for the model to do.

    Attributes:
        message: As it is told.
        run: Whether it is to do it now; else it only takes notice.
    """

    message: LLMContextMessage
    run: bool


def to_say(words: str) -> LLMContextMessage:
    """Return what has a model say these words."""
    return {
        "role": "developer",
        "content": f'Say now, in exactly these words and no others: "{words}"',
    }


class DirectionWriter(FrameProcessor):
    """Stands before the user aggregator of a speech-to-speech model.

    What is wrong with the service goes no further: there is something in its place at once.
    """

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Pass on a frame, as a direction where it is one."""
        await super().process_frame(frame, direction)
        match frame:
            case TTSSpeakFrame(text=words):
                await self.push_frame(DirectionFrame(to_say(words), run=True))
            case LLMMessagesAppendFrame(messages=messages, run_llm=run):
                for message in messages:
                    await self.push_frame(DirectionFrame(_as_typed(message), run=bool(run)))
            case ErrorFrame(category=category) if category is not ErrorCategory.APPLICATION:
                pass
            case _:
                await self.push_frame(frame, direction)


class DirectionGiver(FrameProcessor):
    """Stands between the user aggregator and the model; see `DirectionWriter`.

    The end of the call waits until the last words have been said, as it does with a voice.

    Args:
        on_user: Called when the user begins to speak, and with what they write, before the model is
            told.
    """

    def __init__(self, on_user: Callable[[], None]) -> None:
        super().__init__()
        self._on_user = on_user
        self._speaks = False
        self._unsaid = 0
        self._all_said = asyncio.Event()
        self._all_said.set()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Pass on a frame; a direction as what the model takes."""
        await super().process_frame(frame, direction)
        match frame:
            case DirectionFrame(message=message, run=run):
                if isinstance(message, dict) and message["role"] == "user":
                    self._on_user()
                if run:
                    # What is being said now is not yet it.
                    self._unsaid = 1 + self._speaks
                    self._all_said.clear()
                await self.push_frame(LLMMessagesAppendFrame([message], run_llm=run))
                return
            case ClientMessageFrame(role=role, text=text):
                if role == "user":
                    self._on_user()
                message = cast(LLMContextMessage, {"role": role, "content": text})
                await self.push_frame(LLMMessagesAppendFrame([_as_typed(message)], run_llm=False))
                if role == "user":
                    await self.push_frame(RTVISendTextFrame(msg_id=str(frame.id), text=text))
                return
            case RespondFrame():
                await self.push_frame(LLMMessagesAppendFrame([], run_llm=True))
                return
            case UserStartedSpeakingFrame():
                self._on_user()
            case BotStartedSpeakingFrame():
                self._speaks = True
            case BotStoppedSpeakingFrame():
                self._speaks = False
                self._unsaid = max(0, self._unsaid - 1)
                if not self._unsaid:
                    self._all_said.set()
            case EndFrame():
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._all_said.wait(), LAST_WORDS_SECS)
        await self.push_frame(frame, direction)


def _as_typed(message: LLMContextMessage) -> LLMContextMessage:
    """Say of a user's message that it was not spoken: the service has it in another's name."""
    if isinstance(message, dict) and message.get("role") == "user":
        return {"role": "user", "content": f"The user writes: {standard_message_text(message)}"}
    return message
