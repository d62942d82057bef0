"""OpenAI's Realtime protocol, with a bot in the place of the model: `/v1/realtime`.

See docs/protocols.md.
"""

import asyncio
import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from typing import ClassVar, TypeAlias

from pipecat.frames.frames import Frame, InputAudioRawFrame
from pydantic import ValidationError

from engines.audio.decoding import RawEncoding
from processors.client_control import (
    TOOLS_LEFT_OUT,
    UTTERANCE_OVER,
    ClientInterruptionFrame,
    ClientMessageFrame,
    ClientSettingsFrame,
    ClientTool,
    RespondFrame,
    ToolOutputFrame,
)
from processors.protocols.json_serializer import (
    JsonSerializer,
    Message,
    ProtocolError,
    Send,
)
from processors.protocols.openai_events import (
    Conversation,
    error_event,
    event,
    message_item,
    new_id,
)
from processors.protocols.openai_messages import (
    CLIENT_MESSAGES,
    Append,
    CancelResponse,
    Clear,
    ClientMessage,
    Commit,
    CreateItem,
    CreateResponse,
    Event,
    FunctionOutputItem,
    MessageItem,
    ResponseOptions,
    SessionUpdate,
    Truncate,
)
from processors.protocols.openai_responses import CANCELLED, TALKED_OVER, Responses
from processors.protocols.openai_session import Answerer, Session
from processors.protocols.openai_turns import UserTurns
from processors.protocols.sound import (
    SAMPLE_BYTES,
    Encoder,
    Microphone,
    Sound,
    to_base64,
)
from processors.push_to_talk import FinalAudioFrame
from processors.voice_state import State

MIN_COMMIT_MS = 100
"""Less is no utterance."""

MAX_BUFFER_MS = 29_000
"""The longest utterance that waits for the client to say that it is one. With the silence behind
it, it is no more than may wait to be heard (`processors.protocols.socket_transport`)."""

PREFIX_MS = 300
"""Of the sound before speech is noticed, so much belongs to it."""

PCM_RATE_HZ = 24_000

FORMATS: dict[str, tuple[RawEncoding, int]] = {
    "audio/pcm": ("pcm16", PCM_RATE_HZ),
    "audio/pcmu": ("mulaw", 8_000),
    "audio/pcma": ("alaw", 8_000),
}
"""Formats by their names in the protocol, and their rates."""

MakeVoice: TypeAlias = Callable[[RawEncoding, int], Encoder]
"""Makes an encoder for a speech, of its format and the sample rate that it is given."""


