"""A small server that speaks OpenAI's Realtime protocol and checks what it is sent.

Speech comes in as 24 kHz PCM; turns go by its loudness alone, as the session's `server_vad` wants
them. Speech goes out as a tone, as long as the words take, or in a voice, and faster than it is
played; the words come ahead of it.
"""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import soxr
from aiohttp import WSMsgType, web

from runner.clients.client import SAMPLE_RATE_HZ, Pcm
from tests.speech import LOUD_RMS, Speaker, rms
from tests.standins.openai_server import SENT_SECS, STATUS, TONE_HZ, Fault, Reply
from tests.standins.serving import serving

RATE_HZ = 24_000
CHARACTERS_PER_SEC = 15
PIECE_SECS = 0.2
PACE = 4
"""How much faster than it is played speech is sent."""

VOICE_SECS = 0.1
"""So long a sound is speech."""

REFUSALS = {Fault.RATE_LIMITED: "rate_limit_exceeded", Fault.BROKEN: "server_error"}
"""Why there is no answer, as a session that is under way says it."""


@dataclass
class RealtimeStandin:
    """What it answers, and what it was sent.

    Attributes:
        key: The only key it takes.
        model: The only model, or Azure deployment, that it has.
        heard: What it transcribes, one turn after the other; the last again and again.
        reply: What it answers to the items of a conversation.
        transcript_secs: How long it transcribes a turn; it answers meanwhile.
        voice: What it speaks with; None for a tone.
        think_secs: How long it thinks about an answer.
        write_secs: How long it writes the arguments of a tool.
        start_fault: What is wrong with it when a client connects; None for nothing.
        fault: What is wrong with it in a session that is under way; None for nothing.
        sessions: Settings of sessions, as they were sent.
        events: Types of the events that it was sent, in order, but those of sound.
        wrong: What was wrong with what it was sent.
        truncated_ms: Where answers were cut off, and how long they were.
        read: Texts that it was given.
        url: Its address, once it runs.
        azure_url: Its address as an Azure resource's.
        is_speechless: Whether it answers nothing any more.
        connections: Those that there are.
    """

    key: str
    model: str
    heard: list[str]
    reply: Callable[[list[dict[str, Any]]], Reply]
    transcript_secs: float = 0.1
    voice: Speaker | None = None
    think_secs: float = 0.0
    write_secs: float = 0.0
    start_fault: Fault | None = None
    fault: Fault | None = None
    sessions: list[dict[str, Any]] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    truncated_ms: list[tuple[int, int]] = field(default_factory=list)
    read: list[str] = field(default_factory=list)
    url: str = ""
    azure_url: str = ""
    is_speechless: bool = False
    connections: set["_Connection"] = field(default_factory=set)

    async def openai(self, request: web.Request) -> web.WebSocketResponse:
        return await self._serve(request, request.headers.get("Authorization") == self._bearer)

    async def azure(self, request: web.Request) -> web.WebSocketResponse:
        return await self._serve(request, request.headers.get("api-key") == self.key)

    @property
    def _bearer(self) -> str:
        return f"Bearer {self.key}"

    async def _serve(self, request: web.Request, is_known: bool) -> web.WebSocketResponse:
        if self.start_fault in STATUS:
            raise STATUS[self.start_fault]
        if not is_known:
            raise web.HTTPUnauthorized
        if request.query.get("model") != self.model:
            raise web.HTTPNotFound
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        connection = _Connection(self, request, socket)
        self.connections.add(connection)
        try:
            if self.start_fault is not Fault.HANGS:
                await connection.tell("session.created", session={"type": "realtime"})
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await connection.take(json.loads(message.data))
        finally:
            self.connections.discard(connection)
            await connection.close()
        return socket

    def die(self) -> None:
        """Cut all connections, as a server that is killed does."""
        for connection in self.connections:
            connection.cut()


