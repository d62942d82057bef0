"""Pipecat's bus over Redis, of which each address is a channel."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

from pipecat.bus.bus import WorkerBus
from pipecat.bus.messages import BusMessage
from pipecat.bus.network.redis import RedisBus
from pipecat.bus.subscriber import BusSubscriber
from pipecat.utils.asyncio.task_manager import TaskManager
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.exceptions import RedisError

from bots.errors import ServiceUnavailable

CONNECT_SECS = 2.0
CLOSE_SECS = 2.0
RETRY_SECS = 0.5
"""How long is waited at most before a connection that is lost is tried again."""

_KEEPALIVE = {"TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 2}
KEEPALIVE = {
    getattr(socket, name): value for name, value in _KEEPALIVE.items() if hasattr(socket, name)
}
"""A connection whose other end has vanished is given up after 15 s, where the system can do that
for one connection."""


class RedisPost:
    """See `processors.agent_bus.Post`.

    Args:
        url: Of the Redis server.
        prefix: Goes before the name of each channel; who has another one is not reached.
    """

    def __init__(self, url: str, prefix: str) -> None:
        self._url = url
        self._prefix = prefix
        # Once more, because of connections that have broken since they were used. So a message may
        # arrive twice.
        self._sender = self._connect(Retry(NoBackoff(), 1), socket_timeout=CONNECT_SECS)

    async def send(self, message: BusMessage) -> None:
        """Send a message to its target.

        Raises:
            redis.exceptions.RedisError: If Redis cannot be reached.
        """
        assert message.target
        # A bus that is not started only publishes.
        await RedisBus(redis=self._sender, channel=self._channel(message.target)).send(message)

    async def deliver(
        self, subscriber: BusSubscriber, addresses: Sequence[str], lifetime: AsyncExitStack
    ) -> None:
        """Have a subscriber get what is sent to some addresses, also after Redis was away.

        It waits until Redis is there.
        """
        for address in addresses:
            await lifetime.enter_async_context(self._bus(subscriber, address))

    async def ping(self) -> None:
        """See whether Redis is there, and lets this in.

        Raises:
            ServiceUnavailable: If it is not, or does not.
        """
        try:
            await self._sender.ping()
        except RedisError as error:
            raise ServiceUnavailable(f"bus.redis_url: {error}") from error

    async def aclose(self) -> None:
        """Close the connections that send, until something is sent again."""
        await self._sender.aclose()

    @asynccontextmanager
    async def _bus(self, subscriber: BusSubscriber, address: str) -> AsyncIterator[WorkerBus]:
        forever = Retry(ExponentialBackoff(cap=RETRY_SECS, base=0.05), -1)
        redis = self._connect(forever)
        bus = RedisBus(redis=redis, channel=self._channel(address))
        try:
            await bus.setup(TaskManager(loop=asyncio.get_running_loop()))
            await bus.subscribe(subscriber)
            await bus.start()
            yield bus
        finally:
            with suppress(TimeoutError, RedisError):
                async with asyncio.timeout(CLOSE_SECS):
                    await bus.stop()
            await redis.aclose()

    def _channel(self, address: str) -> str:
        return f"{self._prefix}:{address}"

    def _connect(self, retry: Retry, **more: Any) -> Redis:
        return Redis.from_url(
            self._url,
            retry=retry,
            socket_connect_timeout=CONNECT_SECS,
            socket_keepalive=True,
            socket_keepalive_options=KEEPALIVE,
            **more,
        )