class OpenAiRealtimeSerializer(JsonSerializer):
    """Speaks with clients of OpenAI's for OpenAI's service.

    Args:
        send: Sends a text message to the client.
        answerer: Who answers it.
        microphone: Reads what the client records.
        make_voice: Makes what writes the bot's voice.
    """

    client_messages: ClassVar = CLIENT_MESSAGES

    def __init__(
        self,
        send: Send,
        *,
        answerer: Answerer,
        microphone: Microphone,
        make_voice: MakeVoice,
    ) -> None:
        super().__init__(send)
        self._microphone = microphone
        self._make_voice = make_voice
        self._voice: Encoder | None = None
        self._session = Session(answerer)
        self._conversation = Conversation()
        self._turns = UserTurns(self._conversation)
        self._responses = Responses(self._conversation, self._response_described)
        self._spoken = _SpokenWords()
        self._has_begun = asyncio.Event()
        self._last_sent: str | bytes = ""
        # What has been recorded: all of it, and what no utterance has been made of.
        self._heard_ms = 0.0
        self._uncommitted_ms = 0.0
        self._buffer = bytearray()
        self._utterances = 0
        # Calls whose output has not come, and whether one has come that was not responded to.
        self._calls: set[str] = set()
        self._has_output = False
        self._is_cancelled = False

    async def cleanup(self) -> None:
        """Read no more."""
        await super().cleanup()
        await self._microphone.close()

    async def deserialize(self, data: str | bytes) -> Frame | None:
        """Return what a client sent; answer it with an error if it cannot be taken.

        A client that does not wait for the session to begin is waited with.
        """
        await self._has_begun.wait()
        self._last_sent = data
        return await super().deserialize(data)

    def tell(self, kind: str, data: Message) -> Iterable[Message]:
        """Return the events that tell what RTVI tells."""
        if kind.startswith("user-"):
            yield from self._tell_of_user(kind, data)
        elif kind.startswith("llm-function-call-"):
            yield from self._tell_of_call(kind, data)
        elif kind.startswith("bot-"):
            yield from self._tell_of_bot(kind, data)
        elif kind == "error":
            yield error_event("service_failed", data["error"], is_of_client=False)
        elif kind == "server-message":
            yield from self._tell_of_service(data)

    def play(self, pcm: bytes) -> Iterable[Message]:
        """Return the events with a piece of the bot's voice."""
        if self._session.is_spoken:
            encoding, _ = FORMATS[self._session.spoken.type]
            self._voice = self._voice or self._make_voice(encoding, self.out_rate_hz)
            yield from self._sound(self._voice.feed(pcm))

    def interrupt(self) -> Iterable[Message]:
        """Throw away what was not sent yet. RTVI tells of it, too."""
        self._voice = None
        return ()

    def error(self, error: ProtocolError) -> Message:
        """Return the event for what cannot be taken."""
        event_id = _event_id_in(self._last_sent)
        return error_event(error.code, error.message, is_of_client=True, event_id=event_id)

    async def take(self, message: ClientMessage) -> Frame | None:
        """Return the frame for what a client sent."""
        match message:
            case SessionUpdate():
                return await self._update(message)
            case Append():
                return await self._hear(message)
            case Commit():
                return await self._commit()
            case Clear():
                await self._forget_sound()
                await self.send([event("input_audio_buffer.cleared")])
            case CreateItem():
                return await self._add(message)
            case Truncate():
                await self._truncate(message)
            case CreateResponse():
                return await self._respond(message.response or ResponseOptions())
            case CancelResponse():
                return self._cancel(message)
        return None

    def _tell_of_service(self, data: Message) -> Iterable[Message]:
        """Return the events that tell what Parlante tells beside RTVI."""
        if data["type"] == TOOLS_LEFT_OUT:
            left_out = set(data["names"])
            tools = tuple(it for it in self._session.tools if it.name not in left_out)
            self._session = replace(self._session, tools=tools)
            why = f"the bot has tools of its own by these names: {', '.join(data['names'])}"
            yield error_event("tool_name_taken", why, is_of_client=True)
        elif data.get("state") == State.LISTENING:
            if not self._has_begun.is_set():
                self._has_begun.set()
                yield event("session.created", session=self._session.described())
            if self._session.turns:
                yield from self._turns.give_up()
        elif data == UTTERANCE_OVER and not self._session.turns:
            yield from self._turns.end()
            yield from self._turns.give_up()

    def _tell_of_user(self, kind: str, data: Message) -> Iterable[Message]:
        is_detected = self._session.turns is not None
        match kind:
            case "user-started-speaking" if is_detected:
                yield from self._turns.start(max(0, round(self._heard_ms) - PREFIX_MS))
            case "user-stopped-speaking" if is_detected:
                self._uncommitted_ms = 0.0
                yield from self._turns.stop(round(self._heard_ms))
            case "user-transcription" if data["final"]:
                yield from self._turns.say(data["text"])

    def _tell_of_bot(self, kind: str, data: Message) -> Iterable[Message]:
        match kind:
            case "bot-llm-started":
                if self._turns.is_open and not self._session.answerer.is_chained:
                    # Speech to speech, that is told before the turn has ended.
                    yield from self._turns.stop(round(self._heard_ms))
                self._responses.start()
            case "bot-llm-text":
                is_spoken = self._session.is_spoken
                yield from self._responses.write(data["text"], is_spoken=is_spoken)
            case "bot-llm-stopped":
                yield from self._responses.stop()
            case "bot-output" if self._responses.is_speaking and self._session.is_spoken:
                # Else they are of what was broken off before.
                if words := self._spoken.new_in(data):
                    yield from self._responses.say(words)
            case "bot-stopped-speaking":
                if self._voice:
                    yield from self._sound(self._voice.finish())
                    self._voice = None
                yield from self._responses.fall_silent()
            case "bot-interrupted":
                yield from self._break_off()

    def _tell_of_call(self, kind: str, data: Message) -> Iterable[Message]:
        match kind.removeprefix("llm-function-call-"):
            case "started":
                yield from self._responses.announce_call()
            case "in-progress":
                name, call_id = data["function_name"], data["tool_call_id"]
                if name in {tool.name for tool in self._session.tools}:
                    self._calls.add(call_id)
                    arguments = json.dumps(data.get("arguments") or {}, ensure_ascii=False)
                    yield from self._responses.call(call_id, name, arguments)
                else:
                    yield from self._responses.call_own(call_id)
            case "stopped":
                is_cancelled = data.get("cancelled", False)
                self._responses.end_call(data["tool_call_id"], is_cancelled=is_cancelled)

    def _break_off(self) -> Iterable[Message]:
        is_cancelled, self._is_cancelled = self._is_cancelled, False
        if is_cancelled:
            yield from self._responses.cancel(CANCELLED)
        elif self._session.turns or self._responses.has_begun:
            # Else it is the utterance that is to be responded to.
            yield from self._responses.cancel(TALKED_OVER)

    def _sound(self, pieces: Iterable[bytes]) -> Iterable[Message]:
        encoding, rate_hz = FORMATS[self._session.spoken.type]
        bytes_per_ms = rate_hz * (SAMPLE_BYTES if encoding == "pcm16" else 1) / 1000
        for piece in pieces:
            yield from self._responses.sound(to_base64(piece), len(piece) / bytes_per_ms)

    def _response_described(self) -> Message:
        return {
            "conversation_id": f"conv_{self._session.answerer.session_id}",
            "output_modalities": ["audio" if self._session.is_spoken else "text"],
            "max_output_tokens": "inf",
            "audio": {"output": self._session.output_described()},
        }

    async def _update(self, message: SessionUpdate) -> Frame:
        before, session = self._session, self._session.changed(message.session)
        self._session = session
        if bool(session.turns) != bool(before.turns):
            await self._forget_sound()
        if session.spoken != before.spoken:
            self._voice = None
        self._turns.is_written = session.transcription is not None
        instruct = session.answerer.instruct
        is_told = instruct and session.instructions != before.instructions
        await self.send([event("session.updated", session=session.described())])
        return ClientSettingsFrame(
            instructions=instruct(session.instructions) if instruct and is_told else None,
            tools=[
                ClientTool(tool.name, tool.description, tool.parameters) for tool in session.tools
            ],
            answers_turns=session.answers_turns,
            is_spoken=session.is_spoken,
        )

    async def _forget_sound(self) -> None:
        await self._microphone.close()
        self._buffer.clear()
        self._uncommitted_ms = 0.0

    async def _hear(self, message: Append) -> Frame | None:
        encoding, rate_hz = FORMATS[self._session.heard.type]
        sound = Sound(data=message.audio, format=encoding, sample_rate=rate_hz)  # type: ignore[arg-type]
        frame = await self._microphone.hear(sound, self.in_rate_hz)
        if not frame:
            return None
        ms = len(frame.audio) / SAMPLE_BYTES / self.in_rate_hz * 1000
        turns = self._session.turns
        if not turns and self._uncommitted_ms + ms > MAX_BUFFER_MS:
            raise ProtocolError(
                "input_audio_buffer_full",
                f"an utterance has at most {MAX_BUFFER_MS / 1000:.0f} s: commit it, or clear it",
            )
        self._heard_ms += ms
        self._uncommitted_ms += ms
        if not turns:
            self._buffer += frame.audio
            return None
        if self._responses.is_speaking and not turns.interrupt_response:
            return InputAudioRawFrame(bytes(len(frame.audio)), self.in_rate_hz, 1)
        return frame

    async def _commit(self) -> Frame | None:
        ms, self._uncommitted_ms = self._uncommitted_ms, 0.0
        if ms < MIN_COMMIT_MS:
            raise ProtocolError(
                "input_audio_buffer_commit_empty",
                f"an utterance has at least {MIN_COMMIT_MS} ms, and there are {ms:.0f}",
            )
        self._utterances += 1
        rest = await self._microphone.hear(None, self.in_rate_hz, is_final=True)
        if self._session.turns or not rest:
            # It becomes an item when the turn has ended, which it does now.
            return rest
        await self.send(self._turns.commit(ms / 1000))
        said, self._buffer = bytes(self._buffer), bytearray()
        return FinalAudioFrame(said + rest.audio, self.in_rate_hz, 1)

    async def _add(self, message: CreateItem) -> Frame:
        item = message.item
        last = self._conversation.last
        if message.previous_item_id not in (None, last or "root"):
            raise ProtocolError("unsupported", "items can be added at the end only")
        item_id = item.id or new_id("item")
        if self._conversation.has(item_id):
            raise ProtocolError("item_exists", f"there is an item '{item_id}' already")
        if isinstance(item, FunctionOutputItem):
            return await self._take_output(item, item_id)
        return await self._take_message(item, item_id)

    async def _take_output(self, item: FunctionOutputItem, item_id: str) -> Frame:
        if item.call_id not in self._calls:
            raise ProtocolError("unknown_call", f"no call '{item.call_id}' waits for an output")
        self._calls.discard(item.call_id)
        self._has_output = True
        described = item.model_dump() | {"id": item_id, "object": "realtime.item"}
        await self.send(self._conversation.add(described | {"status": "completed"}))
        return ToolOutputFrame(item.call_id, item.output)

    async def _take_message(self, item: MessageItem, item_id: str) -> Frame:
        kind = "output_text" if item.role == "assistant" else "input_text"
        content = [{"type": kind, "text": part.text} for part in item.content]
        await self.send(self._conversation.add(message_item(item_id, item.role, content)))
        text = " ".join(part.text for part in item.content)
        return ClientMessageFrame("developer" if item.role == "system" else item.role, text)

    async def _truncate(self, message: Truncate) -> None:
        """Take how much was heard; what an interruption has cut off is known from the pipeline."""
        lasts_ms = self._responses.sound_ms.get(message.item_id)
        if lasts_ms is None:
            raise ProtocolError("item_not_found", f"the bot has not said '{message.item_id}'")
        if message.audio_end_ms > lasts_ms:
            raise ProtocolError("invalid_value", f"the sound of that item is {lasts_ms:.0f} ms")
        about = message.model_dump(include={"item_id", "content_index", "audio_end_ms"})
        await self.send([event("conversation.item.truncated", **about)])

    async def _respond(self, options: ResponseOptions) -> Frame:
        if options.instructions and not self._session.answerer.instruct:
            raise ProtocolError("unsupported", "this bot takes no instructions")
        modality = "audio" if self._session.is_spoken else "text"
        if options.output_modalities not in (None, [modality]):
            raise ProtocolError("unsupported", "output_modalities are those of the session")
        if self._responses.active and not self._has_output:
            raise ProtocolError(
                "conversation_already_has_active_response",
                f"wait for the end of '{self._responses.active}', or cancel it",
            )
        self._has_output = False
        await self.send(self._responses.create(options.metadata))
        return RespondFrame(options.instructions or "", self._utterances)

    def _cancel(self, message: CancelResponse) -> Frame:
        active = self._responses.active
        if not active or message.response_id not in (None, active):
            raise ProtocolError("response_cancel_not_active", "there is no such response now")
        if not self._session.answerer.is_interruptible:
            raise ProtocolError("unsupported", "this bot lets nobody interrupt it")
        self._is_cancelled = True
        return ClientInterruptionFrame()


class _SpokenWords:
    """Finds the new words in what RTVI tells of each sentence of the bot."""

    def __init__(self) -> None:
        self._segment: int | None = None
        self._said = ""

    def new_in(self, data: Message) -> str:
        """Return the words that have been spoken since the last time, with the space before."""
        progress = data.get("spoken_progress")
        if not progress:
            # Speech to speech, each piece comes when it is spoken.
            return str(data["text"]) if data.get("spoken") else ""
        said = progress["accumulated_text"]
        is_first = data["segment_id"] != self._segment
        before = "" if is_first else self._said
        words: str = said[len(before) :]
        if words:
            between = " " if is_first and self._segment is not None else ""
            self._segment, self._said = data["segment_id"], said
            return f"{between}{words}"
        return ""


def _event_id_in(data: str | bytes) -> str | None:
    """Return the name that a client has given to what it sent; None if it has none."""
    with suppress(ValidationError):
        return Event.model_validate_json(data).event_id
    return None
