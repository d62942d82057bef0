"""What the services of a session have consumed."""

import sqlalchemy as sa
from alembic import op

from runner.tables import Text

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Bring a database to this revision."""
    op.create_table(
        "usage",
        sa.Column("session_id", Text(), nullable=False),
        sa.Column("kind", Text(), nullable=False),
        sa.Column("provider", Text(), nullable=False),
        sa.Column("model", Text(), nullable=False),
        sa.Column("amounts", sa.JSON(), nullable=False),
        sa.Column("cost", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["session_id"], ["sessions.id"], name=op.f("fk_usage_session_id")),
        sa.PrimaryKeyConstraint("session_id", "kind", "provider", "model", name=op.f("pk_usage")),
    )


def downgrade() -> None:
    """Bring a database back to the revision before."""
    op.drop_table("usage")
