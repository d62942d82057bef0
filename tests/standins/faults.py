"""What stand-ins with a WebSocket have in common: how they let in, fail and sound."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from aiohttp import web

from tests.standins.openai_server import SENT_SECS, STATUS, TONE_HZ, Fault

WORD_SECS = 0.2
"""How long it takes to say a word."""


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


def tone(secs: float, rate_hz: int) -> bytes:
    """Return a tone as 16-bit PCM."""
    time = np.arange(round(secs * rate_hz)) / rate_hz
    return (8000 * np.sin(2 * np.pi * TONE_HZ * time)).astype(np.int16).tobytes()
