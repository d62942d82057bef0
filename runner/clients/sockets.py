"""What clients have in common that come over a WebSocket."""

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TypeVar
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import numpy as np
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_socket
from websockets.exceptions import ConnectionClosed, WebSocketException

from runner.clients.client import (
    HTTP_SECS,
    SAMPLE_RATE_HZ,
    Client,
    Pcm,
    TalkFailed,
    post,
    with_key,
)

HUNG_UP = 1000

Caller = TypeVar("Caller", bound="SocketClient")


class SocketClient(Client):
    """A client over a WebSocket.

    Args:
        socket: The connection.

    Attributes:
        socket: The same.
    """

    chunk_secs = 0.02
    """Sound of a microphone is sent in pieces of that length."""

    def __init__(self, socket: ClientConnection) -> None:
        super().__init__()
        self.socket = socket
        self._tasks: list[asyncio.Task[None]] = []

    @abstractmethod
    def take(self, data: str | bytes) -> None:
        """Take a message of the service."""

    @abstractmethod
    async def send_sound(self, pcm: Pcm) -> None:
        """Send a piece of what the microphone hears, 16-bit mono at 48 kHz."""

    async def open(self) -> None:
        """Do what a call begins with, and wait until there is a bot.

        Raises:
            TalkFailed: If the service refuses.
            TimeoutError: If the bot does not get ready in time.
        """

    async def hang_up(self) -> None:
        """Tell the service that this was the call, where the end of the socket does not."""

    def begin_to_read(self) -> None:
        """Keep what comes until the socket is closed."""
        self._tasks.append(asyncio.create_task(self._read()))

    async def keep_talking(self) -> None:
        """Have all heard that comes from the microphone from now on."""
        self._tasks.append(asyncio.create_task(self._speak()))

    async def close(self) -> None:
        """Hang up, and leave nothing running."""
        if not self.closed.is_set():
            with suppress(ConnectionClosed):
                await self.hang_up()
            await self.socket.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _read(self) -> None:
        try:
            async for data in self.socket:
                self.take(data)
                self._changed.set()
        except ConnectionClosed:
            pass
        if self.socket.close_code != HUNG_UP:
            self.refusal = self.socket.close_reason or f"closed with {self.socket.close_code}"
        self.closed.set()
        self._changed.set()

    async def _speak(self) -> None:
        pieces: list[Pcm] = []
        while True:
            pieces.append((await self.microphone.recv()).to_ndarray()[0])
            pcm = np.concatenate(pieces)
            if len(pcm) < self.chunk_secs * SAMPLE_RATE_HZ:
                continue
            pieces.clear()
            try:
                await self.send_sound(pcm)
            except ConnectionClosed:
                return


async def address_of(url: str, transport: str, *, bot: str | None, key: str | None) -> str:
    """Return the address of a socket: `url` itself if it is one, else that of a new session.

    Args:
        url: The service, or a socket of it.
        transport: The protocol.
        bot: Who is called; None for the default bot.
        key: An API key; None where the service is open.

    Raises:
        TalkFailed: If the service cannot be reached or refuses.
    """
    parts = urlsplit(url)
    if parts.scheme in ("ws", "wss") and parts.path not in ("", "/"):
        return url
    service = urlunsplit((parts.scheme.replace("ws", "http"), parts.netloc, "", "", ""))
    timeout = aiohttp.ClientTimeout(HTTP_SECS)
    async with aiohttp.ClientSession(service, timeout=timeout, headers=with_key(key)) as http:
        started = await post(http, "/start", {"transport": transport, "body": {"bot": bot}})
    address: str = started["wsUrl"]
    return address


@asynccontextmanager
async def joined(
    address: str, make: type[Caller], *, key: str | None = None
) -> AsyncIterator[Caller]:
    """Come to a call at the address of a socket; hangs up at the end.

    Raises:
        TalkFailed: If the service cannot be reached or refuses, or the bot does not get ready.
    """
    try:
        socket = await open_socket(address, additional_headers=with_key(key), max_size=None)
    except (OSError, WebSocketException) as error:
        raise TalkFailed(f"the service cannot be reached: {error}") from error
    client = make(socket)
    client.begin_to_read()
    try:
        try:
            await client.open()
        except TimeoutError as error:
            message = "the bot did not get ready in time: see the log of the service"
            raise TalkFailed(message) from error
        yield client
    finally:
        await client.close()
