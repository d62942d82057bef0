"""The protocols of JSON messages by which clients come over a WebSocket."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from engines.audio import make_decoder, make_encoder
from processors.protocols.json_serializer import JsonSerializer, Send
from processors.protocols.realtime import RealtimeSerializer
from processors.protocols.sandwich import SandwichSerializer
from processors.protocols.sound import Microphone
from processors.protocols.voice_agent import VoiceAgentSerializer


@dataclass(frozen=True)
class JsonCall:
    """What a protocol is told of the call that it is spoken in.

    Attributes:
        send: Sends a text message to the client.
        session_id: Names the call.
        agent: Names the bot.
    """

    send: Send
    session_id: str
    agent: str


def _voice_agent(call: JsonCall) -> JsonSerializer:
    return VoiceAgentSerializer(
        call.send,
        microphone=Microphone(make_decoder),
        make_voice=partial(make_encoder, "mp3"),
        session_id=call.session_id,
        agent=call.agent,
    )


def _sandwich(call: JsonCall) -> JsonSerializer:
    return SandwichSerializer(
        call.send, microphone=Microphone(make_decoder), make_voice=partial(make_encoder, "pcm16")
    )


def _realtime(call: JsonCall) -> JsonSerializer:
    return RealtimeSerializer(
        call.send, microphone=Microphone(make_decoder), make_voice=partial(make_encoder, "pcm16")
    )


_MAKERS: Mapping[str, Callable[[JsonCall], JsonSerializer]] = {
    "voice-agent": _voice_agent,
    "sandwich": _sandwich,
    "realtime": _realtime,
}

PROTOCOLS = tuple(_MAKERS)
"""Their names. In all of them the user speaks first."""


def make_serializer(protocol: str, call: JsonCall) -> JsonSerializer:
    """Make what speaks one of `PROTOCOLS` in a call."""
    return _MAKERS[protocol](call)
