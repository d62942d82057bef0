"""Small servers that speak ElevenLabs' WebSocket protocols and check what they are sent."""

import base64
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.standins.faults import WORD_SECS, HearingStandin, SocketStandin
from tests.standins.serving import serving


@dataclass
class ElevenLabsVoice(SocketStandin):
    """Text to speech with many contexts in one connection (`multi-stream-input`).

    Attributes:
        voice: The only voice it has.
        model: The only model.
        spoken: What it was given to say, by context in their order.
    """

    voice: str = "EXAVITQu4vr4xnSDxMaL"
    model: str = "eleven_flash_v2_5"
    spoken: dict[str, str] = field(default_factory=dict)

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        query = request.query
        if request.match_info["voice"] != self.voice or query["model_id"] != self.model:
            raise web.HTTPBadRequest
        rate_hz = int(query["output_format"].removeprefix("pcm_"))
        socket = await self.open(request, request.headers.get("xi-api-key"))
        said: set[str] = set()
        async for message in socket:
            order: dict[str, Any] = json.loads(message.data)
            context = order.get("context_id", "")
            if order.get("close_socket"):
                await socket.close()
            elif "text" in order and context:
                self.spoken[context] = self.spoken.get(context, "") + order["text"]
            elif order.get("flush"):
                said.add(context)
                await self._say(request, socket, context, rate_hz)
            elif order.get("close_context") and context in said:
                said.discard(context)
                if self.fault is None:
                    await socket.send_json({"isFinal": True, "contextId": context})
        return socket

    async def _say(
        self, request: web.Request, socket: web.WebSocketResponse, context: str, rate_hz: int
    ) -> None:
        words = self.spoken[context].split()
        async for word in self.spoiled(request, socket, words):
            chars = f"{word} " if word is not words[-1] else word
            char_ms = round(WORD_SECS * 1000 / len(chars))
            alignment = {
                "chars": list(chars),
                "charStartTimesMs": [number * char_ms for number in range(len(chars))],
                "charDurationsMs": [char_ms] * len(chars),
            }
            await socket.send_json(
                {
                    "audio": base64.b64encode(self.sound(word, rate_hz)).decode(),
                    "alignment": alignment,
                    "normalizedAlignment": alignment,
                    "contextId": context,
                }
            )


class ElevenLabsHearing(HearingStandin):
    """Realtime speech to text; the client says when a piece is over (`commit_strategy=manual`)."""

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        query = request.query
        rate_hz = int(query["audio_format"].removeprefix("pcm_"))
        if (query["model_id"], query["commit_strategy"]) != ("scribe_v2_realtime", "manual"):
            raise web.HTTPBadRequest
        socket = await self.open(request, request.headers.get("xi-api-key"))
        await socket.send_json({"message_type": "session_started", "session_id": "s"})
        loud_secs = 0.0
        async for message in socket:
            chunk: dict[str, Any] = json.loads(message.data)
            assert (chunk["message_type"], chunk["sample_rate"]) == ("input_audio_chunk", rate_hz)
            before = loud_secs
            pcm = base64.b64decode(chunk["audio_base_64"])
            loud_secs = self.hear(request, pcm, rate_hz, before)
            if self.is_partial_due(before, loud_secs):
                await _tell(socket, "partial_transcript", self.heard.split()[0])
            if chunk["commit"]:
                said = await self.transcript(socket, loud_secs)
                loud_secs = 0.0
                if said is not None:
                    await _tell(socket, "committed_transcript", said)
        return socket


async def _tell(socket: web.WebSocketResponse, message_type: str, text: str) -> None:
    await socket.send_json({"message_type": message_type, "text": text})


@asynccontextmanager
async def run_elevenlabs_hearing(
    standin: ElevenLabsHearing, tls: ssl.SSLContext
) -> AsyncIterator[ElevenLabsHearing]:
    """Serve it, encrypted, on a free port of the loopback address."""
    path = "/v1/speech-to-text/realtime"
    async with serving(web.get(path, standin.serve), tls=tls) as address:
        standin.url = address
        yield standin


@asynccontextmanager
async def run_elevenlabs_voice(standin: ElevenLabsVoice) -> AsyncIterator[ElevenLabsVoice]:
    """Serve it on a free port of the loopback address."""
    path = "/v1/text-to-speech/{voice}/multi-stream-input"
    async with serving(web.get(path, standin.serve)) as address:
        standin.url = f"ws://{address}"
        yield standin
