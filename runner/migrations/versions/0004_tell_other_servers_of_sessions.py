"""Messages to other servers that have not arrived yet."""

import sqlalchemy as sa
from alembic import op

from runner.tables import Text, UtcDateTime

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Bring a database to this revision."""
    op.create_table(
        "notices",
        sa.Column("id", Text(), nullable=False),
        sa.Column("url", Text(), nullable=False),
        sa.Column("body", Text(), nullable=False),
        sa.Column("due_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notices")),
    )
    op.create_index(op.f("ix_notices_due_at"), "notices", ["due_at"])


def downgrade() -> None:
    """Bring a database back to the revision before."""
    op.drop_table("notices")
