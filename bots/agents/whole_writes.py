"""Keeps threads in a file of SQLite, whole: nobody who is interrupted leaves a write half done."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

Result = TypeVar("Result")


class WholeWritesSaver(AsyncSqliteSaver):
    """LangGraph's saver, whose writes come to their end also where who wants them is cancelled.

    Cancelled between its statement and its commit, one of LangGraph's holds the lock of the file
    until the next write of the same process: agents of calls in other processes fail meanwhile.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._writing: set[asyncio.Task[Any]] = set()

    async def aput(self, *args: Any, **kwargs: Any) -> RunnableConfig:
        """Keep a checkpoint."""
        return await self._to_the_end(super().aput(*args, **kwargs))

    async def aput_writes(self, *args: Any, **kwargs: Any) -> None:
        """Keep what steps have given."""
        await self._to_the_end(super().aput_writes(*args, **kwargs))

    async def written(self) -> None:
        """Wait for the end of the writes that have begun."""
        await asyncio.gather(*self._writing, return_exceptions=True)

    async def _to_the_end(self, write: Coroutine[Any, Any, Result]) -> Result:
        task = asyncio.create_task(write)
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)
        return await asyncio.shield(task)
