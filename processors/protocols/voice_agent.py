"""Push to talk with what browsers record and play: WebM with Opus comes, MP3 goes.

`/ws/voice-agent/{agent_id}`; see docs/protocols.md.
"""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pipecat.frames.frames import Frame
from pydantic import BaseModel, Field, TypeAdapter

from processors.protocols.dialogue import (
    Event,
    Heard,
    Over,
    Said,
    SpeechEnded,
    Written,
    Wrote,
)
from processors.protocols.dialogue_serializer import DialogueSerializer
from processors.protocols.json_serializer import Message, ProtocolError, Send, hang_up
from processors.protocols.sound import AudioFormat, MakeEncoder, Microphone, Sound, to_base64

WRITING_SECS = 8.0
"""So long the voice waits for the rest of an answer's text, which this protocol tells before. For
longer answers, and slower language models, the rest comes while the bot speaks."""

WORDS_SECS = 0.3
"""So long it waits for words that no language model has written."""


class AudioChunk(Sound):
    """A piece of what the microphone records.

    Attributes:
        is_final: Whether the user says no more in this utterance.
    """

    type: Literal["audio_chunk"]
    data: str = ""
    format: AudioFormat = "auto"
    is_final: bool = False


class EndSession(BaseModel):
    """The client ends the call."""

    type: Literal["end_session"]


class Status(StrEnum):
    """What the bot does, as this protocol has it."""

    IDLE = "idle"
    PROCESSING = "processing"
    GENERATING_AUDIO = "generating_audio"


class VoiceAgentSerializer(DialogueSerializer):
    """Tells of each utterance in one order, whatever order it happens in.

    Status `processing`, the transcription, the answer's text, status `generating_audio`, its sound,
    status `idle`.

    Args:
        send: Sends a text message to the client.
        microphone: Reads what the client records.
        make_voice: Makes what writes the bot's voice, anew for each speech.
        session_id: Of the call.
        agent: Who answers.
    """

    client_messages: ClassVar = TypeAdapter(
        Annotated[AudioChunk | EndSession, Field(discriminator="type")]
    )

    def __init__(
        self,
        send: Send,
        *,
        microphone: Microphone,
        make_voice: MakeEncoder,
        session_id: str,
        agent: str,
    ) -> None:
        super().__init__(send, microphone=microphone, make_voice=make_voice)
        self._session_id = session_id
        self._agent = agent
        self._status = Status.IDLE
        # The words of the bot that are not told yet.
        self._words = ""
        # Whether some of them are no model's, and more of its words are not to be waited for.
        self._is_own = False
        self._interruptions = 0
        self._changed = asyncio.Event()

    def hello(self) -> Iterable[Message]:
        """Return the message that a call begins with."""
        yield {
            "type": "connection_established",
            "session_id": self._session_id,
            "agent": self._agent,
        }

    def tell(self, kind: str, data: Message) -> Iterable[Message]:
        """Return the messages that tell what RTVI tells."""
        yield from super().tell(kind, data)
        self._changed.set()

    def put(self, event: Event) -> Iterable[Message]:
        """Return the messages that tell of an event."""
        is_heard = self._status is Status.GENERATING_AUDIO
        match event:
            case SpeechEnded():
                yield from self._go_to(Status.PROCESSING)
            case Heard(text, is_final):
                yield {"type": "transcription", "text": text, "is_final": is_final}
            case Wrote(text):
                self._words += text
            case Said(text):
                self._words += f" {text}"
                self._is_own = True
                if is_heard:
                    yield from self._tell_words()
            case Written() if is_heard:
                yield from self._tell_words()
            case Over(is_cut_off):
                if is_cut_off:
                    self._forget_words()
                yield from self._tell_words()
                yield from self._go_to(Status.IDLE)

    async def until_it_may_play(self) -> None:
        """Wait for the text of the answer that is about to be heard."""
        interruptions, since = self._interruptions, asyncio.get_running_loop().time()
        with suppress(TimeoutError):
            async with asyncio.timeout(WORDS_SECS) as limit:
                while not self._may_play and self._interruptions == interruptions:
                    if self.dialogue.is_writing:
                        limit.reschedule(since + WRITING_SECS)
                    self._changed.clear()
                    await self._changed.wait()

    def play(self, pcm: bytes) -> Iterable[Message]:
        """Return the messages with a piece of the bot's voice."""
        if self._status is not Status.GENERATING_AUDIO:
            yield from self._tell_words()
            yield from self._go_to(Status.GENERATING_AUDIO)
        yield from super().play(pcm)

    def sound(self, data: bytes) -> Message:
        """Return the message with a piece of the bot's voice."""
        return {"type": "audio_response", "data": to_base64(data)}

    def interrupt(self) -> Iterable[Message]:
        """Throw away what was not sent yet: nobody is to hear it."""
        yield from super().interrupt()
        self._forget_words()
        self._interruptions += 1
        self._changed.set()
        if self._status is Status.GENERATING_AUDIO:
            yield from self._go_to(Status.IDLE)

    async def take(self, message: AudioChunk | EndSession) -> Frame | None:
        """Return the frame for what a client sent."""
        if isinstance(message, EndSession):
            return hang_up()
        if not message.is_final:
            return await self.microphone.hear(message, self.in_rate_hz)
        self.release()
        if self._status is Status.IDLE:
            await self.send(self._go_to(Status.PROCESSING))
        try:
            return await self.microphone.hear(message, self.in_rate_hz, is_final=True)
        except ProtocolError as error:
            # What was heard before is an utterance all the same.
            await self.send([self.error(error)])
            return await self.microphone.hear(None, self.in_rate_hz, is_final=True)

    @property
    def _may_play(self) -> bool:
        is_told = self._status is Status.GENERATING_AUDIO
        is_whole = self._is_own or (self._words and not self.dialogue.is_writing)
        return bool(is_told or is_whole)

    def _go_to(self, status: Status) -> Iterable[Message]:
        if status is not self._status:
            self._status = status
            yield {"type": "status_update", "status": status.value}

    def _tell_words(self) -> Iterable[Message]:
        if text := self._words.strip():
            yield {"type": "llm_response", "text": text}
        self._forget_words()

    def _forget_words(self) -> None:
        self._words, self._is_own = "", False
