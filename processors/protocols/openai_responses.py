"""What the bot says and calls, as OpenAI's Realtime protocol tells of it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from processors.protocols.json_serializer import Message
from processors.protocols.openai_events import Conversation, event, message_item, new_id

CANCELLED: Mapping[str, str] = {"type": "cancelled", "reason": "client_cancelled"}
TALKED_OVER: Mapping[str, str] = {"type": "cancelled", "reason": "turn_detected"}


@dataclass
class _Message:
    """What the bot says in a response.

    Attributes:
        item_id: Names it.
        index: Its place in the response.
        is_spoken: Whether it is spoken, or only written.
        text: What of it has been.
    """

    item_id: str
    index: int
    is_spoken: bool
    text: str = ""


@dataclass
class _Response:
    """What the bot says and calls at one stretch.

    Attributes:
        metadata: What the client has told of it.
        id: Names it.
        output: What is complete of it, by its place.
        places: How many there are.
        message: What is being said; None for nothing.
        model_writes: Whether more may come of what answers.
        speech_is_due: Whether something has been written that is yet to be heard.
        is_silent: Whether the bot has fallen silent in its midst.
        announced: Calls that are about to be made.
        running: Calls of the bot's own that are.
        goes_on: Whether one of them has ended, so that more is to be written.
    """

    metadata: Mapping[str, str] | None = None
    id: str = field(default_factory=lambda: new_id("resp"))
    output: dict[int, Message] = field(default_factory=dict)
    places: int = 0
    message: _Message | None = None
    model_writes: bool = False
    speech_is_due: bool = False
    is_silent: bool = False
    announced: int = 0
    running: set[str] = field(default_factory=set)
    goes_on: bool = False

    @property
    def is_busy(self) -> bool:
        """Whether more comes, as far as is known."""
        return self.model_writes or self.announced > 0 or bool(self.running)

    @property
    def waits_for_words(self) -> bool:
        """Whether all has been heard that was written."""
        return self.is_silent and not self.speech_is_due

    def place(self) -> int:
        """Return the place of the next output."""
        self.places += 1
        return self.places - 1


class Responses:
    """What the bot says and calls, one response after the other.

    A response begins when the client or the turn detection wants one, or the bot has something to
    say. It ends when the bot has said it, or waits for tools of the client's; those of the bot's
    own are no business of the client's.

    Args:
        conversation: Where what is said belongs.
        described: Returns what is the same in all responses.

    Attributes:
        sound_ms: How much sound there is of each item.
    """

    def __init__(self, conversation: Conversation, described: Callable[[], Message]) -> None:
        self.sound_ms: dict[str, float] = {}
        self._conversation = conversation
        self._described = described
        self._response: _Response | None = None
        self._model_writes = False

    @property
    def active(self) -> str | None:
        """The name of the response that is made; None if none is."""
        return self._response.id if self._response else None

    @property
    def has_begun(self) -> bool:
        """Whether more is known of a response than that there is to be one."""
        response = self._response
        return response is not None and (response.is_busy or response.places > 0)

    @property
    def is_speaking(self) -> bool:
        """Whether the bot is being heard."""
        return self._response is not None and self._response.message is not None

    def create(self, metadata: Mapping[str, str] | None = None) -> Iterable[Message]:
        """Begin a response, if none is made."""
        if not self._response:
            self._response = _Response(metadata, model_writes=self._model_writes)
            yield event("response.created", response=self._told(self._response, "in_progress"))

    def start(self) -> None:
        """Take that what answers begins; be it ahead of the end of a turn that goes on."""
        self._model_writes = True
        if self._response:
            self._response.model_writes, self._response.goes_on = True, False

    def write(self, text: str, *, is_spoken: bool) -> Iterable[Message]:
        """Take what it writes, which is to be spoken, or is all that there is."""
        if not self._model_writes:
            # It was written before an interruption.
            return
        yield from self.create()
        assert self._response
        if is_spoken:
            self._response.speech_is_due |= bool(text.strip())
        else:
            yield from self._say(text, is_spoken=False)

    def stop(self) -> Iterable[Message]:
        """Take that it has ended; it may be what answered before that is told of late."""
        self._model_writes = False
        if not self._response or not self._response.model_writes:
            return
        self._response.model_writes = False
        message = self._response.message
        if message and (not message.is_spoken or self._response.waits_for_words):
            yield from self._end_message("completed")
        yield from self._end_if_over()

    def sound(self, audio: str, ms: float) -> Iterable[Message]:
        """Take a piece of the bot's voice.

        Args:
            audio: Base64, in the client's form.
            ms: How long it lasts.
        """
        yield from self._begin_message(is_spoken=True)
        assert self._response
        assert self._response.message
        self._response.is_silent = False
        self.sound_ms[self._response.message.item_id] += ms
        yield event("response.output_audio.delta", delta=audio, **self._where())

    def say(self, words: str) -> Iterable[Message]:
        """Take words that the bot is heard to say."""
        if self._response:
            yield from self._say(words, is_spoken=True)

    def fall_silent(self) -> Iterable[Message]:
        """Take that the bot has said what there was to say so far, in this response or before."""
        if not self._response or not self._response.message:
            return
        self._response.is_silent, self._response.speech_is_due = True, False
        if self._response.model_writes:
            # It has to wait for more.
            return
        yield from self._end_message("completed")
        if not self._response.is_busy:
            yield from self._end("completed")

    def announce_call(self) -> Iterable[Message]:
        """Take that a tool is about to be called."""
        yield from self.create()
        assert self._response
        self._response.announced += 1

    def call_own(self, call_id: str) -> Iterable[Message]:
        """Take that a tool of the bot's own runs."""
        yield from self.create()
        assert self._response
        self._response.announced -= 1
        self._response.running.add(call_id)

    def call(self, call_id: str, name: str, arguments: str) -> Iterable[Message]:
        """Take that a tool of the client's is called.

        Args:
            call_id: What answers refer to.
            name: Of the tool.
            arguments: JSON.
        """
        yield from self.create()
        response = self._response
        assert response
        response.announced -= 1
        index, item_id = response.place(), new_id("item")
        item = {"id": item_id, "object": "realtime.item", "type": "function_call"}
        item |= {"status": "in_progress", "call_id": call_id, "name": name, "arguments": ""}
        about = {"response_id": response.id, "output_index": index}
        yield event("response.output_item.added", item=item, **about)
        yield self._conversation.begin(item)
        of_call = {"item_id": item_id, "call_id": call_id, **about}
        yield event("response.function_call_arguments.delta", delta=arguments, **of_call)
        yield event(
            "response.function_call_arguments.done", name=name, arguments=arguments, **of_call
        )
        item = {**item, "status": "completed", "arguments": arguments}
        response.output[index] = item
        yield self._conversation.end(item)
        yield event("response.output_item.done", item=item, **about)
        yield from self._end_if_over()

    def end_call(self, call_id: str, *, is_cancelled: bool) -> None:
        """Take that a tool has ended, whosever it was."""
        if self._response and call_id in self._response.running:
            self._response.running.discard(call_id)
            self._response.goes_on |= not is_cancelled

    def cancel(self, why: Mapping[str, str]) -> Iterable[Message]:
        """Take that the bot breaks off."""
        self._model_writes = False
        if self._response:
            yield from self._end_message("incomplete")
            yield from self._end("cancelled", why)

    def _end_if_over(self) -> Iterable[Message]:
        response = self._response
        assert response
        if not (response.is_busy or response.goes_on or response.speech_is_due or response.message):
            yield from self._end("completed")

    def _end(
        self,
        status: Literal["completed", "cancelled"],
        details: Mapping[str, str] | None = None,
    ) -> Iterable[Message]:
        response, self._response = self._response, None
        assert response
        yield event("response.done", response=self._told(response, status, details))

    def _say(self, words: str, *, is_spoken: bool) -> Iterable[Message]:
        yield from self._begin_message(is_spoken=is_spoken)
        assert self._response
        message = self._response.message
        assert message
        words = words if message.text else words.lstrip()
        message.text += words
        kind = "audio_transcript" if is_spoken else "text"
        yield event(f"response.output_{kind}.delta", delta=words, **self._where())

    def _begin_message(self, *, is_spoken: bool) -> Iterable[Message]:
        yield from self.create()
        response = self._response
        assert response
        if response.message:
            return
        response.message = message = _Message(new_id("item"), response.place(), is_spoken)
        self.sound_ms[message.item_id] = 0.0
        item = message_item(message.item_id, "assistant", [], status="in_progress")
        about = {"response_id": response.id, "output_index": message.index}
        yield event("response.output_item.added", item=item, **about)
        yield self._conversation.begin(item)
        yield event("response.content_part.added", part=_part(message), **self._where())

    def _end_message(self, status: Literal["completed", "incomplete"]) -> Iterable[Message]:
        response = self._response
        assert response
        message, where = response.message, self._where()
        if not message:
            return
        if message.is_spoken:
            yield event("response.output_audio.done", **where)
            yield event("response.output_audio_transcript.done", transcript=message.text, **where)
        else:
            yield event("response.output_text.done", text=message.text, **where)
        yield event("response.content_part.done", part=_part(message), **where)
        part = {"type": "output_audio", "transcript": message.text}
        if not message.is_spoken:
            part = {"type": "output_text", "text": message.text}
        item = message_item(message.item_id, "assistant", [part], status=status)
        response.output[message.index] = item
        response.message = None
        yield self._conversation.end(item)
        about = {"response_id": response.id, "output_index": message.index}
        yield event("response.output_item.done", item=item, **about)

    def _where(self) -> Message:
        """Return which part of which item an event is about."""
        response = self._response
        if not response or not response.message:
            return {}
        return {
            "response_id": response.id,
            "item_id": response.message.item_id,
            "output_index": response.message.index,
            "content_index": 0,
        }

    def _told(
        self, response: _Response, status: str, details: Mapping[str, str] | None = None
    ) -> Message:
        return {
            "id": response.id,
            "object": "realtime.response",
            "status": status,
            "status_details": details,
            "output": [response.output[place] for place in sorted(response.output)],
            "metadata": response.metadata,
            "usage": None,
            **self._described(),
        }


def _part(message: _Message) -> Message:
    """Return the part of an item that holds what was said so far."""
    if message.is_spoken:
        return {"type": "audio", "transcript": message.text}
    return {"type": "text", "text": message.text}
