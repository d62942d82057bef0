"""The protocols of JSON messages by which clients come over a WebSocket."""

from collections.abc import Callable, Mapping

from engines.audio import make_decoder, make_encoder
from processors.protocols.json_serializer import JsonSerializer, Send
from processors.protocols.openai_realtime import OpenAiRealtimeSerializer
from processors.protocols.openai_session import Answerer
from processors.protocols.realtime import RealtimeSerializer
from processors.protocols.sandwich import SandwichSerializer
from processors.protocols.sound import AudioFormat, Encoder, Microphone
from processors.protocols.voice_agent import VoiceAgentSerializer


def _voice_agent(send: Send, _: Answerer) -> JsonSerializer:
    microphone = Microphone(make_decoder)
    return VoiceAgentSerializer(
        send, microphone=microphone, make_voice=lambda rate_hz: make_encoder("mp3", rate_hz)
    )


def _sandwich(send: Send, _: Answerer) -> JsonSerializer:
    microphone = Microphone(make_decoder)
    return SandwichSerializer(
        send, microphone=microphone, make_voice=lambda rate_hz: make_encoder("pcm16", rate_hz)
    )


def _realtime(send: Send, _: Answerer) -> JsonSerializer:
    microphone = Microphone(make_decoder)
    return RealtimeSerializer(
        send, microphone=microphone, make_voice=lambda rate_hz: make_encoder("pcm16", rate_hz)
    )


class _Pcm24:
    """Writes PCM at 24 kHz, as an encoder."""

    def __init__(self, rate_hz: int) -> None:
        self._resampler = make_decoder("pcm16", rate_hz, 24_000)

    def feed(self, pcm: bytes) -> list[bytes]:
        return [self._resampler.feed(pcm)]

    def finish(self) -> list[bytes]:
        return [self._resampler.finish()]


def _openai_voice(encoding: AudioFormat, rate_hz: int) -> Encoder:
    return _Pcm24(rate_hz) if encoding == "pcm16" else make_encoder(encoding, rate_hz)


def _openai_realtime(send: Send, answerer: Answerer) -> JsonSerializer:
    return OpenAiRealtimeSerializer(
        send,
        answerer=answerer,
        make_microphone=lambda: Microphone(make_decoder),
        make_voice=_openai_voice,
    )


_MAKERS: Mapping[str, Callable[[Send, Answerer], JsonSerializer]] = {
    "voice-agent": _voice_agent,
    "sandwich": _sandwich,
    "realtime": _realtime,
    "openai-realtime": _openai_realtime,
}

PROTOCOLS = tuple(_MAKERS)
"""Their names. In all of them the user speaks first."""


def make_serializer(protocol: str | None, send: Send, answerer: Answerer) -> JsonSerializer | None:
    """Make what speaks a protocol in one call; None for what is none of them.

    Args:
        protocol: Its name.
        send: Sends a text message to the client.
        answerer: Who answers the client.
    """
    make = _MAKERS.get(protocol or "")
    return make(send, answerer) if make else None
