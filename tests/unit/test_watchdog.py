"""What is told of an event loop that is blocked, in a process of its own."""

import asyncio
import subprocess
import sys

from loguru import logger

from bots.config import WorkerConfig
from runner.watchdog import MEMORY_SECS, watch_memory
from tests import virtual_time
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


def watched(sizes_mb: list[float], **worker: float) -> tuple[list[str], int]:
    """Let a process take so much every ten seconds; return what was logged, and how often it was
    stopped."""
    stops: list[str] = []
    sizes = iter([*(int(size * 1e6) for size in sizes_mb), *[0] * 10])

    async def watch() -> None:
        watching = asyncio.create_task(
            watch_memory(
                lambda: WorkerConfig(**worker),
                stop=lambda: stops.append("stop"),
                taken=lambda: next(sizes),
            )
        )
        await asyncio.sleep((len(sizes_mb) - 0.5) * MEMORY_SECS)
        watching.cancel()
        await asyncio.wait({watching})

    said: list[str] = []
    sink = logger.add(lambda message: said.append(str(message)), format="{level}: {message}")
    virtual_time.run(watch())
    logger.remove(sink)
    return said, len(stops)


def test_memory_beside_the_models_is_warned_of_whenever_it_has_become_too_much() -> None:
    said, stops = watched([1000, 1600, 1701, 1800, 1200, 1900])
    assert said == [
        "WARNING: calls take 701 MB: something may leak\n",
        "WARNING: calls take 900 MB: something may leak\n",
    ]
    assert not stops


def test_the_service_is_stopped_once_when_memory_has_run_out() -> None:
    said, stops = watched([1000, 1499, 1501, 1600], memory_warn=0, memory_limit=500)
    assert said == ["ERROR: calls take 501 MB: their process has to end\n"]
    assert stops == 1
