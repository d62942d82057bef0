"""Speech to text, an agent, text to speech, each of them told: `/ws/sandwich`.

See docs/protocols.md.
"""

from collections.abc import Iterable
from typing import Annotated, ClassVar, Literal

from pipecat.frames.frames import Frame
from pydantic import BaseModel, Field, TypeAdapter

from processors.protocols.json_serializer import JsonSerializer, Message, ProtocolError, Send
from processors.protocols.sound import Encoder, MakeEncoder, Microphone, Sound, to_base64


class Audio(Sound):
    """A piece of what the microphone records."""

    type: Literal["audio"]


class End(BaseModel):
    """The user says no more in this utterance."""

    type: Literal["end"]


class SandwichSerializer(JsonSerializer):
    """Tells what is heard, what the agent writes and calls, and what is spoken.

    Args:
        send: Sends a text message to the client.
        microphone: Reads what the client records.
        make_voice: Makes what writes the bot's voice, anew for each speech.
    """

    client_messages: ClassVar = TypeAdapter(Annotated[Audio | End, Field(discriminator="type")])

    def __init__(self, send: Send, *, microphone: Microphone, make_voice: MakeEncoder) -> None:
        super().__init__(send)
        self._microphone = microphone
        self._make_voice = make_voice
        self._voice: Encoder | None = None

    def tell(self, kind: str, data: Message) -> Iterable[Message]:
        """Return the messages that tell what RTVI tells."""
        match kind:
            case "user-transcription":
                part = "stt_final" if data["final"] else "stt_partial"
                yield {"type": part, "text": data["text"]}
            case "bot-llm-text":
                yield {"type": "agent_chunk", "text": data["text"]}
            case "llm-function-call-in-progress":
                called = {"name": data["function_name"], "args": data["arguments"]}
                yield {"type": "agent_tool", "tool": called}
            case "bot-stopped-speaking" if self._voice:
                yield from map(_sound, self._voice.finish())
                self._voice = None
                yield {"type": "complete"}
            case "error":
                yield {"type": "error", "message": data["error"]}

    def play(self, pcm: bytes) -> Iterable[Message]:
        """Return the messages with a piece of the bot's voice."""
        self._voice = self._voice or self._make_voice(self.out_rate_hz)
        yield from map(_sound, self._voice.feed(pcm))

    def interrupt(self) -> Iterable[Message]:
        """End an answer that the user talks over."""
        if self._voice:
            self._voice = None
            yield {"type": "complete"}

    def error(self, error: ProtocolError) -> Message:
        """Return the message for what cannot be taken."""
        return {"type": "error", "message": error.message, "code": error.code}

    async def take(self, message: Audio | End) -> Frame | None:
        """Return the frame for what a client sent."""
        if isinstance(message, End):
            return await self._microphone.hear(None, self.in_rate_hz, is_final=True)
        return await self._microphone.hear(message, self.in_rate_hz)


def _sound(pcm: bytes) -> Message:
    return {"type": "tts_audio", "data": to_base64(pcm)}
