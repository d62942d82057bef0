"""What the protocols have in common that tell of a call utterance by utterance."""

import asyncio
from abc import abstractmethod
from collections.abc import Iterable

from pipecat.processors.frame_processor import FrameProcessorSetup

from processors.protocols.dialogue import Dialogue, Event, Failed, FellSilent
from processors.protocols.json_serializer import JsonSerializer, Message, ProtocolError, Send
from processors.protocols.sound import Encoder, MakeEncoder, Microphone

SERVICE_FAILED = "SERVICE_FAILED"
"""The code of an error that is none of the client's."""


class DialogueSerializer(JsonSerializer):
    """Tells of each utterance and its answer, and of the end of that.

    Args:
        send: Sends a text message to the client.
        microphone: Reads what the client records.
        make_voice: Makes what writes the bot's voice, anew for each speech.
    """

    def __init__(self, send: Send, *, microphone: Microphone, make_voice: MakeEncoder) -> None:
        super().__init__(send)
        self.microphone = microphone
        self.dialogue = Dialogue()
        self._make_voice = make_voice
        self._voice: Encoder | None = None
        self._settling: asyncio.TimerHandle | None = None
        self._telling: asyncio.Task[None] | None = None

    async def setup(self, setup: FrameProcessorSetup) -> None:  # type: ignore[override]
        """Learn the sample rates of the pipeline, and who looks after tasks."""
        await super().setup(setup)
        self._task_manager = setup.task_manager

    async def cleanup(self) -> None:
        """Tell nothing more."""
        await super().cleanup()
        if self._settling:
            self._settling.cancel()
        if self._telling and not self._telling.done():
            await self.cancel_task(self._telling)
        await self.microphone.close()

    @abstractmethod
    def put(self, event: Event) -> Iterable[Message]:
        """Return the messages that tell of an event; failures are told already."""

    @abstractmethod
    def sound(self, data: bytes) -> Message:
        """Return the message with a piece of the bot's voice, as it is written."""

    def tell(self, kind: str, data: Message) -> Iterable[Message]:
        """Return the messages that tell what RTVI tells."""
        yield from self._put_all(self.dialogue.follow(kind, data))

    def release(self) -> None:
        """Take that the client says it has sent all of an utterance."""
        self.dialogue.release()
        self._settle_later()

    def play(self, pcm: bytes) -> Iterable[Message]:
        """Return the messages with a piece of the bot's voice."""
        self._voice = self._voice or self._make_voice(self.out_rate_hz)
        yield from map(self.sound, self._voice.feed(pcm))

    def interrupt(self) -> Iterable[Message]:
        """Throw away what was not sent yet: nobody is to hear it."""
        self._voice = None
        return ()

    def error(self, error: ProtocolError) -> Message:
        """Return the message for what cannot be taken."""
        return _error(error.message, error.code, is_retryable=False)

    def _put_all(self, events: Iterable[Event]) -> Iterable[Message]:
        for event in events:
            if isinstance(event, FellSilent) and self._voice:
                yield from map(self.sound, self._voice.finish())
                self._voice = None
            if isinstance(event, Failed):
                yield _error(event.message, SERVICE_FAILED, is_retryable=True)
            yield from self.put(event)
        self._settle_later()

    def _settle_later(self) -> None:
        """See whether the answer is over, if nothing else comes until then."""
        if self._settling:
            self._settling.cancel()
            self._settling = None
        secs = self.dialogue.settles_in
        if secs is not None:
            self._settling = asyncio.get_running_loop().call_later(secs, self._settle)

    def _settle(self) -> None:
        self._settling = None
        settled = self._put_all(self.dialogue.settle())
        self._telling = self.create_task(self.send(settled))


def _error(message: str, code: str, *, is_retryable: bool) -> Message:
    return {"type": "error", "message": message, "code": code, "retryable": is_retryable}
