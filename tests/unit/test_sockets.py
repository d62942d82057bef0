"""Who may open a WebSocket, and how one is seen that leads nowhere."""

import asyncio
from collections.abc import Collection

import pytest
from starlette.types import Message
from starlette.websockets import WebSocket

from runner import sockets
from runner.errors import OriginNotAllowed
from runner.sockets import SocketConnection, check_origin

SECURE = "https://voice.example"


class Network:
    """What uvicorn is to a WebSocket; it can be full, or closed."""

    def __init__(self, headers: dict[str, str] | None = None) -> None:
        self.free = asyncio.Event()
        self.free.set()
        self.is_closed = False
        self.sent: list[Message] = []
        self.received: list[Message] = [{"type": "websocket.connect"}]
        self.scope = {
            "type": "websocket",
            "headers": [(k.encode(), v.encode()) for k, v in (headers or {}).items()],
        }

    async def receive(self) -> Message:
        return self.received.pop(0)

    async def send(self, message: Message) -> None:
        await self.free.wait()
        if self.is_closed:
            raise RuntimeError("closed")
        self.sent.append(message)

    def socket(self, patience_secs: float = 10) -> SocketConnection:
        return SocketConnection(WebSocket(self.scope, self.receive, self.send), patience_secs)


@pytest.mark.parametrize(
    ("origin", "host", "allowed"),
    [
        (None, "localhost:7860", []),
        ("http://localhost:7860", "localhost:7860", []),
        ("http://LOCALHOST:7860", "localhost:7860", []),
        (SECURE, "voice.example", []),
        (SECURE, "localhost:7860", [SECURE]),
        (SECURE, "localhost:7860", ["*"]),
    ],
)
def test_who_is_no_page_or_a_welcome_one_may_come(
    origin: str | None, host: str, allowed: Collection[str]
) -> None:
    check_origin(Network(headers(origin, host)).socket(), allowed)


@pytest.mark.parametrize(
    ("origin", "host", "allowed"),
    [
        (SECURE, "localhost:7860", []),
        ("http://localhost:7861", "localhost:7860", []),
        ("http://localhost", "localhost:7860", []),
        ("null", "localhost:7860", []),
        ("null", "", []),
        ("https://voice.example.org", "localhost:7860", [SECURE]),
        ("", "localhost:7860", []),
    ],
)
def test_a_page_from_elsewhere_may_not(origin: str, host: str, allowed: Collection[str]) -> None:
    with pytest.raises(OriginNotAllowed):
        check_origin(Network(headers(origin, host)).socket(), allowed)


def headers(origin: str | None, host: str) -> dict[str, str]:
    return {"host": host} | ({} if origin is None else {"origin": origin})


async def test_a_peer_that_stops_reading_counts_as_lost_until_it_reads_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sockets, "STALLED_SECS", 0.02)
    network = Network()
    socket = network.socket()
    assert not socket.is_connected()
    await socket.accept()
    assert socket.is_connected()

    network.free.clear()
    sending = asyncio.create_task(socket.send_bytes(b"1"))
    await asyncio.sleep(0.04)
    assert not socket.is_connected()

    network.free.set()
    await sending
    assert socket.is_connected()
    await asyncio.sleep(0.04)
    assert socket.is_connected(), "nothing waits to be sent"


async def test_a_peer_that_does_not_read_for_too_long_is_given_up() -> None:
    network = Network()
    socket = network.socket(patience_secs=0.02)
    await socket.accept()
    network.free.clear()
    with pytest.raises(TimeoutError):
        await socket.send_bytes(b"1")
    network.free.set()
    assert not socket.is_connected()
    await socket.disconnect()
    assert len(network.sent) == 1, "it was accepted, and nothing more"


async def test_closing_does_not_wait_for_a_peer_that_does_not_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sockets, "CLOSE_SECS", 0.02)
    network = Network()
    socket = network.socket()
    await socket.accept()
    network.free.clear()
    async with asyncio.timeout(1):
        await socket.disconnect()
    network.free.set()


async def test_a_socket_that_the_server_has_closed_takes_nothing_more() -> None:
    network = Network()
    socket = network.socket()
    await socket.accept()
    network.is_closed = True
    with pytest.raises(RuntimeError):
        await socket.send_bytes(b"1")
    assert not socket.is_connected()
    await socket.disconnect()


async def test_a_long_reason_is_cut_to_what_a_close_frame_holds() -> None:
    network = Network()
    socket = network.socket()
    await socket.accept()
    await socket.refuse(4003, "ü" * 100)
    assert network.sent[-1] == {"type": "websocket.close", "code": 4003, "reason": "ü" * 61}
    await socket.refuse(4003, "again")
    assert len(network.sent) == 2


@pytest.mark.parametrize(
    ("end", "is_lost"),
    [
        ({"code": 1005}, True),
        ({"code": 1006}, True),
        ({"code": 1005, "reason": ""}, False),
        ({"code": 1001, "reason": "the page is closed"}, False),
        ({"code": 1012}, False),
    ],
)
async def test_a_peer_that_goes_without_a_word_is_lost(end: Message, is_lost: bool) -> None:
    network = Network()
    network.received.append({"type": "websocket.disconnect", **end})
    socket = network.socket()
    await socket.accept()
    await socket.receive()
    assert socket.is_lost is is_lost
    assert not socket.is_connected()


async def test_of_many_messages_at_once_each_lets_others_have_their_turn() -> None:
    network = Network()
    network.received += [{"type": "websocket.receive", "text": ""}] * 100
    socket = network.socket()
    await socket.accept()
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(take_turns())
    for _ in range(100):
        await socket.receive()
    assert turns > 90
    other.cancel()
    await asyncio.gather(other, return_exceptions=True)
