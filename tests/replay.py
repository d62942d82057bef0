"""Plays to the service what a real client has sent, as `tests.protocol_recorder` has kept it."""

import asyncio
import base64
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from websockets.asyncio.client import connect as open_socket

from engines.audio.decoding import FileDecoder
from engines.audio.encoding import PcmEncoder
from runner.clients.client import SAMPLE_RATE_HZ, Pcm
from tests.asyncapi import check
from tests.protocol_recorder import FOLDER

ANSWER_SECS = 60
SOUNDS = {"voice-agent": "audio_response", "sandwich": "tts_audio", "realtime": "audio"}


@dataclass
class Replay:
    """What came of it.

    Attributes:
        protocol: Which one was spoken.
        told: Every message, with when it came, in seconds.
        code: What the socket was closed with.
        offset: The messages before were told in earlier utterances.
    """

    protocol: str
    told: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    code: int | None = None

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The messages but those of sound."""
        return [m for _, m in self.told if m["type"] != SOUNDS[self.protocol]]

    def kinds(self, short: Callable[[dict[str, Any]], str]) -> list[str]:
        """Return what was told, each stretch of sound but once."""
        found: list[str] = []
        for _, message in self.told:
            kind = short(message)
            if kind != "sound" or found[-1:] != ["sound"]:
                found.append(kind)
        return found

    def sound(self) -> Pcm:
        """Return the bot's voice, 16-bit mono at 48 kHz."""
        data = [base64.b64decode(m["data"]) for _, m in self.told if "data" in m]
        if self.protocol != "voice-agent":
            encoder = PcmEncoder(16_000, SAMPLE_RATE_HZ)
            return np.frombuffer(b"".join(encoder.feed(b"".join(data))), np.int16)
        decoder = FileDecoder(SAMPLE_RATE_HZ)
        return np.frombuffer(b"".join(map(decoder.feed, data)) + decoder.finish(), np.int16)


async def replay(
    address: str, protocol: str, is_over: Callable[[dict[str, Any]], bool], **options: Any
) -> Replay:
    """Play the recording of a protocol to a socket, at its own pace.

    Args:
        address: Of the socket.
        protocol: Which recording.
        is_over: Tells which message ends an answer.
        **options: Of the connection.
    """
    lines = [json.loads(it) for it in (FOLDER / f"{protocol}.jsonl").read_text().splitlines()]
    played = Replay(protocol)
    async with open_socket(address, **options) as socket:
        is_answered = asyncio.Event()

        async def read() -> None:
            async for text in socket:
                message = json.loads(text)
                check(protocol, message)
                played.told.append((time.monotonic(), message))
                if is_over(message):
                    is_answered.set()

        reading = asyncio.create_task(read())
        try:
            before = lines[0]["at"]
            for line in lines:
                if "wait" in line:
                    await asyncio.wait_for(is_answered.wait(), ANSWER_SECS)
                    before = None
                    continue
                check(protocol, line["send"], "receive")
                await asyncio.sleep(line["at"] - (line["at"] if before is None else before))
                before = line["at"]
                is_answered.clear()
                await socket.send(json.dumps(line["send"]))
            async with asyncio.timeout(ANSWER_SECS):
                if lines[-1].get("send", {}).get("type") in ("end_session", "stop"):
                    await reading
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
    played.code = socket.close_code
    return played
