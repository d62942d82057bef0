"""A small server that speaks the protocol of Deepgram's Flux and checks what it is sent.

Audio comes in over a WebSocket as 16-bit PCM. It goes by its loudness alone: after a silence it
guesses that the turn has ended, and after a longer one it says so.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from aiohttp import WSMsgType, web

from tests.speech import LOUD_RMS, rms
from tests.standins.serving import serving

VOICE_SECS = 0.1
"""So long a sound is speech."""

UPDATE_SECS = 0.25


@dataclass
class FluxStandin:
    """What it hears, and what it was sent.

    Attributes:
        key: The only key it takes.
        heard: What it transcribes, whatever is said.
        guess_secs: Silence after which it guesses that the turn has ended.
        end_secs: Silence after which it has.
        queries: The settings of each connection, as they came in its URL.
        events: What it has told, in order.
        ended_at: When turns ended, by the clock of its event loop.
        url: Its address, once it runs.
    """

    key: str
    heard: str
    guess_secs: float
    end_secs: float
    queries: list[dict[str, str]] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    ended_at: list[float] = field(default_factory=list)
    url: str = ""

    async def listen(self, request: web.Request) -> web.WebSocketResponse:
        if request.headers.get("Authorization") != f"Token {self.key}":
            raise web.HTTPUnauthorized
        query = dict(request.query)
        if query["encoding"] != "linear16":
            raise web.HTTPBadRequest
        self.queries.append(query)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json({"type": "Connected", "request_id": "r", "sequence_id": 0})
        turn = _Turn(self, socket)
        async for message in socket:
            if message.type is WSMsgType.BINARY:
                pcm = np.frombuffer(message.data, np.int16)
                await turn.hear(rms(pcm) > LOUD_RMS, len(pcm) / int(query["sample_rate"]))
            elif json.loads(message.data)["type"] == "CloseStream":
                await socket.close()
        return socket


class _Turn:
    """The turn that is being heard in one connection, if there is one."""

    def __init__(self, standin: FluxStandin, socket: web.WebSocketResponse) -> None:
        self._standin = standin
        self._socket = socket
        self._loud_secs = 0.0
        self._silent_secs = 0.0
        self._untold_secs = 0.0
        self._open = False
        self._guessed = False

    async def hear(self, loud: bool, secs: float) -> None:
        self._silent_secs = 0.0 if loud else self._silent_secs + secs
        self._loud_secs = self._loud_secs + secs if loud else 0.0
        self._untold_secs += secs
        spoken = self._loud_secs >= VOICE_SECS
        if spoken and not self._open:
            self._open = True
            await self._tell("StartOfTurn", self._standin.heard.split()[0])
        elif spoken and self._guessed:
            self._guessed = False
            await self._tell("TurnResumed")
        elif self._open and self._silent_secs >= self._standin.end_secs:
            self._open = self._guessed = False
            self._standin.ended_at.append(asyncio.get_running_loop().time())
            await self._tell("EndOfTurn", self._standin.heard)
        elif self._open and not self._guessed and self._silent_secs >= self._standin.guess_secs:
            self._guessed = True
            if "eager_eot_threshold" in self._standin.queries[-1]:
                await self._tell("EagerEndOfTurn", self._standin.heard.lower().strip("?."))
        elif self._open and not self._guessed and self._untold_secs >= UPDATE_SECS:
            self._untold_secs = 0.0
            await self._tell("Update", self._standin.heard.split()[0])

    async def _tell(self, event: str, transcript: str = "") -> None:
        self._standin.events.append(event)
        words = [{"word": word, "confidence": 0.9} for word in transcript.split()]
        message: dict[str, Any] = {
            "type": "TurnInfo",
            "request_id": "r",
            "sequence_id": len(self._standin.events),
            "event": event,
            "turn_index": len(self._standin.ended_at),
            "transcript": transcript,
            "words": words,
        }
        await self._socket.send_json(message)


@asynccontextmanager
async def run_flux_standin(standin: FluxStandin) -> AsyncIterator[FluxStandin]:
    """Serve it on a free port of the loopback address."""
    async with serving(web.get("/v2/listen", standin.listen)) as address:
        standin.url = f"ws://{address}/v2/listen"
        yield standin
