"""A conversation in which either side may speak at any time: `/ws/realtime`.

See docs/protocols.md.
"""

from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Literal

from pipecat.frames.frames import Frame
from pydantic import BaseModel, Field, TypeAdapter

from processors.protocols.dialogue import Event, Heard, Over, SpeechEnded, SpeechStarted
from processors.protocols.dialogue_serializer import DialogueSerializer
from processors.protocols.json_serializer import Message, hang_up
from processors.protocols.sandwich import Audio
from processors.protocols.sound import to_base64


class Stop(BaseModel):
    """The client ends the call."""

    type: Literal["stop"]


class RealtimeSerializer(DialogueSerializer):
    """Tells when the user speaks, what they have said, and what the bot says."""

    client_messages: ClassVar = TypeAdapter(Annotated[Audio | Stop, Field(discriminator="type")])

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Whether the client waits for the answer to what was said, and whether it hears one.
        self._is_due = self._is_heard = False

    def put(self, event: Event) -> Iterable[Message]:
        """Return the messages that tell of an event."""
        match event:
            case SpeechStarted():
                self._is_due = False
                yield {"type": "speech_started"}
            case SpeechEnded():
                self._is_due = True
                yield {"type": "speech_ended"}
            case Heard(text, is_final=True):
                yield {"type": "transcript", "text": text}
            case Over(is_cut_off=True) if self._is_heard:
                self._is_heard = False
                yield {"type": "interrupted"}
            case Over(is_cut_off=False) if self._is_heard or self._is_due:
                self._is_heard = self._is_due = False
                yield {"type": "done"}

    def play(self, pcm: bytes) -> Iterable[Message]:
        """Return the messages with a piece of the bot's voice."""
        self._is_heard = True
        yield from super().play(pcm)

    def sound(self, data: bytes) -> Message:
        """Return the message with a piece of the bot's voice."""
        return {"type": "audio", "data": to_base64(data)}

    def interrupt(self) -> Iterable[Message]:
        """Tell a client that plays the bot's voice to stop."""
        yield from super().interrupt()
        if self._is_heard and self.dialogue.is_answering:
            self._is_heard = False
            yield {"type": "interrupted"}

    async def take(self, message: Audio | Stop) -> Frame | None:
        """Return the frame for what a client sent."""
        if isinstance(message, Stop):
            return hang_up()
        return await self.microphone.hear(message, self.in_rate_hz)
