"""What is told of an event loop that is blocked, in a process of its own."""

import subprocess
import sys

from tests.service import ROOT

BLOCKED = """
import asyncio, contextlib, time
from runner.watchdog import watch_event_loop

def a_slow_tool(secs):
    time.sleep(secs)

async def main(secs):
    lags = []
    watching = asyncio.create_task(watch_event_loop(lags.append))
    await asyncio.sleep(0.1)
    a_slow_tool(secs)
    await asyncio.sleep(0.5)
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching
    print(max(lags))

asyncio.run(main({secs}))
"""


def block(secs: float) -> tuple[float, str]:
    """Block an event loop for so long; return the greatest lag, and what was told."""
    run = subprocess.run(
        [sys.executable, "-c", BLOCKED.format(secs=secs)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return float(run.stdout), run.stderr


def test_a_blocked_event_loop_is_told_with_what_blocks_it() -> None:
    lag_secs, told = block(2.0)
    assert lag_secs > 1.5
    assert "in a_slow_tool" in told
    assert "the event loop was blocked for" in told


def test_an_event_loop_that_is_a_little_late_is_only_counted() -> None:
    lag_secs, told = block(0.5)
    assert lag_secs > 0.2
    assert not told
