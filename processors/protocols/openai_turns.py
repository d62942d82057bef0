"""What the user says, as OpenAI's Realtime protocol tells of it."""

from collections.abc import Iterable

from processors.protocols.json_serializer import Message
from processors.protocols.openai_events import Conversation, event, message_item, new_id

TRANSCRIPTION = "conversation.item.input_audio_transcription"


class UserTurns:
    """What the user says, as it becomes known.

    Args:
        conversation: Where it belongs.

    Attributes:
        is_written: Whether the client is told what they say.
    """

    def __init__(self, conversation: Conversation) -> None:
        self.is_written = False
        self._conversation = conversation
        self._item: str | None = None
        # Of which item it is not told yet what was said, and what of it is known.
        self._untold: str | None = None
        self._words: list[str] = []
        self._is_over = False
        self._since_ms = 0
        self._secs = 0.0

    @property
    def is_open(self) -> bool:
        """Whether the user is speaking, as the client has been told."""
        return self._item is not None

    def start(self, at_ms: int) -> Iterable[Message]:
        """Take that the user begins to speak."""
        yield from self._write()
        self._words, self._is_over = [], False
        self._since_ms = at_ms
        self._item = new_id("item")
        yield event("input_audio_buffer.speech_started", audio_start_ms=at_ms, item_id=self._item)

    def stop(self, at_ms: int) -> Iterable[Message]:
        """Take that the user has said what they wanted."""
        if self._item:
            yield event("input_audio_buffer.speech_stopped", audio_end_ms=at_ms, item_id=self._item)
            yield from self._commit((at_ms - self._since_ms) / 1000)
        yield from self.end()

    def end(self) -> Iterable[Message]:
        """Take that what was said has been listened to."""
        self._is_over = True
        if self._words:
            yield from self._write()

    def commit(self, secs: float) -> Iterable[Message]:
        """Take that the client has ended an utterance, which is yet to be listened to."""
        self._words = []
        yield from self._commit(secs)

    def _commit(self, secs: float) -> Iterable[Message]:
        """Make an item of what was said, which took so long."""
        item_id, self._item = self._item or new_id("item"), None
        self._untold, self._secs, self._is_over = item_id, secs, False
        yield event(
            "input_audio_buffer.committed",
            previous_item_id=self._conversation.last,
            item_id=item_id,
        )
        content = [{"type": "input_audio", "transcript": None}]
        yield from self._conversation.add(message_item(item_id, "user", content))

    def say(self, words: str) -> Iterable[Message]:
        """Take what was understood."""
        self._words.append(words.strip())
        if self._is_over:
            yield from self._write()

    def give_up(self) -> Iterable[Message]:
        """Take that nothing was understood, and nothing will be."""
        if self._is_over:
            yield from self._write()

    def _write(self) -> Iterable[Message]:
        if not self._untold:
            return
        text, about = " ".join(self._words), {"item_id": self._untold, "content_index": 0}
        self._untold, self._words = None, []
        if self.is_written:
            if text:
                yield event(f"{TRANSCRIPTION}.delta", delta=text, **about)
            usage = {"type": "duration", "seconds": self._secs}
            yield event(f"{TRANSCRIPTION}.completed", transcript=text, usage=usage, **about)
