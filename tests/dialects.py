"""The serializers of all protocols, to be spoken to badly: by property tests and by fuzzing."""

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    InputDTMFFrame,
    InputTransportMessageFrame,
    OutputTransportMessageUrgentFrame,
)
from pipecat.frames.protobufs import frames_pb2
from pipecat.processors.frame_processor import FrameProcessorSetup
from pipecat.serializers.base_serializer import FrameSerializer
from pipecat.utils.asyncio.task_manager import TaskManager

from bots.config import PhoneProvider, TelephonyConfig
from bots.protocols import (
    OPENAI_REALTIME,
    JsonCall,
    make_openai_serializer,
    make_serializer,
)
from bots.telephony import phone_params, read_start
from processors.client_control import (
    ClientInterruptionFrame,
    ClientMessageFrame,
    ClientSettingsFrame,
    RespondFrame,
    ToolOutputFrame,
)
from processors.protocols.json_serializer import JsonSerializer, Send
from processors.protocols.openai_session import Answerer
from processors.rtvi_serializer import RTVISerializer
from processors.voice_state import State
from runner.clients.rtvi import READY, rtvi_message
from runner.clients.rtvi_socket import audio
from tests.asyncapi import check
from tests.media import KINDS, file_of, sound
from tests.openai_events import check as check_event
from tests.standins.phone import CALLS, PASSWORD, PHONE_RATE_HZ, telnyx_public_key

IN_HZ, OUT_HZ = 16_000, 24_000
UTTERANCE_SECS = 0.2
MAX_ANSWER = 500
"""Characters: what is wrong is told, and what was sent is not sent back."""

TAKEN_SECS = 5.0
"""A message that takes longer to be taken is one that hangs."""

NO_JSON = re.compile(r"[:\[ ,](NaN|-?Infinity)")

Sent = str | bytes


@dataclass(frozen=True)
class Dialect:
    """A protocol, as those speak it who make mistakes.

    Attributes:
        make: Makes its serializer, of what sends a text message.
        utterance: What a client sends that says something, from its beginning to its end.
        end: What ends whatever was begun badly; nothing where nothing does.
        check: Raises if this is no message of the service.
        beginning: What comes before the serializer is there.
        others: Other messages of a client.
    """

    make: Callable[[Send], FrameSerializer]
    utterance: tuple[Sent, ...]
    end: tuple[Sent, ...]
    check: Callable[[Sent], None]
    beginning: tuple[Sent, ...] = ()
    others: tuple[Sent, ...] = ()


def _json(messages: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    return tuple(json.dumps(message) for message in messages)


def _pieces(data: bytes, count: int = 5) -> list[str]:
    size = len(data) // count // 2 * 2 + 2
    return [base64.b64encode(data[at : at + size]).decode() for at in range(0, len(data), size)]


def _json_dialect(
    protocol: str,
    utterance: Iterable[Mapping[str, Any]],
    end: Iterable[Mapping[str, Any]],
    *others: Mapping[str, Any],
) -> Dialect:
    return Dialect(
        lambda send: make_serializer(protocol, JsonCall(send, "s-1", "grace")),
        _json(utterance),
        _json(end),
        lambda text: check(protocol, json.loads(text)),
        others=_json(others),
    )


def _rtvi(kind: str, data: Any) -> bytes:
    message = frames_pb2.MessageFrame(data=json.dumps(rtvi_message(kind, data)))
    return bytes(frames_pb2.Frame(message=message).SerializeToString())


def _phone_dialect(provider: str) -> Dialect:
    call = CALLS[provider]("CA1")
    beginning = _json(call.begin())
    name = cast(PhoneProvider, provider)
    [start] = [it for text in beginning if (it := read_start(name, text))]
    config = TelephonyConfig(**CONFIG)  # type: ignore[arg-type]
    voice = np.array_split(sound(PHONE_RATE_HZ, UTTERANCE_SECS), 5)
    return Dialect(
        lambda _: cast(FrameSerializer, phone_params(name, start, config)["serializer"]),
        _json([call.media(piece) for piece in voice]),
        (),
        json.loads,
        beginning,
        _json([call.key("1"), *call.stop()]),
    )


CONFIG = {
    "twilio": {"account_sid": "AC1", "auth_token": PASSWORD},
    "telnyx": {"api_key": "KEY", "public_key": telnyx_public_key()},
    "plivo": {"auth_id": "AC1", "auth_token": PASSWORD},
}
PCM = _pieces(sound(IN_HZ, UTTERANCE_SECS).tobytes())
FILE = _pieces(file_of(KINDS["webm"], sound(48_000, UTTERANCE_SECS)))
CHUNKS = [{"type": "audio_chunk", "data": data} for data in FILE]
RELEASE = {"type": "audio_chunk", "is_final": True}
RAW = {**CHUNKS[0], "data": PCM[0], "format": "pcm16", "sample_rate": 8000}
AUDIO = [{"type": "audio", "data": data} for data in PCM]
TELEPHONE = {**AUDIO[0], "format": "mulaw", "sample_rate": 8000}
END = {"type": "end"}

ANSWERER = Answerer("s-1", "grace", "joe", str, True, True, True)
PCM_24 = _pieces(sound(24_000, UTTERANCE_SECS).tobytes())
APPENDED = [{"type": "input_audio_buffer.append", "audio": data} for data in PCM_24]
AS_AT_FIRST = {
    "type": "session.update",
    "session": {
        "type": "realtime",
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 24000},
                "turn_detection": {"type": "server_vad"},
            }
        },
    },
}
TOOL = {"type": "function", "name": "look", "parameters": {"type": "object"}}
WORDS = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello."}]}
OUTPUT = {"type": "function_call_output", "call_id": "1", "output": "{}"}
BY_HAND = {"input": {"format": {"type": "audio/pcmu"}, "turn_detection": None}}
EVENTS = [
    {"type": "session.update", "event_id": "1", "session": {"audio": BY_HAND, "tools": [TOOL]}},
    {"type": "input_audio_buffer.commit"},
    {"type": "conversation.item.create", "item": WORDS},
    {"type": "conversation.item.create", "item": OUTPUT},
    {"type": "conversation.item.truncate", "item_id": "1", "content_index": 0, "audio_end_ms": 1},
    {"type": "response.create", "response": {"instructions": "Be brief.", "metadata": {"a": "b"}}},
    {"type": "response.cancel"},
]

