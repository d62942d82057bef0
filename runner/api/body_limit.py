"""Refuses request bodies that are too large, before anything reads them."""

from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runner.errors import BodyTooLarge, error_body


class BodyLimit:
    """ASGI middleware that answers a request whose body is above a limit by itself.

    It reads the body first: FastAPI would take an error on the way for broken JSON.

    Args:
        app: What it protects.
        max_bytes: Largest body.
    """

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = b""
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > self._max_bytes:
                refusal = error_body(
                    BodyTooLarge.code,
                    f"a request may have at most {self._max_bytes} bytes",
                    retryable=False,
                )
                await JSONResponse(refusal, BodyTooLarge.http_status)(scope, receive, send)
                return
        whole: list[Message] = [{"type": "http.request", "body": body}]

        async def replay() -> Message:
            return whole.pop() if whole else await receive()

        await self._app(scope, replay, send)
