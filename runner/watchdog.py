"""Notices that the event loop is late and where, that the machine is busy, and memory runs out."""

import asyncio
import faulthandler
from collections.abc import Callable

import psutil
from loguru import logger

from bots.config import WorkerConfig

LOOK_SECS = 0.25
"""How often the event loop is looked at."""

BLOCKED_SECS = 1.0
"""A lag that is heard as a gap in every call: what all threads are doing is then written to
standard error, by a thread that does not need Python for it."""

LOAD_SECS = 1.0
"""How often it is looked how busy the machine is."""

MEMORY_SECS = 10.0
"""How often the memory is looked at."""


async def watch_event_loop(note_lag: Callable[[float], None]) -> None:
    """Watch the running event loop until the task is cancelled.

    Args:
        note_lag: Told again and again how much later than it should the loop came round, in
            seconds.
    """
    loop = asyncio.get_running_loop()
    try:
        while True:
            faulthandler.dump_traceback_later(LOOK_SECS + BLOCKED_SECS)
            due = loop.time() + LOOK_SECS
            await asyncio.sleep(LOOK_SECS)
            lag_secs = loop.time() - due
            note_lag(lag_secs)
            if lag_secs >= BLOCKED_SECS:
                logger.error(
                    "the event loop was blocked for {:.1f} s: what it was doing after {:.1f} s is "
                    "written above, after 'Timeout'",
                    lag_secs,
                    BLOCKED_SECS,
                )
    finally:
        faulthandler.cancel_dump_traceback_later()


async def watch_load(note_load: Callable[[float], None]) -> None:
    """Watch how busy the machine is, until the task is cancelled.

    Args:
        note_load: Told again and again which share of all cores was busy since the last time.
    """
    # The first answer is of no time at all.
    psutil.cpu_percent()
    while True:
        await asyncio.sleep(LOAD_SECS)
        note_load(psutil.cpu_percent() / 100)


async def watch_memory(
    worker: Callable[[], WorkerConfig],
    stop: Callable[[], None],
    *,
    taken: Callable[[], int] | None = None,
) -> None:
    """Watch what this process takes, beside what it has taken so far, until the task is cancelled.

    A bot that leaks takes the memory of all calls: whoever starts the service again when it has
    ended (systemd, Kubernetes) has them go on in a new process.

    Args:
        worker: Returns how much that may be.
        stop: Called when it is more, and nothing is watched from then on.
        taken: Returns the bytes taken; None for the memory that is really there (RSS).
    """
    taken = taken or (lambda: psutil.Process().memory_info().rss)
    before, has_warned = taken(), False
    while True:
        await asyncio.sleep(MEMORY_SECS)
        megabytes, limits = (taken() - before) / 1e6, worker()
        if limits.memory_limit and megabytes > limits.memory_limit:
            logger.error("calls take {:.0f} MB: their process has to end", megabytes)
            return stop()
        is_much = limits.memory_warn and megabytes > limits.memory_warn
        if is_much and not has_warned:
            logger.warning("calls take {:.0f} MB: something may leak", megabytes)
        has_warned = bool(is_much)
