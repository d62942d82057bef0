"""Notices that the event loop is late, and where it is blocked."""

import asyncio
import faulthandler
from collections.abc import Callable

from loguru import logger

LOOK_SECS = 0.25
"""How often the event loop is looked at."""

BLOCKED_SECS = 1.0
"""A lag that is heard as a gap in every call: what all threads are doing is then written to
standard error, by a thread that does not need Python for it."""


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
