"""Somebody who calls the service by phone, by way of a provider."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

import aiohttp
import numpy as np
import soxr
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_socket
from websockets.exceptions import ConnectionClosed

from runner.peer import SAMPLE_RATE_HZ, Microphone, Pcm
from tests.speech import rms
from tests.standins.phone import (
    ACCOUNT,
    EXOTEL_SECRET,
    PASSWORD,
    PHONE_RATE_HZ,
    PUBLIC_URL,
    Message,
    PhoneCall,
    telnyx_public_key,
)
from tests.standins.phone_api import TELNYX_API_KEY

OVER_SECS = 20
QUIET_SECS = 1.5
"""A silence after which the bot is taken to have finished."""


def environment(api_port: int) -> Mapping[str, str]:
    """Return the variables of a service that takes calls of all providers.

    Args:
        api_port: Where their REST API is.
    """
    telephony = "PARLANTE_VOICE__REALTIME__TELEPHONY"
    api = f"http://127.0.0.1:{api_port}"
    return {
        f"{telephony}__PUBLIC_URL": PUBLIC_URL,
        f"{telephony}__TWILIO__API_URL": api,
        f"{telephony}__TELNYX__API_URL": f"{api}/v2",
        f"{telephony}__PLIVO__API_URL": f"{api}/v1",
        "TWILIO_ACCOUNT_SID": ACCOUNT,
        "TWILIO_AUTH_TOKEN": PASSWORD,
        "TELNYX_API_KEY": TELNYX_API_KEY,
        "TELNYX_PUBLIC_KEY": telnyx_public_key(),
        "PLIVO_AUTH_ID": ACCOUNT,
        "PLIVO_AUTH_TOKEN": PASSWORD,
        "EXOTEL_SECRET": EXOTEL_SECRET,
    }


async def tell(
    url: str, call: PhoneCall, headers: Mapping[str, str] | None = None, query: str = ""
) -> tuple[int, str]:
    """Tell the service of a call, as its provider does.

    Args:
        url: The service.
        call: The call.
        headers: Others than the provider signs it with; None for those.
        query: Of the address; with it "?".

    Returns:
        The status, and the answer.
    """
    path, form = f"/telephony/{call.name}{query}", call.asks()
    headers = call.signed(PUBLIC_URL + path, form) if headers is None else headers
    async with aiohttp.ClientSession(url, headers=headers) as http:
        if call.name == "exotel":
            request = http.get(path, params=form)
        else:
            request = http.post(path, data=form)
        async with request as response:
            return response.status, await response.text()


def stream_in(answer: str, call: PhoneCall) -> str:
    """Return where an answer has the sound of a call sent to."""
    if call.name == "exotel":
        address = json.loads(answer)["url"]
    else:
        [stream] = ElementTree.fromstring(answer).iter("Stream")
        address = stream.get("url") or stream.text
    assert address.startswith(f"{PUBLIC_URL.replace('http', 'ws')}/ws/{call.name}/")
    return str(address)


async def take(url: str, call: PhoneCall, query: str = "") -> str:
    """Have the service take a call; return the address of its stream on this machine."""
    status, answer = await tell(url, call, query=query)
    assert status == 200, answer
    base = url.replace("http", "ws", 1)
    return stream_in(answer, call).replace(PUBLIC_URL.replace("http", "ws"), base)


@dataclass
class PhoneCaller:
    """A caller, who sends what the microphone hears from the beginning to the end.

    Attributes:
        call: Their call.
        socket: Its stream.
        heard: What the bot says, 16-bit mono at 48 kHz, a piece for each message.
        cleared_at: `len(heard)` whenever what was not yet played was thrown away.
        heard_at: When the last of it came that was loud, in seconds.
        ended_at: When the call was ended over the REST API; 0 if it was not.
        closed: Set when the service has closed the stream.
    """

    call: PhoneCall
    socket: ClientConnection
    microphone: Microphone = field(default_factory=Microphone)
    heard: list[Pcm] = field(default_factory=list)
    cleared_at: list[int] = field(default_factory=list)
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    heard_at: float = 0.0
    ended_at: float = 0.0

    async def send(self, message: Message | str) -> None:
        """Send a message of the provider's."""
        text = message if isinstance(message, str) else json.dumps(message)
        await self.socket.send(text)

    async def press(self, keys: str) -> None:
        """Press keys, as fast as people do."""
        for key in keys:
            await self.send(self.call.key(key))
            await asyncio.sleep(0.2)

    async def until_heard(self, secs: float = 0.0, after: int = 0) -> None:
        """Wait until the bot has said something since `len(heard)` was `after`."""
        async with asyncio.timeout(OVER_SECS):
            while _voice_in(self.heard[after:]) <= secs:
                self._changed.clear()
                await self._changed.wait()

    async def until_cleared(self, before: int) -> int:
        """Wait until what was not yet played is thrown away once more than `before` times.

        Returns:
            `len(heard)` at that moment.
        """
        async with asyncio.timeout(OVER_SECS):
            while len(self.cleared_at) <= before:
                self._changed.clear()
                await self._changed.wait()
        return self.cleared_at[before]

    async def hear_out(self, after: int = 0) -> Pcm:
        """Wait until the bot has spoken and has nothing more to say; return what it said."""
        await self.until_heard(after=after)
        async with asyncio.timeout(OVER_SECS):
            while (left := self.heard_at + QUIET_SECS - time.monotonic()) > 0:  # noqa: ASYNC110
                await asyncio.sleep(left)
        return np.concatenate(self.heard[after:])

    async def read(self) -> None:
        """Keep what comes until the stream is closed."""
        try:
            async for text in self.socket:
                self._take(json.loads(text))
        except ConnectionClosed:
            pass
        self.closed.set()

    async def speak(self) -> None:
        """Send what the microphone hears, in real time."""
        resampler = soxr.ResampleStream(
            SAMPLE_RATE_HZ, PHONE_RATE_HZ, 1, dtype="int16", quality="QQ"
        )
        while True:
            sound = (await self.microphone.recv()).to_ndarray()[0]
            await self.send(self.call.media(resampler.resample_chunk(sound)))

    async def hang_up(self) -> None:
        """End the call from here, or as one that was ended over the REST API."""
        for message in self.call.stop():
            await self.send(message)
        await self.socket.close()

    def _take(self, message: dict[str, Any]) -> None:
        played = self.call.played(message)
        if played is None:
            self.cleared_at.append(len(self.heard))
        else:
            self.heard.append(soxr.resample(played, PHONE_RATE_HZ, SAMPLE_RATE_HZ, quality="HQ"))
            if rms(self.heard[-1]) > 100:
                self.heard_at = time.monotonic()
        self._changed.set()


