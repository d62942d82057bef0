"""Push to talk with what browsers record and play: WebM with Opus comes, MP3 goes.

`/ws/voice-agent/{agent_id}`; see docs/protocols.md.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pipecat.frames.frames import Frame
from pipecat.utils.string import match_endofsentence
from pydantic import BaseModel, Field, TypeAdapter

from processors.protocols.json_serializer import (
    JsonSerializer,
    Message,
    ProtocolError,
    Send,
    hang_up,
    state_in,
)
from processors.protocols.sound import (
    AudioFormat,
    Encoder,
    MakeEncoder,
    Microphone,
    Sound,
    to_base64,
)
from processors.voice_state import State


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


class VoiceAgentSerializer(JsonSerializer):
    """Tells of each utterance in one order, whatever order it happens in.

    Status `processing`, the transcription, the beginning of the answer's text, status
    `generating_audio`, its sound with the rest of its text, status `idle`.

    Args:
        send: Sends a text message to the client.
        microphone: Reads what the client records.
        make_voice: Makes what writes the bot's voice, anew for each speech.
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
    ) -> None:
        super().__init__(send)
        self._microphone = microphone
        self._make_voice = make_voice
        self._voice: Encoder | None = None
        self._status = Status.IDLE
        self._user_speaks = False
        # The words of the bot that are not told yet, and whether a language model makes them.
        self._words = ""
        self._is_of_model = False

    def tell(self, kind: str, data: Message) -> Iterable[Message]:
        """Return the messages that tell what RTVI tells."""
        match kind:
            case "user-transcription":
                if data["final"]:
                    yield from self._go_to(Status.PROCESSING)
                yield {
                    "type": "transcription",
                    "text": data["text"],
                    "is_final": data["final"],
                }
            case "user-started-speaking":
                self._user_speaks = True
            case "user-stopped-speaking":
                self._user_speaks = False
                yield from self._go_to(Status.PROCESSING)
            case "bot-llm-started":
                self._is_of_model = True
            case "bot-llm-text":
                self._words += data["text"]
                if self._status is Status.GENERATING_AUDIO and match_endofsentence(self._words):
                    yield from self._tell_words()
            case "bot-llm-stopped":
                if self._status is Status.GENERATING_AUDIO:
                    yield from self._tell_words()
            case "bot-output" if data["spoken_status"] == "new" and not self._is_of_model:
                # Words that no model has made, such as a reminder.
                self._words += data["text"]
                yield from self._tell_words()
            case "bot-stopped-speaking":
                yield from self._fall_silent()
            case "error":
                yield {"type": "error", "message": data["error"], "retryable": True}
        if state_in(kind, data) == State.LISTENING and self._status is Status.PROCESSING:
            # Nothing was said, or nothing is answered.
            yield from self._go_to(Status.IDLE)

    def play(self, pcm: bytes) -> Iterable[Message]:
        """Return the messages with a piece of the bot's voice."""
        if self._status is not Status.GENERATING_AUDIO:
            yield from self._tell_words()
            yield from self._go_to(Status.GENERATING_AUDIO)
        self._voice = self._voice or self._make_voice(self.out_rate_hz)
        yield from map(_sound, self._voice.feed(pcm))

    def interrupt(self) -> Iterable[Message]:
        """Throw away what was not sent yet: nobody is to hear it."""
        self._voice = None
        self._words = ""
        self._is_of_model = False
        return ()

    def error(self, error: ProtocolError) -> Message:
        """Return the message for what cannot be taken."""
        return {"type": "error", "message": error.message, "code": error.code, "retryable": False}

    async def take(self, message: AudioChunk | EndSession) -> Frame | None:
        """Return the frame for what a client sent."""
        if isinstance(message, EndSession):
            return hang_up()
        frame = await self._microphone.hear(message, self.in_rate_hz, is_final=message.is_final)
        if message.is_final and self._user_speaks:
            await self.send(self._go_to(Status.PROCESSING))
        return frame

    def _go_to(self, status: Status) -> Iterable[Message]:
        if status is not self._status:
            self._status = status
            yield {"type": "status_update", "status": status.value}

    def _tell_words(self) -> Iterable[Message]:
        if text := self._words.strip():
            yield {"type": "llm_response", "text": text}
        self._words = ""

    def _fall_silent(self) -> Iterable[Message]:
        if self._status is not Status.GENERATING_AUDIO:
            return
        if self._voice:
            yield from map(_sound, self._voice.finish())
            self._voice = None
        self._is_of_model = False
        yield from self._go_to(Status.IDLE)


def _sound(mp3: bytes) -> Message:
    return {"type": "audio_response", "data": to_base64(mp3)}
