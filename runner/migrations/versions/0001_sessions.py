"""Users, their keys and sessions, and what happens in those."""

import sqlalchemy as sa
from alembic import op

from runner.tables import Text, UtcDateTime

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Bring a database to this revision."""
    op.create_table(
        "users",
        sa.Column("id", Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", Text(), nullable=False),
        sa.Column("user_id", Text(), nullable=False),
        sa.Column("secret_hash", Text(), nullable=False),
        sa.Column("is_operator", sa.Boolean(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("revoked_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_api_keys_user_id"),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
    )
    op.create_table(
        "sessions",
        sa.Column("id", Text(), nullable=False),
        sa.Column("user_id", Text(), nullable=False),
        sa.Column("room_name", Text(), nullable=False),
        sa.Column("transport", Text(), nullable=False),
        sa.Column("bot", Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("joined_at", UtcDateTime(), nullable=True),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column("end_reason", Text(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_sessions_user_id"),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
    )
    op.create_index("ix_sessions_user_id", "sessions", ["user_id"])
    op.create_index("ix_sessions_created_at", "sessions", ["created_at"])
    op.create_table(
        "turns",
        *_place_in_session("turns"),
        sa.Column("speaker", Text(), nullable=False),
        sa.Column("heard", Text(), nullable=False),
        sa.Column("generated", Text(), nullable=False),
        sa.Column("spoken", Text(), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=False),
        sa.Column("interrupted", sa.Boolean(), nullable=False),
    )
    op.create_table(
        "tool_calls",
        *_place_in_session("tool_calls"),
        sa.Column("call_id", Text(), nullable=False),
        sa.Column("tool", Text(), nullable=False),
        sa.Column("outcome", Text(), nullable=False),
        sa.Column("arguments", sa.JSON(), nullable=False),
        sa.Column("result", sa.JSON(), nullable=False),
        sa.Column("error", Text(), nullable=True),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
    )
    op.create_table(
        "events",
        *_place_in_session("events"),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("kind", Text(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
    )


def downgrade() -> None:
    """Bring a database back to the revision before."""
    for table in ("events", "tool_calls", "turns", "sessions", "api_keys", "users"):
        op.drop_table(table)


def _place_in_session(table: str) -> tuple[sa.schema.SchemaItem, ...]:
    return (
        sa.Column("session_id", Text(), nullable=False),
        sa.Column("sequence", sa.Integer(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["session_id"], ["sessions.id"], name=f"fk_{table}_session_id"),
        sa.PrimaryKeyConstraint("session_id", "sequence", name=f"pk_{table}"),
    )
