"""What the clients of all protocols have in common: for the terminal, for tests, for load."""

import asyncio
import fractions
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import aiohttp
import numpy as np
import numpy.typing as npt
from aiortc.mediastreams import MediaStreamTrack
from av import AudioFrame

from bots.errors import ParlanteError

SAMPLE_RATE_HZ = 48_000
FRAME_SAMPLES = SAMPLE_RATE_HZ // 50

MAX_WAITING_SAMPLES = SAMPLE_RATE_HZ // 5
"""Sound of a live microphone that may wait to be sent: 200 ms. Its clock is not the client's."""

HTTP_SECS = 30

Pcm = npt.NDArray[np.int16]
Told: TypeAlias = Mapping[str, Any]


class TalkFailed(ParlanteError):
    """A conversation could not be held."""

    code = "TALK_FAILED"


class Microphone(MediaStreamTrack):
    """An audio track that plays what it is given, in real time, and silence between."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._pending = np.zeros(0, np.int16)
        self._spoken = asyncio.Event()
        self._spoken.set()
        self._timestamp = 0
        self._started_at = 0.0

    def hear(self, pcm: Pcm) -> None:
        """Play 16-bit mono audio at 48 kHz as it comes; what has waited too long is dropped."""
        self._pending = np.concatenate([self._pending, pcm])[-MAX_WAITING_SAMPLES:]

    async def say(self, pcm: Pcm) -> None:
        """Play 16-bit mono audio at 48 kHz; returns when its last sample has been sent."""
        self._pending = np.concatenate([self._pending, pcm])
        self._spoken.clear()
        await self._spoken.wait()

    async def recv(self) -> AudioFrame:
        """Return the next 20 ms, when they are due."""
        if self._timestamp == 0:
            self._started_at = time.monotonic()
        due = self._started_at + self._timestamp / SAMPLE_RATE_HZ
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        samples, self._pending = self._pending[:FRAME_SAMPLES], self._pending[FRAME_SAMPLES:]
        if not self._pending.size:
            self._spoken.set()
        samples = np.pad(samples, (0, FRAME_SAMPLES - samples.size))
        frame = AudioFrame.from_ndarray(samples[None], layout="mono")
        frame.sample_rate = SAMPLE_RATE_HZ
        frame.pts = self._timestamp
        frame.time_base = fractions.Fraction(1, SAMPLE_RATE_HZ)
        self._timestamp += FRAME_SAMPLES
        return frame


class Client(ABC):
    """One client in one call.

    Attributes:
        is_greeted: Whether the bot speaks first.
        microphone: What it says, where that is heard all the time.
        on_heard: Takes each piece of what the bot says; by default they are kept in `heard`.
        heard: Everything the bot has sent, 16-bit mono at 48 kHz, piece by piece.
        messages: Every message it got but those of sound, oldest first.
        closed: Set when the call is over.
        refusal: Why the service has closed the connection, where that is no end of a call.
    """

    is_greeted = True

    def __init__(self) -> None:
        self.microphone = Microphone()
        self.heard: list[Pcm] = []
        self.on_heard: Callable[[Pcm], None] = self.heard.append
        self.messages: list[Any] = []
        self.closed = asyncio.Event()
        self.refusal: str | None = None
        self._changed = asyncio.Event()

    @abstractmethod
    def user_words(self, message: Told) -> str | None:
        """Return what a message says that the user has said; None if it does not."""

    @abstractmethod
    def bot_words(self, message: Told) -> str | None:
        """Return what a message says that the bot says, a part of it; None if it does not."""

    @abstractmethod
    def is_over(self, message: Told) -> bool:
        """Say whether a message tells that the bot has spoken."""

    async def say(self, pcm: Pcm) -> None:
        """Say something, 16-bit mono at 48 kHz; returns when its last sample has been sent."""
        await self.microphone.say(pcm)

    async def keep_talking(self) -> None:  # noqa: B027 - most are heard anyway
        """Have all heard that comes from the microphone from now on."""

    async def write(self, text: str) -> None:
        """Send something in writing.

        Raises:
            TalkFailed: If this protocol has no words for that.
        """
        raise TalkFailed("nothing can be written in this protocol: talk with --wav, or speak")

    async def wait_for(
        self, wanted: Callable[[Any], bool], *, timeout: float, after: int = 0
    ) -> Any:
        """Return the first message that is `wanted`.

        Args:
            wanted: Tells whether it is the one.
            timeout: Seconds to wait.
            after: Messages to skip: `len(client.messages)` at some moment before.

        Raises:
            TimeoutError: If it does not come.
            TalkFailed: If it cannot come any more, because the service has refused the call.
        """
        async with asyncio.timeout(timeout):
            while True:
                for message in self.messages[after:]:
                    if wanted(message):
                        return message
                if self.refusal is not None:
                    raise TalkFailed(self.refusal)
                self._changed.clear()
                await self._changed.wait()

    async def hear_out(self, *, timeout: float, after: int = 0) -> None:
        """Wait until the bot has spoken and has nothing more to say.

        Args:
            timeout: Seconds until then.
            after: Messages to skip: `len(client.messages)` at some moment before.

        Raises:
            TimeoutError: If it does not speak, or does not stop.
        """
        await self.wait_for(self.is_over, timeout=timeout, after=after)


async def post(http: aiohttp.ClientSession, path: str, body: Any) -> Any:
    """Return what a service answers.

    Raises:
        TalkFailed: If it cannot be reached, or refuses.
    """
    try:
        async with http.post(path, json=body) as response:
            reply = await response.json()
            if not response.ok:
                raise TalkFailed(reply["error"]["message"])
            return reply
    except aiohttp.ClientConnectionError as error:
        raise TalkFailed(f"the service cannot be reached: {error}") from error


def with_key(key: str | None) -> dict[str, str]:
    """Return the headers of requests with an API key; None where the service is open."""
    return {"X-API-Key": key} if key else {}
