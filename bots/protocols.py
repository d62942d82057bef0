"""The protocols of JSON messages by which clients come over a WebSocket."""

from collections.abc import Callable, Mapping

from engines.audio import make_decoder, make_encoder
from processors.protocols.json_serializer import JsonSerializer, Send
from processors.protocols.realtime import RealtimeSerializer
from processors.protocols.sandwich import SandwichSerializer
from processors.protocols.sound import Microphone
from processors.protocols.voice_agent import VoiceAgentSerializer


def _voice_agent(send: Send) -> JsonSerializer:
    microphone = Microphone(make_decoder)
    return VoiceAgentSerializer(
        send, microphone=microphone, make_voice=lambda rate_hz: make_encoder("mp3", rate_hz)
    )


def _sandwich(send: Send) -> JsonSerializer:
    microphone = Microphone(make_decoder)
    return SandwichSerializer(
        send, microphone=microphone, make_voice=lambda rate_hz: make_encoder("pcm16", rate_hz)
    )


def _realtime(send: Send) -> JsonSerializer:
    microphone = Microphone(make_decoder)
    return RealtimeSerializer(
        send, microphone=microphone, make_voice=lambda rate_hz: make_encoder("pcm16", rate_hz)
    )


_MAKERS: Mapping[str, Callable[[Send], JsonSerializer]] = {
    "voice-agent": _voice_agent,
    "sandwich": _sandwich,
    "realtime": _realtime,
}

PROTOCOLS = tuple(_MAKERS)
"""Their names. In all of them the user speaks first."""


def make_serializer(protocol: str | None, send: Send) -> JsonSerializer | None:
    """Make what speaks a protocol in one call; None for what is none of them.

    Args:
        protocol: Its name.
        send: Sends a text message to the client.
    """
    make = _MAKERS.get(protocol or "")
    return make(send) if make else None
