"""A conversation in which either side may speak at any time: `/ws/realtime`.

See docs/protocols.md.
"""

from collections.abc import Iterable
from typing import Annotated, ClassVar, Literal

from pipecat.frames.frames import Frame
from pydantic import BaseModel, Field, TypeAdapter

from processors.protocols.json_serializer import (
    JsonSerializer,
    Message,
    ProtocolError,
    Send,
    hang_up,
)
from processors.protocols.sandwich import Audio
from processors.protocols.sound import Encoder, MakeEncoder, Microphone, to_base64


class Stop(BaseModel):
    """The client ends the call."""

    type: Literal["stop"]


class RealtimeSerializer(JsonSerializer):
    """Tells when the user speaks, what they have said, and what the bot says.

    Args:
        send: Sends a text message to the client.
        microphone: Reads what the client records.
        make_voice: Makes what writes the bot's voice, anew for each speech.
    """

    client_messages: ClassVar = TypeAdapter(Annotated[Audio | Stop, Field(discriminator="type")])

    def __init__(self, send: Send, *, microphone: Microphone, make_voice: MakeEncoder) -> None:
        super().__init__(send)
        self._microphone = microphone
        self._make_voice = make_voice
        self._voice: Encoder | None = None

    def tell(self, kind: str, data: Message) -> Iterable[Message]:
        """Return the messages that tell what RTVI tells."""
        match kind:
            case "user-started-speaking":
                yield {"type": "speech_started"}
            case "user-stopped-speaking":
                yield {"type": "speech_ended"}
            case "user-transcription" if data["final"]:
                yield {"type": "transcript", "text": data["text"]}
            case "bot-stopped-speaking" if self._voice:
                yield from map(_sound, self._voice.finish())
                self._voice = None
                yield {"type": "done"}
            case "error":
                yield {"type": "error", "message": data["error"]}

    def play(self, pcm: bytes) -> Iterable[Message]:
        """Return the messages with a piece of the bot's voice."""
        self._voice = self._voice or self._make_voice(self.out_rate_hz)
        yield from map(_sound, self._voice.feed(pcm))

    def interrupt(self) -> Iterable[Message]:
        """Tell a client that plays the bot's voice to stop."""
        if self._voice:
            self._voice = None
            yield {"type": "interrupted"}

    def error(self, error: ProtocolError) -> Message:
        """Return the message for what cannot be taken."""
        return {"type": "error", "message": error.message, "code": error.code}

    async def take(self, message: Audio | Stop) -> Frame | None:
        """Return the frame for what a client sent."""
        if isinstance(message, Stop):
            return hang_up()
        return await self._microphone.hear(message, self.in_rate_hz)


def _sound(pcm: bytes) -> Message:
    return {"type": "audio", "data": to_base64(pcm)}
