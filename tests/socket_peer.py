"""Clients over a WebSocket, in the protocol of Pipecat's websocket transport."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from runner.clients.rtvi_socket import RtviSocketClient, audio
from runner.clients.sockets import joined

__all__ = ["audio"]


class Muted(RtviSocketClient):
    """A client whose microphone sends nothing, not even silence."""

    async def keep_talking(self) -> None:
        pass


async def start(url: str) -> str:
    """Start a session; return the address of its socket."""
    async with aiohttp.ClientSession(url) as http:
        wish = {"transport": "websocket", "body": {}}
        async with http.post("/start", json=wish) as response:
            answer = await response.json()
            assert response.status == 200, answer
    assert set(answer) == {"wsUrl"}, "Pipecat's client takes no other key"
    address: str = answer["wsUrl"]
    return address


@asynccontextmanager
async def connect_by_socket(url: str) -> AsyncIterator[RtviSocketClient]:
    """Call the default bot; hangs up at the end."""
    async with join_by_socket(await start(url)) as peer:
        yield peer


@asynccontextmanager
async def join_by_socket(address: str, *, muted: bool = False) -> AsyncIterator[RtviSocketClient]:
    """Come to a session that was started; hangs up at the end.

    Args:
        address: Of its socket.
        muted: Whether the microphone sends nothing, not even silence.
    """
    async with joined(address, Muted if muted else RtviSocketClient) as client:
        yield client
