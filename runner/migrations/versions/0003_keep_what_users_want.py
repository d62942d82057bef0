"""What users want of every session."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Bring a database to this revision."""
    with op.batch_alter_table("users") as users:
        users.add_column(sa.Column("config", sa.JSON(), nullable=True))


def downgrade() -> None:
    """Bring a database back to the revision before."""
    with op.batch_alter_table("users") as users:
        users.drop_column("config")
