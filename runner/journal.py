"""Writes down what happens in one session, in its order, without making the call wait."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain, repeat
from typing import Any, TypeAlias

from loguru import logger
from sqlalchemy.exc import SQLAlchemyError

from bots.errors import DatabaseUnavailable
from processors.transcript import ToolCall, ToolOutcome, Turn
from runner.happenings import Audience
from runner.lines import EndReason
from runner.store import Store
from runner.tables import (
    EventRow,
    NoticeRow,
    SessionRow,
    Table,
    ToolCallRow,
    TurnRow,
    UsageRow,
)

BACKLOG_ROWS = 1000
"""What may wait for the database; beyond, whoever reports waits, which is never the sound."""

RETRY_SECS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Pauses between the tries to reach the database; the last one again and again."""

Announce: TypeAlias = Callable[[str, datetime, Mapping[str, Any]], Sequence[NoticeRow]]
"""Writes the messages that tell other servers of an event: its kind, when it was, and its data."""

WRITTEN_SECS = 5.0
"""How long it may take until what must be on record is."""


class Journal:
    """The records of one session. Nothing is left out: a database that is away is waited for.

    Attributes:
        audience: Those who are told of everything as well, at once.

    Args:
        session_id: Whose they are.
        store: Where they go.
        announce: Writes what other servers are told of an event.
        last_sequence: The highest number that was given in the session before.
    """

    def __init__(
        self, session_id: str, store: Store, announce: Announce, last_sequence: int = 0
    ) -> None:
        self._session_id = session_id
        self._store = store
        self._announce = announce
        self._last_sequence = last_sequence
        self._unwritten = 0
        self._running_tools: dict[str, ToolCallRow] = {}
        self._rows: asyncio.Queue[Table] = asyncio.Queue(BACKLOG_ROWS)
        self.audience = Audience()
        self._writer = asyncio.create_task(self._write(), name=f"journal {session_id}")

    async def joined(self, *, is_first: bool) -> None:
        """Record that the client is there, for the first time or again."""
        if is_first:
            await self._put(SessionRow(id=self._session_id, joined_at=datetime.now(UTC)))
        await self.event("joined")

    async def turn(self, turn: Turn) -> None:
        """Record what somebody said."""
        await self._put(
            TurnRow(
                session_id=self._session_id,
                sequence=self._next(),
                speaker=turn.speaker.value,
                heard=turn.heard,
                generated=turn.generated,
                spoken=turn.spoken,
                started_at=turn.started_at,
                ended_at=turn.ended_at,
                interrupted=turn.interrupted,
            )
        )

    async def tool_call(self, call: ToolCall) -> None:
        """Record that a tool has begun, or what became of it; each may be told twice."""
        if call.outcome is ToolOutcome.RUNNING:
            if call.call_id in self._running_tools:
                return
            row = ToolCallRow(
                session_id=self._session_id,
                sequence=self._next(),
                call_id=call.call_id,
                tool=call.tool,
                outcome=call.outcome.value,
                arguments=call.arguments,
                result=None,
                started_at=call.at,
            )
            self._running_tools[call.call_id] = row
            await self._put(row)
        elif begun := self._running_tools.pop(call.call_id, None):
            await self._put(
                ToolCallRow(
                    session_id=begun.session_id,
                    sequence=begun.sequence,
                    call_id=begun.call_id,
                    tool=begun.tool,
                    outcome=call.outcome.value,
                    arguments=begun.arguments,
                    result=call.result,
                    error=call.error,
                    started_at=begun.started_at,
                    ended_at=call.at,
                )
            )

    async def usage(self, row: UsageRow) -> None:
        """Record what a service has consumed so far, in the place of what it had before."""
        await self._put(row)

    def forget_tools(self) -> None:
        """Take tools of the same ids for others from now on, because the call has ended."""
        self._running_tools.clear()

    async def event(self, kind: str, data: Mapping[str, Any] | None = None) -> None:
        """Record anything else."""
        row = EventRow(
            session_id=self._session_id,
            sequence=self._next(),
            at=datetime.now(UTC),
            kind=kind,
            data=dict(data or {}),
        )
        await self._put(row)
        for notice in self._announce(row.kind, row.at, row.data):
            await self._put(notice)

    async def written(self) -> None:
        """Wait until everything so far is in the database.

        Raises:
            DatabaseUnavailable: If that takes too long; it is still written when it can be.
        """
        try:
            async with asyncio.timeout(WRITTEN_SECS):
                await self._rows.join()
        except TimeoutError as error:
            raise DatabaseUnavailable(
                "the database is away: please try again in a moment"
            ) from error

    async def ended(self, reason: EndReason, usage: Mapping[str, Any]) -> None:
        """Record the end of the session, and what it has consumed, and finish."""
        await self.event("ended", {"reason": reason.value, "usage": usage})
        now = datetime.now(UTC)
        await self._put(SessionRow(id=self._session_id, ended_at=now, end_reason=reason.value))
        await self.finish()

    async def finish(self) -> None:
        """Wait until everything is written, and write no more; the session may go on elsewhere.

        It takes as long as the database is away. When cancelled, it tells in the log what is lost.
        """
        # Followers need not wait for the database.
        self.audience.end()
        try:
            await self._rows.join()
        finally:
            await self.close()

    async def close(self) -> None:
        """Write no more, and tell in the log what that loses."""
        self.audience.end()
        self._writer.cancel()
        await asyncio.gather(self._writer, return_exceptions=True)
        if self._unwritten:
            logger.error("session {}: {} records are lost", self._session_id, self._unwritten)

    def _next(self) -> int:
        self._last_sequence += 1
        return self._last_sequence

    async def _put(self, row: Table) -> None:
        if isinstance(row, TurnRow | ToolCallRow | EventRow):
            self.audience.tell(row)
        self._unwritten += 1
        await self._rows.put(row)

    async def _write(self) -> None:
        while True:
            rows = [await self._rows.get()]
            while not self._rows.empty():
                rows.append(self._rows.get_nowait())
            await self._save(rows)
            self._unwritten -= len(rows)
            for _ in rows:
                self._rows.task_done()

    async def _save(self, rows: list[Table]) -> None:
        for pause_secs in chain(RETRY_SECS, repeat(RETRY_SECS[-1])):
            try:
                return await self._store.save(rows)
            except DatabaseUnavailable as error:
                logger.warning("session {}: {}", self._session_id, error.message)
            except SQLAlchemyError as error:
                if len(rows) == 1:
                    kind = type(error).__name__
                    logger.error("session {}: {}: a record is lost", self._session_id, kind)
                    return None
                # The others are as good as ever.
                for row in rows:
                    await self._save([row])
                return None
            await asyncio.sleep(pause_secs)
