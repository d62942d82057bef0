"""Phone providers: how they tell of a call, their media streams, and their REST API.

All of it is written after their documentation: Twilio's Media Streams, the bidirectional streams of
Telnyx and Plivo, and Exotel's Voicebot applet.
"""

import asyncio
import base64
import hmac
import json
import time
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import numpy as np
import soxr
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from runner.peer import SAMPLE_RATE_HZ, Pcm

PHONE_RATE_HZ = 8000
PIECE_SECS = 0.02
CALLER, CALLED = "+15550142", "+15550199"
ACCOUNT, PASSWORD = "AC0123456789", "a-password-of-an-account"
TELNYX_KEY = Ed25519PrivateKey.from_private_bytes(b"a key of a stand-in for Telnyx..")
EXOTEL_SECRET = "a-secret-in-an-address"
PUBLIC_URL = "https://voice.example.com"

Message = Mapping[str, Any]
Form = Mapping[str, str]


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _mulaw_values() -> Pcm:
    """Return the sample that each byte stands for, by G.711."""
    inverted = ~np.arange(256) & 0xFF
    size = (((inverted & 0x0F) << 3) + 0x84 << ((inverted >> 4) & 7)) - 0x84
    return np.where(inverted & 0x80, -size, size).astype(np.int16)


MULAW = _mulaw_values()
_ORDER = np.argsort(MULAW, kind="stable")


def to_mulaw(pcm: Pcm) -> bytes:
    """Write 16-bit samples as the nearest bytes of mu-law."""
    ordered = MULAW[_ORDER].astype(int)
    above = np.clip(np.searchsorted(ordered, pcm), 1, 255)
    nearer = above - (pcm - ordered[above - 1] < ordered[above] - pcm)
    return _ORDER[nearer].astype(np.uint8).tobytes()


def from_mulaw(data: bytes) -> Pcm:
    return MULAW[np.frombuffer(data, np.uint8)]


@dataclass
class PhoneCall:
    """One call at a provider, as its wire protocol has it.

    Attributes:
        id: Names the call.
        stream: Names its stream.
        ended: Set when it is ended over the REST API.
        sequence: How many messages were sent.
    """

    id: str
    stream: str = "MZ0123456789"
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    sequence: int = 0

    name = ""

    @abstractmethod
    def asks(self) -> Form:
        """Return the parameters of the webhook."""

    @abstractmethod
    def signed(self, url: str, form: Form) -> Mapping[str, str]:
        """Return the headers of the webhook."""

    @abstractmethod
    def begin(self) -> Iterable[Message]:
        """Return what the stream begins with."""

    @abstractmethod
    def media(self, pcm: Pcm) -> Message:
        """Return a piece of the caller's voice, at 8 kHz."""

    @abstractmethod
    def key(self, digit: str) -> Message:
        """Return a key."""

    def stop(self) -> Iterable[Message]:
        """Return what the stream ends with."""
        return [{"event": "stop"}]

    @abstractmethod
    def played(self, message: Message) -> Pcm | None:
        """Return the voice in a message of the service; None where it is to be thrown away."""

    def _next(self) -> int:
        self.sequence += 1
        return self.sequence


class TwilioCall(PhoneCall):
    name = "twilio"

    def asks(self) -> Form:
        return {
            "AccountSid": ACCOUNT,
            "ApiVersion": "2010-04-01",
            "CallSid": self.id,
            "CallStatus": "ringing",
            "CallerName": "",
            "Direction": "inbound",
            "From": CALLER,
            "To": CALLED,
        }

    def signed(self, url: str, form: Form) -> Mapping[str, str]:
        text = url + "".join(name + form[name] for name in sorted(form))
        digest = hmac.digest(PASSWORD.encode(), text.encode(), "sha1")
        return {"X-Twilio-Signature": _base64(digest)}

    def begin(self) -> Iterable[Message]:
        yield {"event": "connected", "protocol": "Call", "version": "1.0.0"}
        start = {
            "accountSid": ACCOUNT,
            "streamSid": self.stream,
            "callSid": self.id,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": {},
        }
        yield self._event("start", start=start)

    def media(self, pcm: Pcm) -> Message:
        at = self.sequence * 20
        sound = {"track": "inbound", "chunk": str(self.sequence), "timestamp": str(at)}
        return self._event("media", media={**sound, "payload": _base64(to_mulaw(pcm))})

    def key(self, digit: str) -> Message:
        return self._event("dtmf", dtmf={"track": "inbound_track", "digit": digit})

    def mark(self, name: str) -> Message:
        return self._event("mark", mark={"name": name})

    def stop(self) -> Iterable[Message]:
        return [self._event("stop", stop={"accountSid": ACCOUNT, "callSid": self.id})]

    def played(self, message: Message) -> Pcm | None:
        assert message["streamSid"] == self.stream
        if message["event"] == "clear":
            return None
        assert message["event"] == "media"
        return from_mulaw(base64.b64decode(message["media"]["payload"]))

    def _event(self, event: str, **about: Any) -> Message:
        number = str(self._next())
        return {"event": event, "sequenceNumber": number, "streamSid": self.stream, **about}


