"""A small server that speaks Cartesia's protocol for voices over a WebSocket."""

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.standins.faults import WORD_SECS, SocketStandin
from tests.standins.serving import serving


@dataclass
class CartesiaVoice(SocketStandin):
    """Text comes in by contexts, and one that is not to be continued is over when it is said.

    Attributes:
        voice: The only voice it has.
        spoken: What it was given to say, by context in their order.
    """

    voice: str = "71a7ad14-091c-4e8e-a314-022ece01c121"
    spoken: dict[str, str] = field(default_factory=dict)

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        if "Cartesia-Version" not in request.headers:
            raise web.HTTPBadRequest
        socket = await self.open(request, request.headers.get("X-API-Key"))
        async for message in socket:
            order: dict[str, Any] = json.loads(message.data)
            context = order["context_id"]
            if order.get("cancel"):
                continue
            sound = order["output_format"]
            assert (sound["container"], sound["encoding"]) == ("raw", "pcm_s16le")
            if order["voice"] != {"mode": "id", "id": self.voice} or not order["model_id"]:
                await socket.send_json(
                    {"type": "error", "context_id": context, "error": "no such voice"}
                )
                continue
            self.spoken[context] = self.spoken.get(context, "") + order["transcript"]
            if not order["continue"]:
                await self._say(request, socket, context, sound["sample_rate"])
        return socket

    async def _say(
        self, request: web.Request, socket: web.WebSocketResponse, context: str, rate_hz: int
    ) -> None:
        words = self.spoken[context].split()
        begins_at = 0.0
        about = {"context_id": context, "status_code": 206, "done": False}
        async for word in self.spoiled(request, socket, words):
            times = {"words": [word], "start": [begins_at], "end": [begins_at + WORD_SECS]}
            begins_at += WORD_SECS
            data = base64.b64encode(self.sound(word, rate_hz)).decode()
            await socket.send_json({"type": "timestamps", "word_timestamps": times, **about})
            await socket.send_json({"type": "chunk", "data": data, "step_time": 1.0, **about})
        if self.fault is None:
            await socket.send_json(
                {"type": "done", "context_id": context, "status_code": 200, "done": True}
            )


@asynccontextmanager
async def run_cartesia_voice(standin: CartesiaVoice) -> AsyncIterator[CartesiaVoice]:
    """Serve it on a free port of the loopback address."""
    async with serving(web.get("/tts/websocket", standin.serve)) as address:
        standin.url = f"ws://{address}/tts/websocket"
        yield standin