def _voice_in(pieces: Sequence[Pcm]) -> float:
    return sum(piece.size for piece in pieces if rms(piece) > 100) / SAMPLE_RATE_HZ


@asynccontextmanager
async def calling(url: str, call: PhoneCall, query: str = "") -> AsyncIterator[PhoneCaller]:
    """Call the service; hangs up at the end, if the service has not."""
    async with open_socket(await take(url, call, query)) as socket:
        caller = PhoneCaller(call, socket)
        for message in call.begin():
            await caller.send(message)
        tasks = [
            asyncio.create_task(caller.read()),
            asyncio.create_task(caller.speak()),
            asyncio.create_task(_follow(caller)),
        ]
        try:
            yield caller
            if not caller.closed.is_set():
                await caller.hang_up()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _follow(caller: PhoneCaller) -> None:
    """End the stream when the call is ended over the REST API."""
    await caller.call.ended.wait()
    caller.ended_at = time.monotonic()
    await caller.hang_up()


async def play(address: str, call: PhoneCall, messages: Sequence[tuple[float, str]]) -> PhoneCaller:
    """Play a recorded stream to the service, each message in its time; return what was heard."""
    async with open_socket(address) as socket:
        caller = PhoneCaller(call, socket)
        reading = asyncio.create_task(caller.read())
        begun_at = time.monotonic()
        for at, message in messages:
            await asyncio.sleep(max(0.0, begun_at + at - time.monotonic()))
            await caller.send(message)
        await asyncio.wait_for(caller.closed.wait(), OVER_SECS)
        await reading
    return caller
