"""The port that the service listens at."""

import asyncio
import socket

import pytest

from runner.server import PortUnavailable, bind

HOST = "127.0.0.1"


async def test_what_is_sent_is_sent_at_once() -> None:
    """Else the second piece of an answer waits for the client to acknowledge the first: 40 ms."""
    accepted: asyncio.Queue[int] = asyncio.Queue()

    def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sock = writer.get_extra_info("socket")
        accepted.put_nowait(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    server = await asyncio.start_server(accept, sock=bind(HOST, 0))
    async with server:
        port = server.sockets[0].getsockname()[1]
        _, writer = await asyncio.open_connection(HOST, port)
        has_no_delay = await asyncio.wait_for(accepted.get(), 5)
        writer.close()
        await writer.wait_closed()
    assert has_no_delay


def test_a_port_that_is_in_use_is_told_as_such() -> None:
    with bind(HOST, 0) as sock:
        sock.listen()
        port = sock.getsockname()[1]
        with pytest.raises(PortUnavailable, match=f"port {port} is in use"):
            bind(HOST, port)
