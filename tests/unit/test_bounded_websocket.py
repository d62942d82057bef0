"""What a peer at a WebSocket cannot have the server keep for it, by real sockets."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, ClassVar

import uvicorn
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from runner.bounded_websocket import MAX_FRAGMENTS, BoundedWebSocket
from runner.server import bind

PINGS = 60_000
TOO_BIG = 1009
ENDLESS = b"\x82\xff" + (1 << 40).to_bytes(8) + bytes(4)
"""The beginning of a message of a tebibyte, masked with nothing."""


class Seen(BoundedWebSocket):
    """One that a test can look at."""

    address: ClassVar[tuple[str, int]]
    now: ClassVar["Seen"]

    def connection_made(self, transport: Any) -> None:
        Seen.now = self
        self.has_received = asyncio.Event()
        self.lost = asyncio.Event()
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.lost.set()


async def echo(scope: Any, receive: Any, send: Any) -> None:
    assert scope["type"] == "websocket"
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        Seen.now.has_received.set()
        await send({"type": "websocket.send", "text": message["text"]})


@asynccontextmanager
async def serving() -> AsyncIterator[str]:
    with bind("127.0.0.1", 0) as sock:
        Seen.address = host, port = sock.getsockname()
        options: dict[str, Any] = {
            "ws": Seen,
            "ws_max_size": 1024,
            "ws_ping_interval": None,
            "lifespan": "off",
        }
        server = uvicorn.Server(uvicorn.Config(echo, log_level="error", **options))
        task = asyncio.create_task(server.serve(sockets=[sock]))
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        try:
            yield f"ws://{host}:{port}"
        finally:
            server.should_exit = True
            await task


async def test_pings_of_a_peer_that_does_not_read_are_not_answered_for_ever() -> None:
    async with serving() as url:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        sock.connect(Seen.address)
        sock.setblocking(False)
        async with connect(url, sock=sock, ping_interval=None) as client:
            client.transport.pause_reading()
            client.transport.write((b"\x89\xfd" + bytes(4 + 125)) * PINGS)
            await client.send("still there")
            await asyncio.wait_for(Seen.now.has_received.wait(), 30)
            assert Seen.now.transport.get_write_buffer_size() < 1_000_000
            client.transport.resume_reading()
            assert await asyncio.wait_for(client.recv(), 10) == "still there"


async def test_a_message_of_some_fragments_is_taken() -> None:
    async with serving() as url, connect(url) as client:
        await client.send(["still", " ", "there"])
        assert await asyncio.wait_for(client.recv(), 5) == "still there"


async def test_a_message_of_no_end_of_fragments_closes_the_connection() -> None:
    async with serving() as url, connect(url) as client:
        with suppress(ConnectionClosed):
            await client.send([""] * (MAX_FRAGMENTS + 2))
        await asyncio.wait_for(client.wait_closed(), 5)
        assert client.close_code == TOO_BIG


async def test_who_is_still_sending_what_is_too_big_hears_so() -> None:
    async with serving() as url, connect(url) as client:
        client.transport.pause_reading()
        sock = socket.fromfd(client.transport.get_extra_info("socket").fileno(), -1, -1)
        sock.settimeout(10)
        with sock:
            await asyncio.to_thread(sock.sendall, ENDLESS + bytes(8 << 20))
        client.transport.resume_reading()
        await asyncio.wait_for(client.wait_closed(), 5)
        assert client.close_code == TOO_BIG


async def test_who_goes_on_sending_is_not_read_for_ever() -> None:
    async with serving() as url, connect(url) as client:
        client.transport.pause_reading()
        client.transport.write(ENDLESS)
        while not client.transport.is_closing():
            client.transport.write(bytes(1 << 16))
            await asyncio.sleep(0.01)
        await asyncio.wait_for(Seen.now.lost.wait(), 1)
