"""Many calls, one after the other: `make soak`."""

import asyncio
import gc
import os
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from aiortc import RTCPeerConnection

from bots.settings import load_settings
from runner.peer import connect
from runner.server import bind, running
from tests.service import until_no_session

CALLS = 50
SETTLED_AFTER = 10
MAX_GROWTH_BYTES = 20 * 1024 * 1024


@pytest.fixture
async def own_service(tmp_path: Path) -> AsyncIterator[str]:
    """The service in this process, where its tasks and threads can be counted."""
    settings = load_settings(None, {"data_dir": str(tmp_path)})
    sock = bind("127.0.0.1", 0)
    async with running(settings, sock):
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"


def left_over() -> dict[str, int]:
    gc.collect()
    return {
        "tasks": len(asyncio.all_tasks()),
        # Those of the event loop's own pool come one by one, up to its bound, and stay.
        "threads": sum(not thread.name.startswith("asyncio_") for thread in threading.enumerate()),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "peer connections": sum(type(o) is RTCPeerConnection for o in gc.get_objects()),
    }


def more_than(before: dict[str, int]) -> dict[str, int]:
    return {what: count for what, count in left_over().items() if count > before[what]}


async def test_fifty_calls_one_after_the_other_leave_nothing_behind(own_service: str) -> None:
    memory = psutil.Process()
    left_over()  # looking takes memory too, once
    for number in range(CALLS):
        async with connect(own_service) as peer:
            await peer.wait_for_state("speaking", timeout=20)
        await until_no_session(own_service, timeout=10)
        if number == SETTLED_AFTER - 1:
            before, rss_bytes = left_over(), memory.memory_info().rss
    with suppress(TimeoutError):
        async with asyncio.timeout(5):
            # Threads of executors end a moment after they were told to.
            while more_than(before):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
    assert not more_than(before)
    assert memory.memory_info().rss - rss_bytes < MAX_GROWTH_BYTES
