"""The protocols of JSON messages by which clients come over a WebSocket."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from engines.audio.decoding import FileDecoder, RawDecoder, RawEncoding
from engines.audio.encoding import Mp3Encoder, PcmEncoder, TelephoneEncoder
from processors.protocols.json_serializer import JsonSerializer, Send
from processors.protocols.openai_realtime import PCM_RATE_HZ as OPENAI_RATE_HZ
from processors.protocols.openai_realtime import OpenAiRealtimeSerializer
from processors.protocols.openai_session import Answerer
from processors.protocols.realtime import RealtimeSerializer
from processors.protocols.sandwich import SandwichSerializer
from processors.protocols.sound import Decoder, Encoder, Microphone, Sound
from processors.protocols.voice_agent import VoiceAgentSerializer

PCM_RATE_HZ = 16_000
"""Of the bot's voice where it is sent as it is."""


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


def _decoder(sound: Sound, rate_hz: int) -> Decoder:
    if sound.format == "auto":
        return FileDecoder(rate_hz)
    return RawDecoder(sound.format, sound.sample_rate, rate_hz)


def _pcm_encoder(rate_hz: int) -> PcmEncoder:
    return PcmEncoder(rate_hz, PCM_RATE_HZ)


def _voice_agent(call: JsonCall) -> JsonSerializer:
    return VoiceAgentSerializer(
        call.send,
        microphone=Microphone(_decoder),
        make_voice=Mp3Encoder,
        session_id=call.session_id,
        agent=call.agent,
    )


def _sandwich(call: JsonCall) -> JsonSerializer:
    return SandwichSerializer(call.send, microphone=Microphone(_decoder), make_voice=_pcm_encoder)


def _realtime(call: JsonCall) -> JsonSerializer:
    return RealtimeSerializer(call.send, microphone=Microphone(_decoder), make_voice=_pcm_encoder)


_MAKERS: Mapping[str, Callable[[JsonCall], JsonSerializer]] = {
    "voice-agent": _voice_agent,
    "sandwich": _sandwich,
    "realtime": _realtime,
}

PROTOCOLS = tuple(_MAKERS)
"""Their names, but for that of OpenAI's. In all of them the user speaks first."""

OPENAI_REALTIME = "openai-realtime"


def make_serializer(protocol: str, call: JsonCall) -> JsonSerializer:
    """Make what speaks one of `PROTOCOLS` in a call."""
    return _MAKERS[protocol](call)


def make_openai_serializer(send: Send, answerer: Answerer) -> JsonSerializer:
    """Make what speaks OpenAI's Realtime protocol in a call.

    Args:
        send: Sends a text message to the client.
        answerer: Who answers the client.
    """
    return OpenAiRealtimeSerializer(
        send,
        answerer=answerer,
        microphone=Microphone(_decoder),
        make_voice=_openai_encoder,
    )


def _openai_encoder(encoding: RawEncoding, rate_hz: int) -> Encoder:
    if encoding == "pcm16":
        return PcmEncoder(rate_hz, OPENAI_RATE_HZ)
    return TelephoneEncoder(encoding, rate_hz)
