"""Keeps a port for those who watch the service: no client gets in there."""

from http import HTTPStatus

from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from runner.errors import error_body

WATCHED = ("/health", "/ready", "/metrics", "/voice/realtime/health")


class WorkerPort:
    """ASGI middleware that has only probes and metrics on one of the ports of the service.

    Args:
        app: The service.
        port: Which one.
    """

    def __init__(self, app: ASGIApp, port: int) -> None:
        self._app = app
        self._port = port

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        is_there = scope["type"] != "lifespan" and scope["server"][1] == self._port
        if not is_there or scope["path"] in WATCHED:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close"})
        else:
            refusal = error_body(
                "NOT_FOUND", f"here are only {', '.join(WATCHED)}", retryable=False
            )
            await JSONResponse(refusal, HTTPStatus.NOT_FOUND)(scope, receive, send)
