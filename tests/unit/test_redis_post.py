"""Pipecat's bus over a real Redis server."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from pipecat.bus.messages import BusJobUpdateMessage, BusMessage
from pipecat.bus.subscriber import BusSubscriber
from redis.exceptions import RedisError

from bots.redis_post import RedisPost
from tests.redis import redis_program, run_redis

pytestmark = pytest.mark.skipif(not redis_program(), reason="needs redis-server")


class Listener(BusSubscriber):
    def __init__(self, name: str) -> None:
        self._name = name
        self.heard = asyncio.Queue[BusMessage]()

    @property
    def name(self) -> str:
        return self._name

    async def on_bus_message(self, message: BusMessage) -> None:
        self.heard.put_nowait(message)


def message(to: str, number: int) -> BusMessage:
    return BusJobUpdateMessage(source="test", target=to, job_id=str(number))


async def test_messages_get_to_their_target_in_their_order_also_when_redis_was_away() -> None:
    one, other = Listener("one"), Listener("other")
    with run_redis() as server:
        post = RedisPost(server.url, "test")
        async with asyncio.timeout(30), AsyncExitStack() as lifetime:
            for listener in (one, other):
                await post.deliver(listener, [listener.name, f"{listener.name}/too"], lifetime)
            # So that there are several connections, each of which breaks.
            await asyncio.gather(*(post.send(message("nobody", number)) for number in range(5)))
            for number in range(50):
                await post.send(message("one", number))
            await post.send(message("other/too", 50))
            heard = [(await one.heard.get()).job_id for _ in range(50)]  # type: ignore[attr-defined]
            assert heard == [str(number) for number in range(50)]
            assert (await other.heard.get()).target == "other/too"

            server.kill()
            with pytest.raises(RedisError):
                await post.send(message("one", 51))
            server.start()
            while one.heard.empty():
                await post.send(message("one", 52))
                await asyncio.sleep(0.1)
            assert one.heard.get_nowait().job_id == "52"  # type: ignore[attr-defined]
            assert other.heard.empty()
        await post.aclose()


async def test_installations_on_one_server_do_not_hear_each_other() -> None:
    names = ["one", "other"]
    listeners = {name: Listener("specialist") for name in names}
    with run_redis() as server:
        async with asyncio.timeout(30), AsyncExitStack() as lifetime:
            # Of pub/sub, a database is none of its own.
            urls = dict(zip(names, (server.url, server.url.replace("/0", "/1")), strict=True))
            posts = {name: RedisPost(urls[name], name) for name in names}
            for name, post in posts.items():
                lifetime.push_async_callback(post.aclose)
                await post.deliver(listeners[name], ["specialist"], lifetime)
            for name in names * 2:
                await posts[name].send(message("specialist", names.index(name)))
            heard = {
                name: [await it.heard.get() for _ in range(2)] for name, it in listeners.items()
            }
    assert {name: [it.job_id for it in them] for name, them in heard.items()} == {  # type: ignore[attr-defined]
        "one": ["0", "0"],
        "other": ["1", "1"],
    }


async def test_listening_ends_although_redis_is_away() -> None:
    with run_redis() as server:
        post = RedisPost(server.url, "test")
        async with asyncio.timeout(30):
            async with AsyncExitStack() as lifetime:
                await post.deliver(Listener("one"), ["one"], lifetime)
                server.kill()
            await post.aclose()
