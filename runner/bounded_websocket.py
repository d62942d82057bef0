"""uvicorn's WebSockets, with bounds where it has none (0.54)."""

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, Frame

MAX_FRAGMENTS = 1024
"""Of a message. They may be empty, so that its length bounds nothing."""


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
