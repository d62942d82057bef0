"""OpenAI's own client, with a microphone and ears, in a call with one of our bots."""

import asyncio
import base64
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import soxr
from openai import AsyncOpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection
from websockets.exceptions import ConnectionClosed

from runner.clients.client import SAMPLE_RATE_HZ, Pcm
from tests.openai_events import check

RATE_HZ = 24_000
PIECE_SECS = 0.04
EVENT_SECS = 30

Event = dict[str, Any]


class OpenAIPeer:
    """A client in a call; every event that comes is looked at by OpenAI's own models.

    Attributes:
        connection: OpenAI's.
        events: What came, but sound, in its order.
        heard: The sound of each item, as it came.
        wrong: What is wrong with what came.
        closed: Set when the connection is.
        close_code: Of a connection that the service has closed for a reason.
    """

    def __init__(self, connection: AsyncRealtimeConnection) -> None:
        self.connection = connection
        self.events: list[Event] = []
        self.heard: dict[str, bytes] = {}
        self.wrong: list[Exception] = []
        self.closed = asyncio.Event()
        self.close_code: int | None = None
        self._said: deque[bytes] = deque()
        self._changed = asyncio.Event()

    @property
    def kinds(self) -> list[str]:
        """What kinds of events came; those that come several times in a row, once."""
        kinds = [event["type"] for event in self.events]
        return [kind for kind, before in zip(kinds, [None, *kinds], strict=False) if kind != before]

    def kinds_about(self, event: Event) -> list[str]:
        """Return which kinds of events came about the response, or the item, of an event, once."""
        names = {event.get("item_id"), event.get("response", {}).get("id")} - {None}
        items = event.get("response", {}).get("output", [])
        names |= {item["id"] for item in items}
        told = [it["type"] for it in self.events if _names_in(it) & names]
        return list(dict.fromkeys(told))

    async def read(self) -> None:
        """Keep what comes."""
        try:
            async for event in self.connection:
                self._keep(event.to_dict())
        except ConnectionClosed as closed:
            self.close_code = closed.rcvd.code if closed.rcvd else None
        self.closed.set()

    async def speak(self) -> None:
        """Send what the microphone hears, in real time."""
        size = round(PIECE_SECS * RATE_HZ) * 2
        due = time.monotonic()
        while True:
            piece = self._said.popleft() if self._said else bytes(size)
            await self.connection.input_audio_buffer.append(audio=base64.b64encode(piece).decode())
            due += PIECE_SECS
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    def say(self, pcm: Pcm) -> None:
        """Speak into the microphone: 16-bit mono at 48 kHz."""
        size = round(PIECE_SECS * RATE_HZ) * 2
        data = at_24_khz(pcm).tobytes()
        self._said.extend(
            data[at : at + size].ljust(size, b"\0") for at in range(0, len(data), size)
        )

    async def until(
        self, kind: str, where: Callable[[Event], bool] = lambda _: True, *, after: int = 0
    ) -> Event:
        """Wait for an event.

        Args:
            kind: Of which kind.
            where: Which one of them.
            after: How many events there were before.
        """
        async with asyncio.timeout(EVENT_SECS):
            while True:
                for event in self.events[after:]:
                    if event["type"] == kind and where(event):
                        return event
                self._changed.clear()
                await self._changed.wait()

    def _keep(self, event: Event) -> None:
        try:
            check(event)
        except (AssertionError, ValueError) as error:
            self.wrong.append(error)
        if event["type"] == "response.output_audio.delta":
            item_id = event["item_id"]
            self.heard[item_id] = self.heard.get(item_id, b"") + base64.b64decode(event["delta"])
        self.events.append(event)
        self._changed.set()


def _names_in(event: Event) -> set[str | None]:
    """Return what an event is about."""
    whole = [event.get(kind, {}).get("id") for kind in ("item", "response")]
    return {event.get("item_id"), event.get("response_id"), *whole} - {None}


def at_24_khz(pcm: Pcm) -> Pcm:
    """Return sound of 48 kHz as OpenAI's protocol has it."""
    slower: Pcm = soxr.resample(pcm, SAMPLE_RATE_HZ, RATE_HZ).astype(np.int16)
    return slower


def at_48_khz(pcm: bytes) -> Pcm:
    """Return sound of OpenAI's protocol as the tests have it."""
    faster: Pcm = soxr.resample(np.frombuffer(pcm, np.int16), RATE_HZ, SAMPLE_RATE_HZ)
    return faster


@asynccontextmanager
async def connect_openai(
    url: str, model: str, *, key: str = "unused", muted: bool = False
) -> AsyncIterator[OpenAIPeer]:
    """Call a bot with OpenAI's client, and hang up at the end.

    Args:
        url: Of the service.
        model: The name of the bot.
        key: What is sent as the API key.
        muted: Whether the microphone sends nothing, not even silence.
    """
    async with (
        AsyncOpenAI(api_key=key, base_url=f"{url}/v1") as client,
        client.realtime.connect(model=model) as connection,
    ):
        peer = OpenAIPeer(connection)
        tasks = [asyncio.create_task(peer.read())]
        if not muted:
            tasks.append(asyncio.create_task(peer.speak()))
        try:
            yield peer
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    assert not peer.wrong, peer.wrong
    names = [event["event_id"] for event in peer.events]
    assert len(set(names)) == len(names), "events have names of their own"
