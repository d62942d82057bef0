"""A small server that speaks OpenAI's HTTP protocol and checks what it is sent.

Chat completions are streamed as server-sent events, transcriptions come in as multipart forms
with a WAV file, and speech goes out as 24 kHz PCM.
"""

import asyncio
import io
import json
import wave
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from aiohttp import web

from tests.standins.serving import serving

SPEECH_RATE_HZ = 24_000
TONE_HZ = 440
SENT_SECS = 0.05


class Fault(StrEnum):
    """What is wrong with a service."""

    UNAUTHORIZED = "401"
    RATE_LIMITED = "429"
    BROKEN = "500"
    HANGS = "hang"
    """Nothing comes, not even headers."""
    STALLS = "stall"
    """A beginning comes, and no more."""
    CLOSES = "close"
    """A beginning comes, and then the connection is broken."""
    GARBAGE = "garbage"
    """What comes is no answer; of a voice, nothing does."""


STATUS = {
    Fault.UNAUTHORIZED: web.HTTPUnauthorized,
    Fault.RATE_LIMITED: web.HTTPTooManyRequests,
    Fault.BROKEN: web.HTTPInternalServerError,
}
BEGUN_WORDS = 4
"""Of an answer that stalls, or breaks off."""

USAGE = {
    "prompt_tokens": 1000,
    "completion_tokens": 50,
    "total_tokens": 1050,
    "prompt_tokens_details": {"cached_tokens": 600, "cache_write_tokens": 300},
}
"""What every answer has consumed, as it says."""

ToolUse = tuple[str, dict[str, Any]]
"""A tool, and its arguments."""

Reply = str | ToolUse | tuple[str, ToolUse] | list[ToolUse]
"""Words, a tool, words and a tool behind them, or several tools."""


def always(words: str) -> Callable[[list[Any]], Reply]:
    """Answer everything in the same words."""
    return lambda _messages: words


