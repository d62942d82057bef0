"""A speech-to-speech service of OpenAI's protocol that tells when it is there and when it fails."""

import asyncio
from typing import Any

from loguru import logger
from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    FunctionCallCancelFrame,
    FunctionCallsStartedFrame,
    LLMFullResponseEndFrame,
    ProposedUserStartedSpeakingFrame,
    ProposedUserStoppedSpeakingFrame,
    TTSAudioRawFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.openai.realtime.events import (
    ClientEvent,
    ConversationItemAdded,
    ConversationItemCreateEvent,
    ResponseCreateEvent,
    SessionUpdatedEvent,
    SessionUpdateEvent,
)
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService
from pipecat.utils.errors import ErrorCategory

from processors.interrupted_tools import INTERRUPTED

ANSWER_SECS = 8.0
"""How long an answer may take to begin: a service that has fallen silent does not say so."""

PAUSE_SECS = 4.0
"""How long it may pause: its sound comes faster than it is played."""

WRITING_SECS = 30.0
"""How long it may write the arguments of a tool, of which nothing is told until it has."""

SPEECH_SECS = 1.0
"""Shorter speech may have been none: that the service takes no notice of it is no failure."""


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
        self._speech_began_at = 0.0
        self._listens_first = False
        # Whether something was due when the user began to speak.
        self._is_due_after_speech = False
        # Whether the service has told the end of what the user says, or has said last.
        self._is_heard = False
        self.add_event_handler("on_error", self._on_error)

    def listen_first(self, context: LLMContext) -> None:
        """Let the user speak first.

        Pipecat's service answers the first context that it is shown, and that would be the user's
        first turn, which it has answered by then.

        Args:
            context: The conversation before, which the service is told of.
        """
        self._context = context
        self._listens_first = True

    async def send_client_event(self, event: ClientEvent) -> None:
        """Send an event; that of the session's settings is sent when the service has answered."""
        if isinstance(event, SessionUpdateEvent):
            self.started.set()
        elif isinstance(event, ResponseCreateEvent):
            self._expect(ANSWER_SECS)
        await super().send_client_event(event)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Take a frame; a service that is there answers to speech, or says that it hears it."""
        now = asyncio.get_running_loop().time()
        match frame:
            case VADUserStartedSpeakingFrame():
                self._speech_began_at = now
                is_due = self._answer_due is not None
                self._expect_nothing()
                self._is_due_after_speech, self._is_heard = is_due, False
            case VADUserStoppedSpeakingFrame() if not self._is_heard:
                if self._is_due_after_speech or now - self._speech_began_at >= SPEECH_SECS:
                    self._expect(ANSWER_SECS)
        await super().process_frame(frame, direction)

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        """Push a frame, and see in it whether the service answers."""
        match frame:
            case ProposedUserStoppedSpeakingFrame():
                self._is_heard = True
                self._expect(ANSWER_SECS)
            case TTSAudioRawFrame():
                self._expect(PAUSE_SECS)
            case (
                ProposedUserStartedSpeakingFrame()
                | FunctionCallsStartedFrame()
                | LLMFullResponseEndFrame()
            ):
                self._expect_nothing()
        await super().push_frame(frame, direction)

    async def cleanup(self) -> None:
        """Leave the service."""
        self._expect_nothing()
        await super().cleanup()

    async def _handle_function_call_cancel(self, frame: FunctionCallCancelFrame) -> None:
        """Tell of a tool that it was stopped: Pipecat's word is that it was not done."""
        if frame.tool_call_id in self._open_function_calls:
            await self._send_tool_result(frame.tool_call_id, INTERRUPTED)
            self._completed_tool_calls.add(frame.tool_call_id)

    async def _handle_evt_conversation_item_added(self, evt: ConversationItemAdded) -> None:
        """Take what comes next in the conversation; nothing is heard while it is a tool's call."""
        await super()._handle_evt_conversation_item_added(evt)
        if evt.item.type == "function_call":
            self._expect(WRITING_SECS)

    async def _handle_evt_session_updated(self, evt: SessionUpdatedEvent) -> None:
        """Tell the service of the conversation before, where it is not to answer that."""
        if self._listens_first and self._llm_needs_conversation_setup:
            assert self._context
            self._llm_needs_conversation_setup = False
            await self._process_completed_function_calls(send_new_results=False)
            told = await self.get_llm_adapter().get_llm_invocation_params(self._context)
            for item in told["messages"]:
                self._messages_added_manually[item.id] = True
                await self.send_client_event(ConversationItemCreateEvent(item=item))
        await super()._handle_evt_session_updated(evt)

    async def _on_error(self, _: object, error: ErrorFrame) -> None:
        # What goes wrong in a tool is told to the model.
        if error.category is not ErrorCategory.APPLICATION:
            self.failed.set()

    async def _receive_task_handler(self) -> None:
        """Take what the service sends, until it closes the connection, or cannot be understood."""
        try:
            await super()._receive_task_handler()
        finally:
            if not self._disconnecting:
                self.failed.set()

    def _expect(self, secs: float) -> None:
        self._expect_nothing()
        self._answer_due = asyncio.get_running_loop().call_later(secs, self._give_up, secs)

    def _expect_nothing(self) -> None:
        self._is_due_after_speech = False
        if self._answer_due:
            self._answer_due.cancel()
            self._answer_due = None

    def _give_up(self, secs: float) -> None:
        logger.warning("{} has been silent for {:.0f} s", self, secs)
        self.failed.set()