DIALECTS: Mapping[str, Dialect] = {
    "voice-agent": _json_dialect(
        "voice-agent", [*CHUNKS, RELEASE], [RELEASE], {"type": "end_session"}, RAW
    ),
    "sandwich": _json_dialect("sandwich", [*AUDIO, END], [END], TELEPHONE),
    "realtime": _json_dialect("realtime", AUDIO, [], {"type": "stop"}, TELEPHONE),
    "websocket": Dialect(
        lambda _: RTVISerializer(),
        tuple(audio(base64.b64decode(piece)) for piece in PCM),
        (),
        lambda data: json.loads(frames_pb2.Frame.FromString(data).message.data),
        others=(_rtvi("client-ready", READY), _rtvi("send-text", {"content": "Hello."})),
    ),
    OPENAI_REALTIME: Dialect(
        lambda send: make_openai_serializer(send, ANSWERER),
        _json(APPENDED),
        _json([AS_AT_FIRST, {"type": "input_audio_buffer.clear"}]),
        lambda text: check_event(json.loads(text)),
        others=_json(EVENTS),
    ),
    **{provider: _phone_dialect(provider) for provider in CALLS},
}


class Talk:
    """A client that sends anything to a serializer, which has to take it.

    Args:
        dialect: Which one.

    Attributes:
        heard: All sound that came out.
    """

    def __init__(self, dialect: Dialect) -> None:
        self.heard = bytearray()
        self._dialect = dialect
        self._serializer = dialect.make(self._answer)

    async def begin(self) -> None:
        setup = SimpleNamespace(
            audio_in_sample_rate=IN_HZ,
            audio_out_sample_rate=OUT_HZ,
            task_manager=TaskManager(),
        )
        await self._serializer.setup(cast(FrameProcessorSetup, setup))
        if isinstance(self._serializer, JsonSerializer):
            await self._serializer.begin()
            state = {"type": "voice-state", "state": State.LISTENING}
            await self._serializer.send(self._serializer.tell("server-message", state))

    async def send(self, *messages: Sent) -> None:
        """Send messages, and see that each becomes something that a pipeline can take."""
        for message in messages:
            async with asyncio.timeout(TAKEN_SECS):
                frame = await self._serializer.deserialize(message)
            await self._check(frame)

    async def end(self) -> None:
        """End the call."""
        await self._serializer.cleanup()

    async def _answer(self, text: str) -> None:
        assert json.loads(text)["type"] != "error" or len(text) <= MAX_ANSWER, text[:MAX_ANSWER]
        assert not NO_JSON.search(text), "Python reads that, and nobody else"
        self._dialect.check(text)

    async def _check(self, frame: Frame | None) -> None:
        match frame:
            case None | InputDTMFFrame() | ClientMessageFrame() | RespondFrame():
                pass
            case ClientSettingsFrame() | ClientInterruptionFrame() | ToolOutputFrame():
                pass
            case InputAudioRawFrame():
                assert (frame.sample_rate, frame.num_channels) == (IN_HZ, 1)
                assert frame.audio
                assert len(frame.audio) % 2 == 0
                self.heard += frame.audio
            case InputTransportMessageFrame():
                assert isinstance(frame.message, dict)
                json.dumps(frame.message).encode()
            case OutputTransportMessageUrgentFrame():
                answer = await self._serializer.serialize(frame)
                assert answer
                assert len(answer) <= MAX_ANSWER
                self._dialect.check(answer)
            case _:
                raise AssertionError(f"no client may send a {frame}")


@asynccontextmanager
async def talking(dialect: Dialect) -> AsyncIterator[Talk]:
    """Be a client in a call, to its end."""
    talk = Talk(dialect)
    await talk.begin()
    try:
        yield talk
    finally:
        await talk.end()


async def send_badly_then_well(dialect: Dialect, bad: Iterable[Sent]) -> float:
    """Send what no client should, then something good; return how much of that is heard.

    As a share: 1 if it is heard as it was said.
    """
    async with talking(dialect) as talk:
        await talk.send(*bad)
        await talk.send(*dialect.end)
        talk.heard.clear()
        await talk.send(*dialect.utterance)
        pcm = np.frombuffer(bytes(talk.heard), np.int16).astype(float)
    said = sound(IN_HZ, UTTERANCE_SECS).astype(float)
    size = min(len(pcm), len(said))
    # Wherever it begins: codecs hold some back.
    likeness = np.fft.irfft(
        np.fft.rfft(pcm[:size], 2 * size) * np.conj(np.fft.rfft(said[:size], 2 * size))
    ).max()
    return float(likeness / np.sum(said**2))
