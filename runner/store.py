"""Users, sessions and what happened in them, in the database."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Connection, delete, func, inspect, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from bots.database import connect, reachable
from bots.errors import ServiceUnavailable
from bots.settings import Settings
from runner.tables import (
    ApiKeyRow,
    EventRow,
    NoticeRow,
    SessionRow,
    Table,
    ToolCallRow,
    TurnRow,
    UsageRow,
    UserRow,
)

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).parent / "migrations"
MIGRATION_LOCK = 7_266_737_836
"""Held in PostgreSQL by the one process that migrates; any number that nobody else takes."""

QUERY_SECS = 5.0
"""How long the database may take; then it counts as one that cannot be reached."""


Happening = TypeVar("Happening", TurnRow, ToolCallRow, EventRow)


@dataclass(frozen=True)
class History:
    """What was said and done in one session."""

    session: SessionRow
    turns: list[TurnRow]
    tool_calls: list[ToolCallRow]

    @property
    def in_order(self) -> list[TurnRow | ToolCallRow]:
        """All of it, as it came."""
        return sorted([*self.turns, *self.tool_calls], key=lambda row: row.sequence)


class Store:
    """Reads and writes the tables of the service.

    Every method raises `DatabaseUnavailable` if the database cannot be reached.

    Args:
        engine: Connections to the database, closed by their owner.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._session = async_sessionmaker(engine, expire_on_commit=False)
        # SQLite lets one write at a time, and who waits for it asks again and again, in no order:
        # beside many others, somebody waits too long. Here they take turns.
        is_shared = engine.dialect.name == "postgresql"
        self._turn: AbstractAsyncContextManager[None] = (
            nullcontext() if is_shared else asyncio.Lock()
        )

    async def open(self) -> None:
        """Bring the tables to the form of this version; those of a new database are made."""
        async with reachable(), self._engine.begin() as connection:
            if self._engine.dialect.name == "postgresql":
                await connection.execute(
                    text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK}
                )
            await connection.run_sync(migrate)

    async def ping(self) -> None:
        """See whether the database answers."""
        async with self._reading() as session:
            await session.execute(text("SELECT 1"))

    async def add(self, row: SessionRow | ApiKeyRow) -> None:
        """Insert what is a user's, and the user with it if they are new."""
        async with self._writing() as session:
            # Two of their first sessions may be started at once.
            user = self._insert_user().values(id=row.user_id)
            await session.execute(user.on_conflict_do_nothing())
            session.add(row)

    async def config_of(self, user: str) -> dict[str, Any]:
        """Return what a user wants of every session; nothing, if they never said."""
        async with self._reading() as session:
            row = await session.get(UserRow, user)
            return dict(row.config or {}) if row else {}

    async def configure(self, user: str, config: dict[str, Any]) -> None:
        """Keep what a user wants of every session, in place of what they wanted before."""
        statement = self._insert_user().values(id=user, config=config)
        async with self._writing() as session:
            await session.execute(
                statement.on_conflict_do_update(index_elements=["id"], set_={"config": config})
            )

    async def save(self, rows: Iterable[Table]) -> None:
        """Insert rows or, where there is one of that key, change what is set; all of them or none.

        The same rows again change nothing, so that a write whose confirmation was lost can be
        repeated.
        """
        async with self._writing() as session:
            for row in rows:
                await session.merge(row)

    async def has_keys(self) -> bool:
        """Say whether a key was ever made, be it revoked or not."""
        async with self._reading() as session:
            return await session.scalar(select(ApiKeyRow.id).limit(1)) is not None

    async def api_key(self, key_id: str) -> ApiKeyRow | None:
        """Return what is kept of an API key; None if there is none of that name."""
        async with self._reading() as session:
            return await session.get(ApiKeyRow, key_id)

    async def api_keys(self) -> list[ApiKeyRow]:
        """Return what is kept of all API keys, the oldest first."""
        async with self._reading() as session:
            return list(await session.scalars(select(ApiKeyRow).order_by(ApiKeyRow.created_at)))

    async def session(self, session_id: str) -> SessionRow | None:
        """Return what is kept of a session itself; None if there never was one."""
        async with self._reading() as session:
            return await session.get(SessionRow, session_id)

    async def sessions(
        self, user: str | None, limit: int, *, active: bool | None = None
    ) -> list[SessionRow]:
        """Return the sessions of a user, the newest first, and at most so many.

        Args:
            user: Whose; None for everybody's.
            limit: How many.
            active: Whether those that go on, or those that have ended; None for both.
        """
        query = select(SessionRow).order_by(SessionRow.created_at.desc(), SessionRow.id)
        if user is not None:
            query = query.where(SessionRow.user_id == user)
        if active is not None:
            query = query.where(SessionRow.ended_at.is_(None) == active)
        query = query.limit(limit)
        async with self._reading() as session:
            return list(await session.scalars(query))

    async def history(self, row: SessionRow) -> History:
        """Return what was said and done in a session."""
        async with self._reading() as session:
            return History(
                row,
                await _of_session(session, TurnRow, row.id),
                await _of_session(session, ToolCallRow, row.id),
            )

    async def usage(self, session_id: str) -> list[UsageRow]:
        """Return what the services of a session have consumed in it."""
        query = select(UsageRow).where(UsageRow.session_id == session_id)
        async with self._reading() as session:
            return list(await session.scalars(query))

    async def happenings(self, session_id: str) -> list[TurnRow | ToolCallRow | EventRow]:
        """Return everything that happened in a session, in its order."""
        async with self._reading() as session:
            rows: list[TurnRow | ToolCallRow | EventRow] = [
                *await _of_session(session, TurnRow, session_id),
                *await _of_session(session, ToolCallRow, session_id),
                *await _of_session(session, EventRow, session_id),
            ]
        return sorted(rows, key=lambda row: row.sequence)

    async def last_sequence(self, session_id: str) -> int:
        """Return the highest number that was given in a session; 0 if none was."""
        async with self._reading() as session:
            highest = [
                await session.scalar(
                    select(func.max(table.sequence)).where(table.session_id == session_id)
                )
                for table in (TurnRow, ToolCallRow, EventRow)
            ]
        return max(number or 0 for number in highest)

    async def end(self, session_id: str, now: datetime, reason: str) -> SessionRow | None:
        """End a session, and return it; None if it has ended before."""
        query = (
            update(SessionRow)
            .where(SessionRow.id == session_id, SessionRow.ended_at.is_(None))
            .values(ended_at=now, end_reason=reason)
            .returning(SessionRow)
        )
        async with self._writing() as session:
            row: SessionRow | None = await session.scalar(query)
            return row

    async def keep_alive(self, session_ids: Collection[str], now: datetime) -> None:
        """Note that sessions have a service."""
        query = update(SessionRow).where(SessionRow.id.in_(session_ids)).values(seen_at=now)
        async with self._writing() as session:
            await session.execute(query)

    async def end_forsaken(self, seen_before: datetime, reason: str) -> list[SessionRow]:
        """End the sessions that no service has had since, and return them.

        Their end is the last moment that they had one.
        """
        forsaken = (SessionRow.ended_at.is_(None), SessionRow.seen_at < seen_before)
        query = (
            update(SessionRow)
            .where(*forsaken)
            .values(ended_at=SessionRow.seen_at, end_reason=reason)
            .returning(SessionRow)
        )
        async with self._writing() as session:
            return list(await session.scalars(query))

    async def claim_lost(
        self, transports: Collection[str], seen_before: datetime, now: datetime
    ) -> list[SessionRow]:
        """Return sessions that no service has had since, and let no other service have them.

        Args:
            transports: How their clients come.
            seen_before: When a service must have had them last.
            now: When this one has them.
        """
        query = (
            update(SessionRow)
            .where(
                SessionRow.ended_at.is_(None),
                SessionRow.transport.in_(transports),
                SessionRow.seen_at < seen_before,
            )
            .values(seen_at=now)
            .returning(SessionRow)
        )
        async with self._writing() as session:
            return list(await session.scalars(query))

    async def claim_notice(self, url: str, now: datetime, claim: timedelta) -> NoticeRow | None:
        """Return the message to a server that has been due longest, and let no other have it.

        Args:
            url: Of the server.
            now: None that is due later is returned; where none is left, None is.
            claim: For how long it is not due again.
        """
        due = (
            select(NoticeRow.id)
            .where(NoticeRow.url == url, NoticeRow.due_at <= now)
            .order_by(NoticeRow.due_at)
            .limit(1)
        )
        query = (
            update(NoticeRow)
            .where(NoticeRow.id == due.scalar_subquery(), NoticeRow.due_at <= now)
            .values(due_at=now + claim)
            .returning(NoticeRow)
        )
        async with self._writing() as session:
            row: NoticeRow | None = await session.scalar(query)
            return row

    async def put_off_notice(self, notice_id: str, due_at: datetime, tries: int) -> None:
        """Note when a message is to be tried again, and how often it was."""
        query = (
            update(NoticeRow).where(NoticeRow.id == notice_id).values(due_at=due_at, tries=tries)
        )
        async with self._writing() as session:
            await session.execute(query)

    async def forget_notice(self, notice_id: str) -> None:
        """Remove a message that has arrived, or never will."""
        async with self._writing() as session:
            await session.execute(delete(NoticeRow).where(NoticeRow.id == notice_id))

    def _insert_user(self) -> postgresql.Insert | sqlite.Insert:
        if self._engine.dialect.name == "postgresql":
            return postgresql.insert(UserRow)
        return sqlite.insert(UserRow)

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[AsyncSession]:
        async with reachable(QUERY_SECS), self._turn, self._session.begin() as session:
            yield session

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[AsyncSession]:
        async with reachable(QUERY_SECS), self._session() as session:
            yield session


