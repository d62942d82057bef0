"""What the service keeps of its users and their sessions, as tables.

What happens in a session is told by three tables that share one sequence: a number is given once in
a session, whichever table it is given in.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, DateTime, Dialect, ForeignKey, MetaData, String, TypeDecorator
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from bots.database import encodable


class UtcDateTime(TypeDecorator[datetime]):
    """A moment, kept in UTC; SQLite knows no zones and would lose it."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn a moment into one of UTC."""
        return value and value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Say of a moment that it is of UTC."""
        return value and value.replace(tzinfo=UTC)


class Text(TypeDecorator[str]):
    """Text of any origin; PostgreSQL takes none with a NUL, and nothing takes half a character."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Leave out every NUL, and halves of characters, which JSON can hold and UTF-8 cannot."""
        return value and encodable(value.replace("\0", ""))


class Table(DeclarativeBase):
    """What all tables have in common."""

    # Migrations can only change a constraint that has a name.
    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
        }
    )
    type_annotation_map = {datetime: UtcDateTime, str: Text}  # noqa: RUF012 - read by SQLAlchemy


class UserRow(Table):
    """Somebody who has a key, or has started a session.

    Attributes:
        config: What they want of every session; the set fields of `bots.config.ServiceWishes`.
    """

    __tablename__ = "users"

    id: Mapped[str] = mapped_column(primary_key=True)
    config: Mapped[Any | None] = mapped_column(JSON)


class ApiKeyRow(Table):
    """A key; one that is revoked stays."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    secret_hash: Mapped[str]
    is_operator: Mapped[bool]
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class SessionRow(Table):
    """A session, from its start on; one that has ended stays.

    Attributes:
        changes: What is different about its bot; the set fields of `bots.config.BotChanges`.
        token_hash: Of what lets its client in; see `runner.session.hash_of`.
        seen_at: When a service last had it; of one that died, this is the last sign of life.
    """

    __tablename__ = "sessions"

    id: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    room_name: Mapped[str]
    transport: Mapped[str]
    bot: Mapped[str]
    changes: Mapped[Any] = mapped_column(JSON)
    token_hash: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(index=True)
    joined_at: Mapped[datetime | None]
    seen_at: Mapped[datetime]
    ended_at: Mapped[datetime | None] = mapped_column(index=True)
    end_reason: Mapped[str | None]


class _InSession:
    """What has its place in the sequence of a session."""

    session_id: Mapped[str] = mapped_column(ForeignKey("sessions.id"), primary_key=True)
    sequence: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)


class TurnRow(_InSession, Table):
    """What somebody said; see `processors.transcript.Turn`."""

    __tablename__ = "turns"

    speaker: Mapped[str]
    heard: Mapped[str]
    generated: Mapped[str]
    spoken: Mapped[str]
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime]
    interrupted: Mapped[bool]


class ToolCallRow(_InSession, Table):
    """The call of a tool, from its start on; see `processors.transcript.ToolCall`."""

    __tablename__ = "tool_calls"

    call_id: Mapped[str]
    tool: Mapped[str]
    outcome: Mapped[str]
    arguments: Mapped[Any] = mapped_column(JSON)
    result: Mapped[Any] = mapped_column(JSON)
    error: Mapped[str | None]
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class EventRow(_InSession, Table):
    """Anything else that happened: a client that joined, the wait for an answer."""

    __tablename__ = "events"

    at: Mapped[datetime]
    kind: Mapped[str]
    data: Mapped[Any] = mapped_column(JSON)


class UsageRow(Table):
    """What one service has consumed in a session, so far.

    Attributes:
        model: Which of its models; "" where it has no name.
        amounts: How much; see `processors.usage.Amounts`.
        cost: What that costs; None where it has no price.
    """

    __tablename__ = "usage"

    session_id: Mapped[str] = mapped_column(ForeignKey("sessions.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    provider: Mapped[str] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(primary_key=True)
    amounts: Mapped[Any] = mapped_column(JSON)
    cost: Mapped[float | None]


class NoticeRow(Table):
    """A message to another server that has not arrived yet; see `runner.webhooks`.

    Attributes:
        body: What is sent, to the letter: it is signed.
        due_at: When it is tried next.
        tries: How often it was tried in vain.
    """

    __tablename__ = "notices"

    id: Mapped[str] = mapped_column(primary_key=True)
    url: Mapped[str]
    body: Mapped[str]
    due_at: Mapped[datetime] = mapped_column(index=True)
    tries: Mapped[int]