class TelnyxCall(PhoneCall):
    name = "telnyx"

    def asks(self) -> Form:
        return {
            "AccountSid": ACCOUNT,
            "CallSid": self.id,
            "CallSidLegacy": self.id,
            "ConnectionId": "1568109700606592442",
            "From": CALLER,
            "To": CALLED,
        }

    def signed(self, url: str, form: Form) -> Mapping[str, str]:
        timestamp = str(round(time.time()))
        signature = TELNYX_KEY.sign(f"{timestamp}|{urlencode(form)}".encode())
        return {
            "telnyx-timestamp": timestamp,
            "telnyx-signature-ed25519": _base64(signature),
        }

    def begin(self) -> Iterable[Message]:
        yield {"event": "connected", "version": "1.0.0"}
        start = {
            "user_id": "3e6f995f-85f7-4705-9741-53b116d28237",
            "call_control_id": self.id,
            "client_state": "",
            "from": CALLER,
            "to": CALLED,
            "media_format": {"encoding": "PCMU", "sample_rate": 8000, "channels": 1},
        }
        yield self._event("start", start=start)

    def media(self, pcm: Pcm) -> Message:
        sound = {"track": "inbound", "chunk": str(self.sequence)}
        return self._event("media", media={**sound, "payload": _base64(to_mulaw(pcm))})

    def key(self, digit: str) -> Message:
        return self._event("dtmf", dtmf={"digit": digit})

    def played(self, message: Message) -> Pcm | None:
        if message["event"] == "clear":
            return None
        assert message["event"] == "media"
        return from_mulaw(base64.b64decode(message["media"]["payload"]))

    def _event(self, event: str, **about: Any) -> Message:
        number = str(self._next())
        return {"event": event, "sequence_number": number, "stream_id": self.stream, **about}


class PlivoCall(PhoneCall):
    name = "plivo"

    def asks(self) -> Form:
        return {
            "CallUUID": self.id,
            "From": CALLER,
            "To": CALLED,
            "CallStatus": "ringing",
            "Direction": "inbound",
            "Event": "StartApp",
        }

    def signed(self, url: str, form: Form) -> Mapping[str, str]:
        nonce = "12345678901234567890"
        address, _, query = url.partition("?")
        query += "." if query else ""
        text = f"{address}?{query}{''.join(name + form[name] for name in sorted(form))}.{nonce}"
        digest = hmac.digest(PASSWORD.encode(), text.encode(), "sha256")
        return {
            "X-Plivo-Signature-V3": _base64(digest),
            "X-Plivo-Signature-V3-Nonce": nonce,
        }

    def begin(self) -> Iterable[Message]:
        start = {
            "callId": self.id,
            "streamId": self.stream,
            "accountId": ACCOUNT,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000},
        }
        yield self._event("start", start=start, extra_headers="{}")

    def media(self, pcm: Pcm) -> Message:
        sound = {"track": "inbound", "chunk": self.sequence, "payload": _base64(to_mulaw(pcm))}
        return self._event("media", media=sound, streamId=self.stream)

    def key(self, digit: str) -> Message:
        return self._event("dtmf", dtmf={"digit": digit, "track": "inbound"}, streamId=self.stream)

    def stop(self) -> Iterable[Message]:
        return []

    def played(self, message: Message) -> Pcm | None:
        assert message["streamId"] == self.stream
        if message["event"] == "clearAudio":
            return None
        assert message["event"] == "playAudio"
        assert message["media"]["contentType"] == "audio/x-mulaw"
        assert message["media"]["sampleRate"] == PHONE_RATE_HZ
        return from_mulaw(base64.b64decode(message["media"]["payload"]))

    def _event(self, event: str, **about: Any) -> Message:
        return {"event": event, "sequenceNumber": self._next(), **about}


