"""Calls between two processes, here between two ends in one."""

import asyncio
import pickle
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from loguru import logger

from bots.errors import ConfigError, ParlanteError
from bots.models import ModelMissing
from runner.errors import SessionTaken, StartRateExceeded
from runner.launchers.channel import Channel, ChannelClosed


class Clerk:
    """What the other side may ask for."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.may_answer = asyncio.Event()

    async def add(self, one: int, other: int) -> int:
        return one + other

    async def wait(self) -> str:
        self.asked.set()
        await self.may_answer.wait()
        return "waited"

    async def refuse(self) -> None:
        raise SessionTaken("this session has its client")

    async def break_down(self) -> None:
        raise RuntimeError("not meant to happen")


@asynccontextmanager
async def two_ends(clerk: Clerk) -> AsyncIterator[tuple[Channel, "asyncio.Task[None]"]]:
    """Yield the end that asks, and the task of the one that answers."""
    one, other = socket.socketpair()
    asking, answering = await Channel.open(one), await Channel.open(other)
    serving = asyncio.create_task(answering.serve(clerk))
    hearing = asyncio.create_task(asking.serve(object()))
    try:
        yield asking, serving
    finally:
        for task in (serving, hearing):
            task.cancel()
        await asyncio.gather(serving, hearing, return_exceptions=True)


async def test_an_answer_does_not_wait_for_one_that_was_asked_for_before() -> None:
    clerk = Clerk()
    async with two_ends(clerk) as (channel, _):
        slow = asyncio.create_task(channel.ask("wait"))
        await clerk.asked.wait()
        assert await channel.ask("add", 2, 3) == 5
        clerk.may_answer.set()
        assert await slow == "waited"


async def test_a_refusal_is_raised_where_it_was_asked_for_with_its_code_and_words() -> None:
    async with two_ends(Clerk()) as (channel, _):
        with pytest.raises(SessionTaken, match="this session has its client"):
            await channel.ask("refuse")
        assert await channel.ask("add", 1, 1) == 2


async def test_who_waits_for_an_answer_is_told_when_the_other_side_is_gone() -> None:
    clerk = Clerk()
    async with two_ends(clerk) as (channel, serving):
        waiting = asyncio.create_task(channel.ask("wait"))
        await clerk.asked.wait()
        serving.cancel()
        with pytest.raises(ChannelClosed):
            await waiting
        with pytest.raises(ChannelClosed):
            await channel.ask("add", 1, 1)


async def test_an_answer_that_breaks_down_is_logged_where_it_did_and_the_next_is_given() -> None:
    said: list[str] = []
    sink = logger.add(said.append, format="{message}")
    try:
        async with two_ends(Clerk()) as (channel, _):
            with pytest.raises(ParlanteError, match="the log of the service"):
                await channel.ask("break_down")
            assert await channel.ask("add", 1, 1) == 2
    finally:
        logger.remove(sink)
    assert "not meant to happen" in "".join(said)


@pytest.mark.parametrize(
    "error",
    [
        ConfigError("voice.yaml", ["voice: is not there"]),
        StartRateExceeded("too fast", retry_after_secs=7),
        ModelMissing(["whisper"], Path("models")),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_errors_of_every_make_arrive_as_they_were(error: ParlanteError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), again.message, vars(again)) == (type(error), error.message, vars(error))