class _Connection:
    """One session."""

    def __init__(
        self, standin: RealtimeStandin, request: web.Request, socket: web.WebSocketResponse
    ) -> None:
        self._standin = standin
        self._request = request
        self._socket = socket
        self._vad: dict[str, Any] = {}
        self._items: list[dict[str, Any]] = []
        self._sound_ms: dict[str, int] = {}
        self._calls: set[str] = set()
        self._answering: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._turns = self._ids = 0
        self._loud_secs = self._silent_secs = self._heard_secs = 0.0
        self._speech: str | None = None

    async def tell(self, kind: str, **content: Any) -> None:
        if not self._socket.closed:
            event = {"type": kind, "event_id": self._id("event"), **content}
            await self._socket.send_json(event)

    async def take(self, event: dict[str, Any]) -> None:
        kind = event.pop("type")
        event.pop("event_id")
        if kind == "input_audio_buffer.append":
            return await self._hear(np.frombuffer(base64.b64decode(event["audio"]), np.int16))
        self._standin.events.append(kind)
        match kind:
            case "session.update":
                await self._set_up(event["session"])
            case "conversation.item.create":
                await self._add(event["item"])
            case "response.create":
                if self._answering:
                    await self._refuse("conversation_already_has_active_response")
                else:
                    self._answer()
            case "response.cancel":
                if self._answering:
                    await self._cancel()
                else:
                    await self._refuse("response_cancel_not_active")
            case "conversation.item.truncate":
                await self._truncate(event["item_id"], event["audio_end_ms"])
            case _:
                await self._refuse(f"unknown event {kind}")

    def cut(self) -> None:
        assert self._request.transport
        self._request.transport.abort()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _set_up(self, session: dict[str, Any]) -> None:
        self._standin.sessions.append(session)
        sound = session["audio"]["input"]
        if session["type"] != "realtime" or sound["format"] != {"type": "audio/pcm", "rate": 24000}:
            return await self._refuse("a session of another kind")
        self._vad = sound["turn_detection"]
        await self.tell("session.updated", session={"type": "realtime"})

    async def _add(self, item: dict[str, Any]) -> None:
        if item["type"] == "function_call_output":
            if item["call_id"] not in self._calls:
                return await self._refuse("no such call")
            self._calls.discard(item["call_id"])
        self._items.append(item)
        self._standin.read += [it["text"] for it in item.get("content", []) if "text" in it]
        await self.tell("conversation.item.added", item=item)

    async def _truncate(self, item_id: str, end_ms: int) -> None:
        sent_ms = self._sound_ms.get(item_id)
        if sent_ms is None or end_ms > sent_ms:
            return await self._refuse(f"an answer of {sent_ms} ms cannot be cut at {end_ms}")
        self._standin.truncated_ms.append((end_ms, sent_ms))
        await self.tell(
            "conversation.item.truncated", item_id=item_id, content_index=0, audio_end_ms=end_ms
        )

    async def _refuse(self, why: str) -> None:
        self._standin.wrong.append(why)
        await self.tell(
            "error", error={"type": "invalid_request_error", "code": why, "message": why}
        )

    async def _hear(self, pcm: Any) -> None:
        secs = len(pcm) / RATE_HZ
        loud = rms(pcm) > LOUD_RMS
        self._heard_secs += secs
        self._loud_secs = self._loud_secs + secs if loud else 0.0
        self._silent_secs = 0.0 if loud else self._silent_secs + secs
        if not self._vad or self._standin.fault is Fault.HANGS:
            return
        now_ms = round(self._heard_secs * 1000)
        if self._speech is None and self._loud_secs >= VOICE_SECS:
            self._speech = self._id("item")
            await self.tell(
                "input_audio_buffer.speech_started", audio_start_ms=now_ms, item_id=self._speech
            )
            await self._cancel()
        elif self._speech and self._silent_secs * 1000 >= self._vad["silence_duration_ms"]:
            item_id, self._speech = self._speech, None
            about = {"audio_end_ms": now_ms, "item_id": item_id}
            await self.tell("input_audio_buffer.speech_stopped", **about)
            await self.tell("input_audio_buffer.committed", item_id=item_id)
            heard = self._standin.heard[min(self._turns, len(self._standin.heard) - 1)]
            self._turns += 1
            content = [{"type": "input_audio", "transcript": heard}]
            await self._add({"id": item_id, "type": "message", "role": "user", "content": content})
            self._begin(self._transcribe(item_id, heard))
            self._answer()

    async def _transcribe(self, item_id: str, heard: str) -> None:
        await asyncio.sleep(self._standin.transcript_secs)
        about = {"item_id": item_id, "content_index": 0}
        kind = "conversation.item.input_audio_transcription"
        await self.tell(f"{kind}.delta", delta=heard, **about)
        await self.tell(f"{kind}.completed", transcript=heard, **about)

    def _answer(self) -> None:
        if not self._standin.is_speechless and self._standin.fault is not Fault.HANGS:
            self._answering = self._begin(self._respond(self._id("resp")))

    async def _cancel(self) -> None:
        if task := self._answering:
            self._answering = None
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await self._done(self._id("resp"), "cancelled", [])

    async def _respond(self, response_id: str) -> None:
        await self.tell("response.created", response=_response(response_id, "in_progress", []))
        await asyncio.sleep(self._standin.think_secs)
        fault = self._standin.fault
        if fault in REFUSALS:
            self._answering = None
            return await self._done(response_id, "failed", [], REFUSALS[fault])
        if fault is Fault.GARBAGE:
            self._answering = None
            return await self._socket.send_str("<html>")
        match self._standin.reply(self._items):
            case str(words):
                items = [await self._speak(response_id, words)]
            case str(words), (name, arguments):
                items = [
                    await self._speak(response_id, words),
                    await self._call(response_id, name, arguments),
                ]
            case name, arguments:
                items = [await self._call(response_id, name, arguments)]
        self._answering = None
        await self._done(response_id, "completed", items)

    async def _speak(self, response_id: str, words: str) -> dict[str, Any]:
        item_id = self._id("item")
        content = [{"type": "output_audio", "transcript": words}]
        item = {"id": item_id, "type": "message", "role": "assistant", "content": content}
        await self._add({**item, "content": []})
        self._items[-1] = item
        about = {"response_id": response_id, "item_id": item_id}
        about |= {"output_index": 0, "content_index": 0}
        fault = self._standin.fault
        told = words.split()
        told = told[: len(told) // 2] if fault else told
        for number, word in enumerate(told):
            delta = f" {word}" if number else word
            await self.tell("response.output_audio_transcript.delta", delta=delta, **about)
        speech = await self._sound_of(" ".join(told))
        for start in range(0, len(speech), round(PIECE_SECS * RATE_HZ)):
            piece = speech[start : start + round(PIECE_SECS * RATE_HZ)]
            self._sound_ms[item_id] = (start + len(piece)) * 1000 // RATE_HZ
            sound = base64.b64encode(piece.tobytes()).decode()
            await self.tell("response.output_audio.delta", delta=sound, **about)
            await asyncio.sleep(PIECE_SECS / PACE)
        if fault:
            await self._break_off(fault)
        await self.tell("response.output_audio.done", **about)
        return item

    async def _sound_of(self, words: str) -> Pcm:
        if voice := self._standin.voice:
            said: Pcm = soxr.resample(await voice.say(words), SAMPLE_RATE_HZ, RATE_HZ)
            return said
        time = np.arange(round(len(words) / CHARACTERS_PER_SEC * RATE_HZ)) / RATE_HZ
        return (8000 * np.sin(2 * np.pi * TONE_HZ * time)).astype(np.int16)

    async def _break_off(self, fault: Fault) -> None:
        """Stall or break the connection, behind the beginning of an answer."""
        # It is to have left: what is still to be sent would be dropped.
        await asyncio.sleep(SENT_SECS)
        if fault is Fault.CLOSES:
            self.cut()
        await asyncio.Event().wait()

    async def _call(self, response_id: str, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        call_id = self._id("call")
        self._calls.add(call_id)
        item = {"id": self._id("item"), "type": "function_call", "name": name, "call_id": call_id}
        await self._add({**item, "arguments": ""})
        about = {"response_id": response_id, "item_id": item["id"], "output_index": 0}
        given = {"call_id": call_id, "arguments": json.dumps(arguments)}
        await self.tell(
            "response.function_call_arguments.delta",
            **about,
            call_id=call_id,
            delta=given["arguments"],
        )
        await asyncio.sleep(self._standin.write_secs)
        await self.tell("response.function_call_arguments.done", **about, **given)
        return {**item, "arguments": given["arguments"]}

    async def _done(
        self, response_id: str, status: str, output: list[dict[str, Any]], why: str | None = None
    ) -> None:
        response = _response(response_id, status, output)
        if why:
            response["status_details"] = {"type": status, "error": {"code": why, "message": why}}
        await self.tell("response.done", response=response)

    def _begin(self, work: Any) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _id(self, kind: str) -> str:
        self._ids += 1
        return f"{kind}_{self._ids}"


def _response(response_id: str, status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": response_id,
        "object": "realtime.response",
        "status": status,
        "status_details": None,
        "output": output,
        "usage": None,
    }


@asynccontextmanager
async def run_realtime_standin(
    standin: RealtimeStandin, port: int = 0
) -> AsyncIterator[RealtimeStandin]:
    """Serve it on the loopback address; see `serving`."""
    async with serving(
        web.get("/v1/realtime", standin.openai),
        web.get("/openai/v1/realtime", standin.azure),
        port=port,
    ) as address:
        standin.url = f"ws://{address}/v1/realtime"
        standin.azure_url = f"http://{address}"
        yield standin
