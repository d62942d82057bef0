"""What stand-ins with a WebSocket have in common: how they let in, fail and sound."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from aiohttp import web

from tests.speech import LOUD_RMS, rms
from tests.standins.openai_server import SENT_SECS, STATUS, TONE_HZ, Fault

WORD_SECS = 0.2
"""How long it takes to say a word."""

BEGUN_SECS = 0.5
"""After so much speech, some of it is understood."""


@dataclass
class SocketStandin:
    """A provider over a WebSocket.

    Attributes:
        key: The only key it takes.
        fault: What is wrong with it; None for nothing.
        url: Its address, once it runs.
        queries: The settings of each connection, as they came in its URL.
    """

    key: str
    fault: Fault | None = None
    url: str = ""
    queries: list[dict[str, str]] = field(default_factory=list)

    async def open(self, request: web.Request, key: str | None) -> web.WebSocketResponse:
        """Let a client in that has the key, if nothing is wrong with that."""
        if key != self.key:
            raise web.HTTPUnauthorized
        if self.fault in STATUS:
            raise STATUS[self.fault]
        self.queries.append(dict(request.query))
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        return socket

    def sound(self, word: str, rate_hz: int) -> bytes:
        """Return how a voice says a word, for `WORD_SECS`, as 16-bit PCM."""
        return tone(WORD_SECS, rate_hz)

    async def spoiled(
        self, request: web.Request, socket: web.WebSocketResponse, parts: Sequence[str]
    ) -> AsyncIterator[str]:
        """Yield the parts of an answer that are to be sent, and do what is wrong behind them."""
        match self.fault:
            case Fault.HANGS:
                return
            case Fault.GARBAGE:
                await socket.send_str("<html>")
                return
            case Fault.STALLS | Fault.CLOSES:
                parts = parts[: len(parts) // 2]
        for part in parts:
            yield part
        if self.fault is Fault.CLOSES:
            # They are to have left: what is still to be sent would be dropped.
            await asyncio.sleep(SENT_SECS)
            assert request.transport
            request.transport.abort()


@dataclass
class HearingStandin(SocketStandin):
    """A speech recognition. It goes by loudness alone: what is loud is `heard`.

    Attributes:
        heard: What it transcribes, whatever is said.
        garbage: What it sends in the place of that, if that is its fault.
        heard_secs: How much loud sound it has transcribed, each time.
    """

    heard: str = ""
    garbage: str = "<html>"
    heard_secs: list[float] = field(default_factory=list)

    def hear(self, request: web.Request, pcm: bytes, rate_hz: int, before_secs: float) -> float:
        """Take sound; return how much of it was loud since the last transcript, in seconds."""
        samples = np.frombuffer(pcm, np.int16)
        loud_secs = before_secs
        if len(samples) and rms(samples) > LOUD_RMS:
            loud_secs += len(samples) / rate_hz
        if self.fault is Fault.CLOSES and loud_secs > BEGUN_SECS:
            assert request.transport
            request.transport.abort()
        return loud_secs

    def is_partial_due(self, before_secs: float, loud_secs: float) -> bool:
        """Tell whether some words are understood, of what is not over."""
        is_silent = self.fault in (Fault.HANGS, Fault.GARBAGE, Fault.CLOSES)
        return before_secs <= BEGUN_SECS < loud_secs and not is_silent

    async def transcript(self, socket: web.WebSocketResponse, loud_secs: float) -> str | None:
        """Return what was said, now that it is over; None if nothing is to be sent."""
        match self.fault:
            case Fault.HANGS | Fault.STALLS | Fault.CLOSES:
                return None
            case Fault.GARBAGE:
                await socket.send_str(self.garbage)
                return None
        if not loud_secs:
            return ""
        self.heard_secs.append(loud_secs)
        return self.heard


def tone(secs: float, rate_hz: int) -> bytes:
    """Return a tone as 16-bit PCM."""
    time = np.arange(round(secs * rate_hz)) / rate_hz
    return (8000 * np.sin(2 * np.pi * TONE_HZ * time)).astype(np.int16).tobytes()
