"""What the tools of all bots have in common: how they answer and refuse, and where they write."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from typing import Any, Protocol, TypeVar

from pipecat.services.llm_service import FunctionCallParams
from sqlalchemy import Select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import DeclarativeBase

TOOL_SECS = 15.0
"""How long a tool may take, unless Pipecat's `@tool_options(timeout_secs=...)` says otherwise. The
language model is told that it was cancelled then."""

Result = Mapping[str, Any]
"""What a tool tells the language model."""


class Table(DeclarativeBase):
    """A table that tools write to. It is made when a bot with it is first loaded."""


Row = TypeVar("Row", bound=Table)


class Refusal(Exception):
    """A wish that cannot be met.

    Attributes:
        code: What is wrong, for programs.
        ask: What the bot should say or ask next.
    """

    def __init__(self, code: str, ask: str) -> None:
        super().__init__(code, ask)
        self.code = code
        self.ask = ask

    def __str__(self) -> str:
        return f"{self.code}: {self.ask}"


@dataclass(frozen=True)
class Desk:
    """Where tools write, and what time it is there.

    Attributes:
        database: Connections to the database, closed by their owner.
        clock: The local time, without a zone.
    """

    database: AsyncEngine
    clock: Callable[[], datetime] = datetime.now

    async def open(self) -> None:
        """Make the tables that are not there."""
        async with self.database.begin() as connection:
            await connection.run_sync(Table.metadata.create_all)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        """Read and write rows, which can be used afterwards; all is written at the end, or nothing.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: If it cannot be.
        """
        async with AsyncSession(self.database, expire_on_commit=False) as session, session.begin():
            yield session

    async def insert_once(self, row: Row, same: Select[Row]) -> Row:
        """Insert a row, and return it; or return the same one that is there already.

        Args:
            row: To be inserted.
            same: Selects the one that keeps it out, by what is unique in the table.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: If neither can be done.
        """
        try:
            async with self.session() as session:
                if there := await session.scalar(same):
                    return there
                session.add(row)
            return row
        except IntegrityError:
            # Another call has inserted it at the same moment.
            async with self.session() as session:
                return (await session.scalars(same)).one()


class Transfer(Protocol):
    """Puts the caller of one call through to a person."""

    def ask(self) -> None:
        """Put them through when the bot has told them so; once, however often it is asked."""


@dataclass(frozen=True)
class ToolResources:
    """What the tools of one call find.

    Attributes:
        desk: Where they write.
        transfer: Puts the caller through to a person; None where that cannot be done.
    """

    desk: Desk
    transfer: Transfer | None = None


def desk_of(params: FunctionCallParams) -> Desk:
    """Return the desk of a call in which a tool runs."""
    resources: ToolResources = params.app_resources
    return resources.desk


def transfer_of(params: FunctionCallParams) -> Transfer | None:
    """Return what puts the caller of a call through to a person; None where that cannot be done.

    It can where they have come by phone, and the settings say who takes calls.
    """
    resources: ToolResources = params.app_resources
    return resources.transfer


def tool(function: Callable[..., Awaitable[Result]]) -> Callable[..., Awaitable[None]]:
    """Make a tool for Pipecat of an async function that returns what the language model is told.

    Where it raises a `Refusal`, that is told: under "error" what is wrong, and under "ask" what the
    bot should say or ask next.
    """

    @wraps(function)
    async def told(params: FunctionCallParams, **arguments: Any) -> None:
        try:
            result = await function(params, **arguments)
        except Refusal as refusal:
            result = {"error": refusal.code, "ask": refusal.ask}
        await params.result_callback(result)

    return told
