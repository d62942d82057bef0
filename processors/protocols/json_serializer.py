"""What the protocols of JSON messages over a WebSocket have in common.

Every bot tells its client what happens by RTVI, whoever listens. A protocol says the same in its
own messages, so that no bot knows which one is in use.
"""

import asyncio
import json
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, ClassVar, TypeAlias

from pipecat.frames.frames import (
    Frame,
    InputTransportMessageFrame,
    InterruptionFrame,
    OutputAudioRawFrame,
    OutputTransportMessageFrame,
    OutputTransportMessageUrgentFrame,
)
from pipecat.processors.frame_processor import FrameProcessorSetup
from pipecat.processors.frameworks.rtvi.models import MESSAGE_LABEL
from pipecat.serializers.base_serializer import FrameSerializer
from pydantic import TypeAdapter, ValidationError

Message: TypeAlias = Mapping[str, Any]
Send: TypeAlias = Callable[[str], Awaitable[None]]


class ProtocolError(Exception):
    """A client has sent what cannot be taken; the call goes on.

    Args:
        code: What is wrong, for programs.
        message: The same in words, and what to send instead.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class JsonSerializer(FrameSerializer):
    """Translates between the frames of a pipeline and the JSON messages of a protocol.

    A frame may be told in several messages, or in none, so they are sent from here, one after the
    other. What a client sends wrong is answered with an error message: an exception would end
    Pipecat's reading of the socket without a word.

    Args:
        send: Sends a text message to the client.

    Attributes:
        client_messages: What a client may send, a union of models by `type`.
        in_rate_hz: The rate of the pipeline's microphone.
        out_rate_hz: The rate of its loudspeaker. Both are 0 before there is a pipeline.
    """

    client_messages: ClassVar[TypeAdapter[Any]]

    def __init__(self, send: Send) -> None:
        super().__init__()
        self.in_rate_hz = 0
        self.out_rate_hz = 0
        self._send = send
        self._sending = asyncio.Lock()

    async def setup(self, setup: FrameProcessorSetup) -> None:  # type: ignore[override]
        """Learn the sample rates of the pipeline."""
        await super().setup(setup)
        self.in_rate_hz = setup.audio_in_sample_rate
        self.out_rate_hz = setup.audio_out_sample_rate

    async def serialize(self, frame: Frame) -> None:
        """Send what a frame is told in."""
        await self.send(self._told_in(frame))

    async def deserialize(self, data: str | bytes) -> Frame | None:
        """Return what a client sent; answer it with an error message if it cannot be taken."""
        try:
            return await self.take(self._read(data))
        except ProtocolError as error:
            await self.send([self.error(error)])
            return None

    async def send(self, messages: Iterable[Message]) -> None:
        """Send messages, with none of others between them."""
        async with self._sending:
            for message in messages:
                await self._send(json.dumps(message))

    async def begin(self) -> None:
        """Send what a call begins with, as soon as there is a bot."""
        await self.send(self.hello())

    async def until_it_may_play(self) -> None:
        """Wait, not for long, for what is to be told before the bot's voice is heard."""

    def hello(self) -> Iterable[Message]:
        """Return the messages that a call begins with."""
        return ()

    @abstractmethod
    def tell(self, kind: str, data: Message) -> Iterable[Message]:
        """Return the messages that tell the client what RTVI tells.

        Args:
            kind: The type of RTVI's message; `server-message` for those of Parlante.
            data: What it says.
        """

    @abstractmethod
    def play(self, pcm: bytes) -> Iterable[Message]:
        """Return the messages with a piece of the bot's voice: 16-bit mono at `out_rate_hz`."""

    def interrupt(self) -> Iterable[Message]:
        """Return the messages that tell of an interruption, from which on old sound is stale."""
        return ()

    @abstractmethod
    def error(self, error: ProtocolError) -> Message:
        """Return the message that tells the client what it has sent wrong."""

    @abstractmethod
    async def take(self, message: Any) -> Frame | None:
        """Return the frame for what a client sent, one of `client_messages`.

        Raises:
            ProtocolError: If what it holds cannot be taken.
        """

    def _told_in(self, frame: Frame) -> Iterable[Message]:
        match frame:
            case OutputAudioRawFrame(audio=pcm) if pcm:
                return self.play(pcm)
            case InterruptionFrame():
                return self.interrupt()
            case OutputTransportMessageFrame() | OutputTransportMessageUrgentFrame():
                message = frame.message
                if message.get("label") == MESSAGE_LABEL:
                    return self.tell(message["type"], message.get("data") or {})
        return ()

    def _read(self, data: str | bytes) -> Any:
        if isinstance(data, bytes):
            raise ProtocolError("INVALID_MESSAGE", "messages are JSON in text frames, not binary")
        try:
            return self.client_messages.validate_json(data)
        except ValidationError as error:
            raise _protocol_error(error) from error


def _protocol_error(error: ValidationError) -> ProtocolError:
    """Say what is wrong with a message, without repeating what may be long."""
    first = error.errors(include_url=False, include_input=False)[0]
    if first["type"] == "union_tag_invalid":
        return ProtocolError("UNKNOWN_TYPE", f"type: one of {first['ctx']['expected_tags']}")
    where = ".".join(str(part) for part in first["loc"])
    return ProtocolError("INVALID_MESSAGE", f"{where}: {first['msg']}" if where else first["msg"])


def hang_up() -> InputTransportMessageFrame:
    """Return what RTVI has for a client that ends the call."""
    message = {"label": MESSAGE_LABEL, "type": "disconnect-bot", "id": "hang-up", "data": None}
    return InputTransportMessageFrame(message=message)
