"""Calls a bot over any of the protocols."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from runner.clients.client import Client, TalkFailed
from runner.clients.json_sockets import (
    OpenAiClient,
    RealtimeClient,
    SandwichClient,
    VoiceAgentClient,
)
from runner.clients.rtvi_socket import RtviSocketClient
from runner.clients.sockets import SocketClient, address_of, joined
from runner.peer import connect

WEBRTC = "webrtc"

SOCKETS: dict[str, type[SocketClient]] = {
    "websocket": RtviSocketClient,
    "voice-agent": VoiceAgentClient,
    "sandwich": SandwichClient,
    "realtime": RealtimeClient,
    "openai-realtime": OpenAiClient,
}

PROTOCOLS = (WEBRTC, *SOCKETS)


@asynccontextmanager
async def dial(
    protocol: str,
    url: str,
    *,
    bot: str | None = None,
    key: str | None = None,
    relay_only: bool = False,
) -> AsyncIterator[Client]:
    """Call a bot; hangs up at the end.

    Args:
        protocol: One of `PROTOCOLS`.
        url: The service, such as `http://localhost:7860`, or a socket of it.
        bot: Who is called; None for the default bot.
        key: An API key; None where the service is open.
        relay_only: Whether WebRTC is to go by way of a TURN server, as from behind a strict
            firewall.

    Raises:
        TalkFailed: If the service cannot be reached or refuses.
    """
    if protocol == WEBRTC:
        async with connect(url, bot=bot, key=key, relay_only=relay_only) as peer:
            yield peer
        return
    if relay_only:
        raise TalkFailed("--relay-only goes with WebRTC: a socket needs no TURN server")
    address = await address_of(url, protocol, bot=bot, key=key)
    async with joined(address, SOCKETS[protocol], key=key) as client:
        yield client
