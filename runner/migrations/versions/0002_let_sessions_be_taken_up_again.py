"""What a session is taken up again by: its token, its bot's changes, its last sign of life."""

import sqlalchemy as sa
from alembic import op

from runner.tables import Text, UtcDateTime

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Bring a database to this revision; no token opens the sessions that it has."""
    with op.batch_alter_table("sessions") as sessions:
        sessions.add_column(sa.Column("changes", sa.JSON(), nullable=True))
        sessions.add_column(sa.Column("token_hash", Text(), nullable=True))
        sessions.add_column(sa.Column("seen_at", UtcDateTime(), nullable=True))
        sessions.create_index("ix_sessions_ended_at", ["ended_at"])
    op.execute("UPDATE sessions SET changes = '{}', token_hash = '', seen_at = created_at")
    with op.batch_alter_table("sessions") as sessions:
        for name, kind in (
            ("changes", sa.JSON()),
            ("token_hash", Text()),
            ("seen_at", UtcDateTime()),
        ):
            sessions.alter_column(name, existing_type=kind, nullable=False)


def downgrade() -> None:
    """Bring a database back to the revision before."""
    with op.batch_alter_table("sessions") as sessions:
        sessions.drop_index("ix_sessions_ended_at")
        for name in ("seen_at", "token_hash", "changes"):
            sessions.drop_column(name)
