"""Threads of agents on the disk, where several processes write."""

import asyncio
import sqlite3
from pathlib import Path

from langgraph.checkpoint.base import empty_checkpoint

from bots.agents.checkpoints import FILE, Checkpoints
from bots.settings import DEFAULT_CONFIG, load_settings

STEPS = 40
STEP_SECS = 0.0002


async def test_who_is_interrupted_as_a_thread_is_written_locks_nobody_out(tmp_path: Path) -> None:
    checkpoints = Checkpoints(load_settings(DEFAULT_CONFIG, {"data_dir": tmp_path}))
    saver = await checkpoints.saver()
    thread = {"configurable": {"thread_id": "a", "checkpoint_ns": ""}}
    another = sqlite3.connect(
        tmp_path / FILE, isolation_level=None, timeout=1, check_same_thread=False
    )
    try:
        for number in range(STEPS):
            writing = asyncio.create_task(
                saver.aput(thread, empty_checkpoint(), {"step": number}, {})  # type: ignore[arg-type]
            )
            # At whatever moment it is: a little later each time.
            await asyncio.sleep(number * STEP_SECS)
            writing.cancel()
            await asyncio.wait({writing})
            # This waits for a write that goes on, for a second.
            await asyncio.to_thread(_write, another)
    finally:
        another.close()
        await checkpoints.close()


def _write(database: sqlite3.Connection) -> None:
    database.execute("BEGIN IMMEDIATE")
    database.execute("COMMIT")
