"""Speech to text, an agent, text to speech, each of them told: `/ws/sandwich`.

See docs/protocols.md.
"""

from collections.abc import Iterable
from typing import Annotated, ClassVar, Literal

from pipecat.frames.frames import Frame
from pydantic import BaseModel, Field, TypeAdapter

from processors.protocols.dialogue import Called, Event, Heard, Over, Said, Wrote
from processors.protocols.dialogue_serializer import DialogueSerializer
from processors.protocols.json_serializer import Message
from processors.protocols.sound import Sound, to_base64


class Audio(Sound):
    """A piece of what the microphone records."""

    type: Literal["audio"]


class End(BaseModel):
    """The user says no more in this utterance."""

    type: Literal["end"]


class SandwichSerializer(DialogueSerializer):
    """Tells what is heard, what the agent writes and calls, and what is spoken."""

    client_messages: ClassVar = TypeAdapter(Annotated[Audio | End, Field(discriminator="type")])

    def put(self, event: Event) -> Iterable[Message]:
        """Return the messages that tell of an event."""
        match event:
            case Heard(text, is_final):
                yield {"type": "stt_final" if is_final else "stt_partial", "text": text}
            case Wrote(text) | Said(text):
                yield {"type": "agent_chunk", "text": text}
            case Called(name, args):
                yield {"type": "agent_tool", "tool": {"name": name, "args": args}}
            case Over():
                yield {"type": "complete"}

    def sound(self, data: bytes) -> Message:
        """Return the message with a piece of the bot's voice."""
        return {"type": "tts_audio", "data": to_base64(data)}

    async def take(self, message: Audio | End) -> Frame | None:
        """Return the frame for what a client sent."""
        if isinstance(message, Audio):
            return await self.microphone.hear(message, self.in_rate_hz)
        self.release()
        return await self.microphone.hear(None, self.in_rate_hz, is_final=True)
