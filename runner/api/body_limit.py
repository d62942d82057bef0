"""Refuses request bodies that are too large, before anything reads them."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runner.errors import BodyTooLarge


class BodyLimit:
    """ASGI middleware that ends a request whose body is above a limit.

    Args:
        app: What it protects.
        max_bytes: Largest body.
    """

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection.

        Raises:
            BodyTooLarge: In whatever reads the body, where the handler of errors catches it.
        """
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        received = 0

        async def limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._max_bytes:
                raise BodyTooLarge(f"a request may have at most {self._max_bytes} bytes")
            return message

        await self._app(scope, limited, send)
