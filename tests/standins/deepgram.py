"""A small server that speaks Deepgram's protocol for speech (`listen`, version 1)."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import WSMsgType, web

from tests.standins.faults import HearingStandin
from tests.standins.serving import serving


class DeepgramStandin(HearingStandin):
    """Audio comes in as 16-bit PCM; `Finalize` asks for what is left of the transcript."""

    async def listen(self, request: web.Request) -> web.WebSocketResponse:
        query = request.query
        if (query["encoding"], query["channels"]) != ("linear16", "1") or not query["model"]:
            raise web.HTTPBadRequest
        key = request.headers.get("Authorization", "").removeprefix("Token ")
        socket = await self.open(request, key)
        loud_secs = 0.0
        async for message in socket:
            if message.type is WSMsgType.BINARY:
                before = loud_secs
                loud_secs = self.hear(request, message.data, int(query["sample_rate"]), before)
                if self.is_partial_due(before, loud_secs):
                    await socket.send_json(results(self.heard.split()[0]))
                continue
            match json.loads(message.data)["type"]:
                case "Finalize":
                    said = await self.transcript(socket, loud_secs)
                    loud_secs = 0.0
                    if said is not None:
                        await socket.send_json(results(said, is_final=True, from_finalize=True))
                case "CloseStream":
                    await socket.close()
        return socket


def results(transcript: str, languages: Sequence[str] = (), **flags: bool) -> dict[str, Any]:
    """Return a message about what was said."""
    words = [{"word": word, "start": 0.0, "end": 0.0} for word in transcript.split()]
    alternative = {"transcript": transcript, "confidence": 0.9, "words": words}
    if languages:
        alternative["languages"] = list(languages)
    return {
        "type": "Results",
        "channel_index": [0, 1],
        "duration": 1.0,
        "start": 0.0,
        "is_final": False,
        "speech_final": False,
        "channel": {"alternatives": [alternative]},
        "metadata": {
            "request_id": "r",
            "model_info": {"name": "m", "version": "v", "arch": "a"},
            "model_uuid": "u",
        },
        **flags,
    }


@asynccontextmanager
async def run_deepgram_standin(standin: DeepgramStandin) -> AsyncIterator[DeepgramStandin]:
    """Serve it on a free port of the loopback address."""
    async with serving(web.get("/v1/listen", standin.listen)) as address:
        standin.url = f"ws://{address}"
        yield standin
