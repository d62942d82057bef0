"""A network between two WebRTC peers, as bad as a test wants it."""

import asyncio
import random
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
from aiohttp import web

Address = tuple[str, int]

CANDIDATE = re.compile(r"a=candidate:\S+ 1 udp \d+ (\d+\.\d+\.\d+\.\d+) (\d+) typ host\S*")
ANY_CANDIDATES = re.compile(r"(?:a=candidate:.*\r\n)+")


@dataclass(frozen=True)
class Weather:
    """What happens to packets on their way, in either direction.

    Attributes:
        loss: Share that is lost.
        swapped: Share that comes only after the packet that follows.
        jitter_secs: Longest random delay of a packet.
    """

    loss: float = 0.0
    swapped: float = 0.0
    jitter_secs: float = 0.0


class Relay:
    """Carries packets between two peers, each of which takes it for the other.

    Attributes:
        weather: May be changed at any time; fair at first, so that a connection comes about.
        lost: How many packets were lost.
    """

    def __init__(self, seed: int = 1) -> None:
        self.weather = Weather()
        self.lost = 0
        self.random = random.Random(seed)
        self._ends: list[_End] = []

    async def stand_for(self, sdp: str) -> str:
        """Return a description in which the relay has the address of the peer that made it.

        Call this with the offer, then with the answer.
        """
        found = CANDIDATE.search(sdp)
        assert found, sdp
        address, port = found[1], int(found[2])
        end = _End(self, (address, port))
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: end, local_addr=(address, 0))
        self._ends.append(end)
        if len(self._ends) == 2:
            one, two = self._ends
            one.other, two.other = two, one
        ours = found[0].replace(f" {address} {port} ", f" {address} {end.port} ")
        return ANY_CANDIDATES.sub(f"{ours}\r\n", sdp)

    def close(self) -> None:
        for end in self._ends:
            end.close()


class _End(asyncio.DatagramProtocol):
    """Has an address in place of a peer; what comes there leaves by the other end, for that peer.

    Args:
        relay: Whose end it is.
        peer: Where the peer really is.
    """

    def __init__(self, relay: Relay, peer: Address) -> None:
        self._relay = relay
        self._peer = peer
        self._held: bytes | None = None
        self._timers: set[asyncio.TimerHandle] = set()
        self.other: _End | None = None

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport

    @property
    def port(self) -> int:
        return self._transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, _: Address) -> None:
        weather, chance = self._relay.weather, self._relay.random
        if chance.random() < weather.loss:
            self._relay.lost += 1
        elif self._held is None and chance.random() < weather.swapped:
            self._held = data
        else:
            self._carry(data, chance.random() * weather.jitter_secs)
            if self._held is not None:
                self._carry(self._held, 0)
                self._held = None

    def close(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._transport.close()

    def _carry(self, data: bytes, delay: float) -> None:
        def send() -> None:
            self._timers.discard(timer)
            if self.other:
                self.other._transport.sendto(data, self._peer)

        timer = asyncio.get_running_loop().call_later(delay, send)
        self._timers.add(timer)


@asynccontextmanager
async def far_from(url: str) -> AsyncIterator[tuple[str, Relay]]:
    """Stand between one client and a service: its requests pass, its packets take the relay.

    Args:
        url: The service.

    Yields:
        The address for the client to call, and the relay.
    """
    relay = Relay()

    async def pass_on(request: web.Request) -> web.Response:
        body = await request.json()
        if is_offer := request.path.endswith("/offer"):
            body["sdp"] = await relay.stand_for(body["sdp"])
        async with http.request(request.method, request.path, json=body) as response:
            reply = await response.json()
        if is_offer:
            reply["sdp"] = await relay.stand_for(reply["sdp"])
        return web.json_response(reply, status=response.status)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", pass_on)
    runner = web.AppRunner(app)
    await runner.setup()
    async with aiohttp.ClientSession(url) as http:
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}", relay
        finally:
            relay.close()
            await runner.cleanup()
