"""Calls over WebSockets: who may open one, and when its peer has stopped reading."""

import asyncio
import time
from collections.abc import Collection
from contextlib import suppress

from starlette.types import Message
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from runner.errors import WS_REFUSED, OriginNotAllowed

STALLED_SECS = 1.0
"""How long a message takes to leave only if the peer has stopped reading: the system's buffers
hold more than a minute of sound."""

CLOSE_SECS = 0.5
_NO_WORD = (1005, 1006)
MAX_REASON_BYTES = 123
"""Of a WebSocket's close frame, by RFC 6455."""


class SocketConnection(WebSocket):
    """A WebSocket as what a call comes over.

    A peer that does not read blocks whoever sends to it, while Pipecat's queues behind grow; so
    such a peer counts as one that is not connected.

    Args:
        websocket: One that has not been accepted yet.
        patience_secs: How long a message may take to leave before the socket is given up:
            a pipeline that waits for it cannot even be stopped.

    Attributes:
        is_lost: Whether the peer is gone without a word.
    """

    def __init__(self, websocket: WebSocket, patience_secs: float) -> None:
        super().__init__(websocket.scope, websocket.receive, websocket.send)
        self.is_lost = False
        self._patience_secs = patience_secs
        self._leaving = 0
        self._moved_at = 0.0

    async def receive(self) -> Message:
        """Receive, and note when the peer is gone without a word."""
        # A thousand messages may have come at once: others have their turn between them.
        await asyncio.sleep(0)
        message = await super().receive()
        if message["type"] == "websocket.disconnect":
            # uvicorn gives no reason where there was no close frame.
            self.is_lost = message.get("code") in _NO_WORD and "reason" not in message
        return message

    async def send(self, message: Message) -> None:
        """Send, and note how long that takes.

        Raises:
            TimeoutError: If it takes too long; nothing can be sent any more then.
        """
        if not self._leaving:
            self._moved_at = time.monotonic()
        self._leaving += 1
        try:
            async with asyncio.timeout(self._patience_secs):
                await super().send(message)
        except (TimeoutError, RuntimeError):
            # RuntimeError: uvicorn has closed it, because the peer did not answer its pings.
            self.is_lost = True
            self.application_state = WebSocketState.DISCONNECTED
            raise
        finally:
            self._leaving -= 1
            self._moved_at = time.monotonic()

    def is_connected(self) -> bool:
        """Say whether both sides are there, and the peer takes what is sent."""
        stalled = self._leaving and time.monotonic() - self._moved_at > STALLED_SECS
        return self._is_open and not stalled

    async def disconnect(self) -> None:
        """Close it, if nobody has."""
        await self.close()

    async def close(self, code: int = 1000, reason: str | None = None) -> None:
        """Close it, without waiting for a peer that reads nothing.

        Does nothing if it is closed, or broken.
        """
        if self._is_open:
            with suppress(WebSocketDisconnect, RuntimeError, TimeoutError):
                async with asyncio.timeout(CLOSE_SECS):
                    await super().close(code, reason)

    async def hand_over(self) -> None:
        """Close it, because the client of its session has come by another connection."""
        await self.refuse(WS_REFUSED, "this session goes on at another connection")

    async def refuse(self, code: int, reason: str) -> None:
        """Close it with a code and a reason that a browser hands to its page."""
        await self.close(code, reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore"))

    @property
    def _is_open(self) -> bool:
        return self.client_state is self.application_state is WebSocketState.CONNECTED


def check_origin(websocket: WebSocket, allowed: Collection[str]) -> None:
    """Refuse pages of other origins: browsers let any page open a WebSocket to anywhere.

    A client that sends no origin is not a page. Only the host is compared with the one that was
    asked for, because a proxy may have taken the TLS off.

    Args:
        websocket: The connection that is asked for.
        allowed: Other origins that are welcome; `*` for all.

    Raises:
        OriginNotAllowed: If it comes from a page that may not.
    """
    origin = websocket.headers.get("origin")
    if origin is None or "*" in allowed or origin in allowed:
        return
    host = websocket.headers.get("host", "").lower()
    # A sandboxed page and one of a file have the origin "null".
    if not host or origin.lower() not in (f"http://{host}", f"https://{host}"):
        raise OriginNotAllowed(f"pages of {origin} may not use this service")