@asynccontextmanager
async def open_store(settings: Settings) -> AsyncIterator[Store]:
    """Open the store of the settings for a moment, beside no service or one that runs.

    Raises:
        DatabaseUnavailable: If the database cannot be reached.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    engine = connect(settings.database_url, settings.data_dir)
    try:
        store = Store(engine)
        await store.open()
        yield store
    finally:
        await engine.dispose()


async def _of_session(
    session: AsyncSession, table: type[Happening], session_id: str
) -> list[Happening]:
    query = select(table).where(table.session_id == session_id).order_by(table.sequence)
    return list(await session.scalars(query))


def head() -> str:
    """Return the revision of the tables in this version."""
    return max(path.name.split("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def migrate(connection: Connection) -> None:
    """Run the migrations that a database has not had, over an open connection.

    Raises:
        ServiceUnavailable: If the database has had some that this version does not know.
    """
    if inspect(connection).has_table("alembic_version"):
        current = connection.scalar(text("SELECT version_num FROM alembic_version")) or ""
        if current == head():
            return
        if current > head():
            raise ServiceUnavailable(
                "the database is of a newer version of Parlante: use that, or another database"
            )
    # These take half a second to import, and most starts need none of it.
    from alembic import command

    command.upgrade(alembic_config(connection), "head")


def alembic_config(connection: Connection) -> "Config":
    """Return what Alembic's commands take, to work over an open connection."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config
