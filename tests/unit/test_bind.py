"""The port that the service listens at."""

import asyncio
import socket

import pytest

from runner.server import PortUnavailable, bind, bound_waiting

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


class Unread(asyncio.Protocol):
    """Sends more than its peer reads, and closes."""

    def __init__(self) -> None:
        self.lost = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(bytes(16 * 1024 * 1024))
        transport.close()

    def connection_lost(self, _: Exception | None) -> None:
        self.lost.set()


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="Linux has it")
async def test_a_connection_ends_although_its_peer_does_not_read_what_is_left_to_send() -> None:
    protocol = Unread()
    sock = bind(HOST, 0)
    bound_waiting(sock, 0.5)
    server = await asyncio.get_running_loop().create_server(lambda: protocol, sock=sock)
    async with server:
        with socket.create_connection(sock.getsockname()):
            await asyncio.wait_for(protocol.lost.wait(), 5)
