"""uvicorn's WebSockets, with bounds where it has none (0.54)."""

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, Frame

MAX_FRAGMENTS = 1024
"""Of a message. They may be empty, so that its length bounds nothing."""

LINGER_SECS = 2.0
"""How long a peer that broke the rules may take to hear which one."""


class BoundedWebSocket(WebSocketsSansIOProtocol):
    """A WebSocket whose peer cannot fill the memory before a message of it is complete."""

    def handle_ping(self) -> None:
        """Answer a ping, if the peer reads answers."""
        pong = b"".join(self.conn.data_to_send())
        if self.writable.is_set():
            self.transport.write(pong)

    def handle_cont(self, event: Frame) -> None:
        """Take one more fragment of a message."""
        if self.close_sent:
            return
        if len(self.frames) < MAX_FRAGMENTS:
            super().handle_cont(event)
        else:
            self.conn.fail(CloseCode.MESSAGE_TOO_BIG, "too many fragments")
            self.handle_parser_exception()

    def handle_parser_exception(self) -> None:
        """Tell the peer what it did wrong, and read what it still sends until it has heard it.

        A connection that is closed with something unread in it is reset (RFC 1122, 4.2.2.13),
        and a peer that is still sending never sees the reason.
        """
        if self.disconnected:
            return
        why = self.conn.close_sent
        assert why is not None
        self.close_sent = self.disconnected = True
        self.queue.put_nowait(
            {"type": "websocket.disconnect", "code": why.code, "reason": why.reason}
        )
        self.transport.write(b"".join(self.conn.data_to_send()))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        self.close_timer = self.loop.call_later(LINGER_SECS, self.transport.close)