@dataclass
class OpenAIStandin:
    """What it answers, and what it was sent.

    Attributes:
        key: The only key it takes.
        heard: What it transcribes, whatever is said.
        reply: What its language model answers to the messages of a conversation.
        thinks_secs: How long its language model takes to begin.
        word_secs: How long it takes for each word.
        speech_secs: How long the sound is of whatever it speaks.
        faults: What is wrong with its "llm", "stt" or "tts"; nothing with those that are not named.
        summary: What it answers to a request that is not streamed, as those for a summary are.
        chats: Bodies of the requests for completions.
        summarised: Bodies of those that were not streamed.
        ports: From which the client sent each of them: a connection that is kept keeps its port.
        connected_from: From which ports it was asked which models it has.
        spoken: Texts that it was asked to speak.
        voices: In which voice, each of them.
        speeds: How fast, each of them; None where that was not said.
        languages: Of the recordings that it was asked to transcribe, as it was told.
        heard_secs: Lengths of the recordings that it was asked to transcribe.
        url: Its base address, once it runs.
    """

    key: str
    heard: str
    reply: Callable[[list[Any]], Reply]
    thinks_secs: float = 0.0
    word_secs: float = 0.0
    speech_secs: float = 1.0
    faults: dict[str, Fault] = field(default_factory=dict)
    summary: str = ""
    chats: list[dict[str, Any]] = field(default_factory=list)
    summarised: list[dict[str, Any]] = field(default_factory=list)
    ports: list[int] = field(default_factory=list)
    connected_from: list[int] = field(default_factory=list)
    spoken: list[str] = field(default_factory=list)
    voices: list[str] = field(default_factory=list)
    speeds: list[float | None] = field(default_factory=list)
    languages: list[str] = field(default_factory=list)
    heard_secs: list[float] = field(default_factory=list)
    url: str = ""

    def _check_key(self, request: web.Request) -> None:
        if request.headers.get("Authorization") != f"Bearer {self.key}":
            raise web.HTTPUnauthorized

    async def _fail_at_once(self, stage: str) -> Fault | None:
        """Fail as it is told to, if not in the midst of an answer."""
        fault = self.faults.get(stage)
        if fault in STATUS:
            raise STATUS[fault]
        if fault is Fault.HANGS:
            await asyncio.Event().wait()
        return fault

    async def chat(self, request: web.Request) -> web.StreamResponse:
        self._check_key(request)
        body = await request.json()
        if not body["stream"]:
            self.summarised.append(body)
            return _completion(body["model"], self.summary)
        self.chats.append(body)
        assert request.transport
        self.ports.append(request.transport.get_extra_info("peername")[1])
        fault = await self._fail_at_once("llm")
        reply = self.reply(body["messages"])
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await asyncio.sleep(self.thinks_secs)
        if fault is Fault.GARBAGE:
            await response.write(b"data: {]\n\n")
            return response
        deltas = _deltas(reply, call_id=f"call_{len(self.chats)}")
        for delta in deltas[:BEGUN_WORDS] if fault else deltas:
            await asyncio.sleep(self.word_secs)
            await _send(response, body["model"], delta, None)
        if fault:
            await _break_off(fault, request)
            return response
        await _send(response, body["model"], {}, "stop" if isinstance(reply, str) else "tool_calls")
        if (body.get("stream_options") or {}).get("include_usage"):
            await _write(response, body["model"], choices=[], usage=USAGE)
        await response.write(b"data: [DONE]\n\n")
        return response

    async def models(self, request: web.Request) -> web.StreamResponse:
        self._check_key(request)
        assert request.transport
        self.connected_from.append(request.transport.get_extra_info("peername")[1])
        return web.json_response({"object": "list", "data": []})

    async def transcribe(self, request: web.Request) -> web.StreamResponse:
        self._check_key(request)
        fault = await self._fail_at_once("stt")
        form = await request.post()
        upload = form["file"]
        assert isinstance(upload, web.FileField)
        self.languages.append(str(form["language"]))
        with upload.file as file:
            sound = file.read()
        with wave.open(io.BytesIO(sound)) as recording:
            assert (recording.getnchannels(), recording.getsampwidth()) == (1, 2)
            self.heard_secs.append(recording.getnframes() / recording.getframerate())
        if fault is Fault.GARBAGE:
            return web.Response(text="<html>", content_type="application/json")
        if fault:
            body = json.dumps({"text": self.heard}).encode()
            return await _send_in_part(fault, request, body, body[: len(body) // 2])
        return web.json_response({"text": self.heard})

    async def speak(self, request: web.Request) -> web.StreamResponse:
        self._check_key(request)
        fault = await self._fail_at_once("tts")
        body = await request.json()
        assert body["response_format"] == "pcm"
        self.spoken.append(body["input"])
        self.voices.append(body["voice"])
        self.speeds.append(body.get("speed"))
        time = np.arange(round(self.speech_secs * SPEECH_RATE_HZ)) / SPEECH_RATE_HZ
        tone = (8000 * np.sin(2 * np.pi * TONE_HZ * time)).astype(np.int16)
        sound = tone.tobytes()
        if fault is Fault.GARBAGE:
            return web.Response(body=b"", content_type="audio/pcm")
        if fault:
            return await _send_in_part(fault, request, sound, sound[: len(sound) // 2])
        return web.Response(body=sound, content_type="audio/pcm")


async def _send_in_part(
    fault: Fault, request: web.Request, body: bytes, part: bytes
) -> web.StreamResponse:
    """Announce all of an answer, and send a part of it."""
    response = web.StreamResponse(headers={"Content-Length": str(len(body))})
    await response.prepare(request)
    await response.write(part)
    await _break_off(fault, request)
    return response


async def _break_off(fault: Fault, request: web.Request) -> None:
    """Stall or break the connection, behind the beginning of an answer."""
    # It is to have left: what is still to be sent would be dropped.
    await asyncio.sleep(SENT_SECS)
    if fault is Fault.STALLS:
        await asyncio.Event().wait()
    assert request.transport
    request.transport.abort()


def _completion(model: str, words: str) -> web.Response:
    message = {"role": "assistant", "content": words}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    whole = {"id": "c", "object": "chat.completion", "created": 0, "model": model}
    return web.json_response({**whole, "choices": [choice]})


def _deltas(reply: Reply, call_id: str) -> list[dict[str, Any]]:
    if isinstance(reply, str):
        return [{"content": f"{word} "} for word in reply.split()]
    if isinstance(reply, list):
        return [delta for index, use in enumerate(reply) for delta in _use(use, call_id, index)]
    name, arguments = reply
    if isinstance(arguments, tuple):
        return _deltas(name, call_id) + _use(arguments, call_id)
    return _use((name, arguments), call_id)


def _use(use: ToolUse, call_id: str, index: int = 0) -> list[dict[str, Any]]:
    name, arguments = use
    function = {"name": name, "arguments": json.dumps(arguments)}
    call_id = f"{call_id}{index or ''}"
    call = {"index": index, "id": call_id, "type": "function", "function": function}
    return [{"tool_calls": [call]}]


async def _send(
    response: web.StreamResponse, model: str, delta: dict[str, Any], finish: str | None
) -> None:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    await _write(response, model, choices=[choice])


async def _write(response: web.StreamResponse, model: str, **parts: Any) -> None:
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": model, **parts}
    await response.write(f"data: {json.dumps(chunk)}\n\n".encode())


@asynccontextmanager
async def run_openai_standin(standin: OpenAIStandin, port: int = 0) -> AsyncIterator[OpenAIStandin]:
    """Serve it on the loopback address; see `serving`."""
    async with serving(
        web.get("/v1/models", standin.models),
        web.post("/v1/chat/completions", standin.chat),
        web.post("/v1/audio/transcriptions", standin.transcribe),
        web.post("/v1/audio/speech", standin.speak),
        port=port,
    ) as address:
        standin.url = f"http://{address}/v1"
        yield standin
