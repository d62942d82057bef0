"""When a call ends, why, and that its connection is closed then."""

import asyncio
from typing import Any

import pytest

from bots.config import LimitConfig
from bots.errors import ParlanteError
from runner import lines
from runner.lines import EndReason, Health, Line, end_reason

LIMITS = LimitConfig(session_duration=100, join_timeout=20, lost_peer_timeout=5)
END_SECS = 5


@pytest.mark.parametrize(
    ("health", "reason"),
    [
        (Health(now=10, started_at=0, connected_at=None, lost_at=None), None),
        (Health(now=21, started_at=0, connected_at=None, lost_at=None), EndReason.NEVER_JOINED),
        (Health(now=50, started_at=0, connected_at=1, lost_at=None), None),
        (Health(now=50, started_at=0, connected_at=1, lost_at=46), None),
        (Health(now=52, started_at=0, connected_at=1, lost_at=46), EndReason.PEER_LOST),
        (Health(now=101, started_at=0, connected_at=1, lost_at=None), EndReason.MAX_DURATION),
    ],
)
def test_a_call_ends_for_the_right_reason(health: Health, reason: EndReason | None) -> None:
    assert end_reason(health, LIMITS) is reason


class Wire:
    """A connection of no kind in particular."""

    def __init__(self) -> None:
        self.is_up = True
        self.is_closed = False

    def is_connected(self) -> bool:
        return self.is_up

    async def disconnect(self) -> None:
        self.is_closed = True


class Talk:
    """A conversation that lasts until it is ended, or fails."""

    def __init__(self, error: Exception | None = None) -> None:
        self.over = asyncio.Event()
        self._error = error

    async def hold(self) -> None:
        if self._error:
            raise self._error
        await self.over.wait()


class Supervised:
    """A call under supervision."""

    def __init__(self, talk: Talk, **limits: float) -> None:
        self.wire = Wire()
        self.ends: list[EndReason] = []
        self.line = Line("1", self.wire, LimitConfig(**limits))  # type: ignore[arg-type]
        held: Any = talk
        self.line.start(held, self.ends.append)

    async def end(self) -> EndReason:
        async with asyncio.timeout(END_SECS):
            await self.line.until_ended()
        assert self.wire.is_closed
        [reason] = self.ends
        return reason


@pytest.fixture(autouse=True)
def look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "WATCH_INTERVAL_SECS", 0.01)


async def test_a_client_that_leaves_ends_its_call() -> None:
    talk = Talk()
    call = Supervised(talk)
    talk.over.set()
    assert await call.end() is EndReason.CLIENT_LEFT


async def test_a_connection_that_carries_nothing_for_too_long_ends_its_call() -> None:
    call = Supervised(Talk(), lost_peer_timeout=0.05)
    await asyncio.sleep(0.1)
    assert not call.ends
    call.wire.is_up = False
    assert await call.end() is EndReason.PEER_LOST


async def test_a_call_that_lasts_too_long_is_ended() -> None:
    assert await Supervised(Talk(), session_duration=0.05).end() is EndReason.MAX_DURATION


async def test_a_call_is_ended_when_it_is_stopped() -> None:
    call = Supervised(Talk())
    await call.line.stop()
    assert call.ends == [EndReason.STOPPED]
    assert call.wire.is_closed


@pytest.mark.parametrize("error", [ParlanteError("no voice"), KeyError("x")])
async def test_a_bot_that_fails_ends_its_call(error: Exception) -> None:
    assert await Supervised(Talk(error)).end() is EndReason.ERROR


async def test_whoever_stops_waiting_for_the_end_does_not_end_the_call() -> None:
    talk = Talk()
    call = Supervised(talk)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await call.line.until_ended()
    assert not call.ends
    talk.over.set()
    await call.end()
