"""Processes get ready a few at a time, and one that hangs does not stop the others."""

import asyncio

from runner.launchers.turnstile import Turnstile
from tests import virtual_time


def entries(*stays_secs: float) -> list[float]:
    """Return when each of some who come at once gets in, two at a time, with a patience of 3 s."""

    async def main() -> list[float]:
        turnstile = Turnstile(2, 3)
        loop = asyncio.get_running_loop()

        async def one(stay_secs: float) -> float:
            async with turnstile.passing():
                entered = loop.time()
                await asyncio.sleep(stay_secs)
            return entered

        return await asyncio.gather(*(one(stay_secs) for stay_secs in stays_secs))

    return virtual_time.run(main())


def test_two_get_in_at_once_and_the_next_as_one_has_left() -> None:
    assert entries(1, 2, 1, 1) == [0, 0, 1, 2]


def test_who_takes_too_long_lets_one_in_and_not_another_as_they_leave_at_last() -> None:
    assert entries(10, 10, 9, 9, 1) == [0, 0, 3, 3, 6]


def test_who_gives_up_waiting_takes_no_place() -> None:
    async def main() -> float:
        turnstile = Turnstile(1, 30)
        loop = asyncio.get_running_loop()
        async with turnstile.passing():
            try:
                async with asyncio.timeout(1), turnstile.passing():
                    raise AssertionError("there was no place")
            except TimeoutError:
                pass
        async with turnstile.passing():
            return loop.time()

    assert virtual_time.run(main()) == 1