class ExotelCall(PhoneCall):
    name = "exotel"

    def asks(self) -> Form:
        return {
            "CallSid": self.id,
            "CallFrom": CALLER,
            "CallTo": CALLED,
            "Direction": "incoming",
            "secret": EXOTEL_SECRET,
        }

    def signed(self, url: str, form: Form) -> Mapping[str, str]:
        return {}

    def begin(self) -> Iterable[Message]:
        yield {"event": "connected"}
        start = {
            "stream_sid": self.stream,
            "call_sid": self.id,
            "account_sid": ACCOUNT,
            "from": CALLER,
            "to": CALLED,
            "custom_parameters": {},
            "media_format": {"encoding": "base64", "sample_rate": "8000", "bit_rate": "128kbps"},
        }
        yield self._event("start", start=start)

    def media(self, pcm: Pcm) -> Message:
        sound = {"chunk": self.sequence, "payload": _base64(pcm.astype("<i2").tobytes())}
        return self._event("media", media=sound)

    def key(self, digit: str) -> Message:
        return self._event("dtmf", dtmf={"digit": digit, "duration": "100"})

    def stop(self) -> Iterable[Message]:
        return [self._event("stop", stop={"call_sid": self.id, "reason": "callended"})]

    def played(self, message: Message) -> Pcm | None:
        assert message["stream_sid"] == self.stream
        if message["event"] == "clear":
            return None
        assert message["event"] == "media"
        data = base64.b64decode(message["media"]["payload"])
        assert len(data) >= 3200, "smaller pieces are played with gaps"
        assert len(data) % 320 == 0
        return np.frombuffer(data, "<i2")

    def _event(self, event: str, **about: Any) -> Message:
        number = self._next()
        return {"event": event, "sequence_number": number, "stream_sid": self.stream, **about}


CALLS: Mapping[str, type[PhoneCall]] = {
    call.name: call for call in (TwilioCall, TelnyxCall, PlivoCall, ExotelCall)
}


def telnyx_public_key() -> str:
    raw = serialization.Encoding.Raw, serialization.PublicFormat.Raw
    return _base64(TELNYX_KEY.public_key().public_bytes(*raw))


def at_phone_rate(pcm: Pcm) -> Pcm:
    """Return sound at 48 kHz as a phone has it."""
    resampled: Pcm = soxr.resample(pcm, SAMPLE_RATE_HZ, PHONE_RATE_HZ)
    return resampled


def recording(call: TwilioCall, *parts: Pcm | str | float) -> list[tuple[float, str]]:
    """Return a whole Media Stream of Twilio's, each message with the second at which it is sent.

    Args:
        call: Whose it is.
        *parts: What the caller does: says something (at 48 kHz), presses keys, or is silent for so
            many seconds. At the end they hang up.
    """
    messages = [(0.0, json.dumps(message)) for message in call.begin()]
    at = 0.0
    size = round(PHONE_RATE_HZ * PIECE_SECS)

    def speak(pcm: Pcm) -> None:
        nonlocal at
        for place in range(0, len(pcm), size):
            piece = np.pad(pcm[place : place + size], (0, max(0, place + size - len(pcm))))
            messages.append((at, json.dumps(call.media(piece))))
            at += PIECE_SECS

    for part in parts:
        match part:
            case str():
                for digit in part:
                    messages.append((at, json.dumps(call.key(digit))))
                    speak(np.zeros(round(0.3 * PHONE_RATE_HZ), np.int16))
                messages.append((at, json.dumps(call.mark("keys"))))
            case float():
                speak(np.zeros(round(part * PHONE_RATE_HZ), np.int16))
            case _:
                speak(at_phone_rate(part))
    return messages + [(at, json.dumps(message)) for message in call.stop()]
