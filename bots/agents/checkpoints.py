"""Where the threads of agents are kept: beside the database of the service, of the same kind."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy.engine import make_url

from bots.database import POOL_SECS
from bots.settings import Settings

if TYPE_CHECKING:
    # Its package is an extra.
    from langgraph.checkpoint.base import BaseCheckpointSaver

FILE = "threads.db"
"""In `data_dir`, where the database is a file. It is another one: the saver of LangGraph writes at
every step of an agent, by a connection of its own."""


class Checkpoints:
    """What keeps threads, opened when the first agent asks for it.

    Args:
        settings: Say which database; see `bots.database.connect`.
    """

    def __init__(self, settings: Settings) -> None:
        self._file = settings.data_dir / FILE
        self._url = settings.database_url
        self._lifetime = AsyncExitStack()
        self._opening: asyncio.Task[BaseCheckpointSaver[Any]] | None = None

    async def saver(self) -> "BaseCheckpointSaver[Any]":
        """Return what keeps threads, for all agents.

        Raises:
            Exception: Of the database's driver, if it cannot be reached; the next call tries again.
        """
        if self._opening is None or _has_failed(self._opening):
            self._opening = asyncio.create_task(self._open())
        # It is for all: one who is interrupted must not leave it half open.
        return await asyncio.shield(self._opening)

    async def close(self) -> None:
        """Close the connections; calls must have ended."""
        if self._opening:
            await asyncio.wait({self._opening})
        await self._lifetime.aclose()

    async def _open(self) -> "BaseCheckpointSaver[Any]":
        url = make_url(self._url.get_secret_value()) if self._url else None
        async with AsyncExitStack() as stack:
            if url and url.get_backend_name() in ("postgres", "postgresql"):
                address = url.set(drivername="postgresql").render_as_string(hide_password=False)
                saver = await _open_postgres(address, stack)
            else:
                saver = await _open_file(self._file, stack)
            self._lifetime = stack.pop_all()
        return saver


def _has_failed(task: "asyncio.Task[Any]") -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)


async def _open_file(path: Path, stack: AsyncExitStack) -> "BaseCheckpointSaver[Any]":
    import aiosqlite

    from bots.agents.whole_writes import WholeWritesSaver

    saver = WholeWritesSaver(await stack.enter_async_context(aiosqlite.connect(path)))
    stack.push_async_callback(saver.written)
    await saver.setup()
    return saver


async def _open_postgres(address: str, stack: AsyncExitStack) -> "BaseCheckpointSaver[Any]":
    from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
    from psycopg import AsyncConnection
    from psycopg.rows import DictRow, dict_row
    from psycopg_pool import AsyncConnectionPool

    # It replaces connections that are lost. The three options are what the saver needs.
    pool: AsyncConnectionPool[AsyncConnection[DictRow]] = AsyncConnectionPool(
        address,
        kwargs={"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row},
        min_size=1,
        max_size=10,
        timeout=POOL_SECS,
        check=AsyncConnectionPool.check_connection,
        open=False,
    )
    await stack.enter_async_context(pool)
    saver = AsyncPostgresSaver(pool)
    await saver.setup()
    return saver
