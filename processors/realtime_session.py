"""A speech-to-speech service of OpenAI's protocol that tells when it is there and when it fails."""

import asyncio
from typing import Any

from loguru import logger
from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    FunctionCallsStartedFrame,
    LLMFullResponseEndFrame,
    ProposedUserStartedSpeakingFrame,
    ProposedUserStoppedSpeakingFrame,
    TTSAudioRawFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.openai.realtime.events import (
    ClientEvent,
    ResponseCreateEvent,
    SessionUpdateEvent,
)
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService
from pipecat.utils.errors import ErrorCategory

ANSWER_SECS = 8.0
"""How long an answer may take to begin: a service that has fallen silent does not say so."""


class RealtimeSession(OpenAIRealtimeLLMService):
    """Pipecat's service, which can be watched; it does not come back by itself.

    Attributes:
        started: Set when the service has answered.
        failed: Set when it is of no use any more, or was not from the beginning.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.started = asyncio.Event()
        self.failed = asyncio.Event()
        self._answer_due: asyncio.TimerHandle | None = None
        self.add_event_handler("on_error", self._on_error)

    def listen_first(self, context: LLMContext) -> None:
        """Let the user speak first, in a conversation that begins with nothing.

        Pipecat's service answers the first context that it is shown, and that would be the user's
        first turn, which it has answered by then.
        """
        self._context = context
        self._llm_needs_conversation_setup = False

    async def send_client_event(self, event: ClientEvent) -> None:
        """Send an event; that of the session's settings is sent when the service has answered."""
        if isinstance(event, SessionUpdateEvent):
            self.started.set()
        elif isinstance(event, ResponseCreateEvent):
            self._expect_answer()
        await super().send_client_event(event)

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        """Push a frame, and see in it whether the service answers."""
        match frame:
            case ProposedUserStoppedSpeakingFrame():
                self._expect_answer()
            case (
                ProposedUserStartedSpeakingFrame()
                | TTSAudioRawFrame()
                | FunctionCallsStartedFrame()
                | LLMFullResponseEndFrame()
            ):
                self._expect_nothing()
        await super().push_frame(frame, direction)

    async def cleanup(self) -> None:
        """Leave the service."""
        self._expect_nothing()
        await super().cleanup()

    async def _on_error(self, _: object, error: ErrorFrame) -> None:
        # What goes wrong in a tool is told to the model.
        if error.category is not ErrorCategory.APPLICATION:
            self.failed.set()

    def _expect_answer(self) -> None:
        self._expect_nothing()
        self._answer_due = asyncio.get_running_loop().call_later(ANSWER_SECS, self._give_up)

    def _expect_nothing(self) -> None:
        if self._answer_due:
            self._answer_due.cancel()
            self._answer_due = None

    def _give_up(self) -> None:
        logger.warning("{} has not answered for {:.0f} s", self, ANSWER_SECS)
        self.failed.set()
