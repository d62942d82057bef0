"""Writes the migration from the newest revision to what runner/tables.py has, to be looked at.

The types of our own columns have to be imported in it by hand.
"""

import asyncio
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from alembic import command
from sqlalchemy import Connection

from bots.database import connect
from runner.store import alembic_config, head, migrate


async def main(name: str) -> None:
    """Compare a new database with the tables.

    Args:
        name: What the migration does, in_words_like_these.
    """

    def write(connection: Connection) -> None:
        migrate(connection)
        revision = f"{int(head()) + 1:04}"
        command.revision(alembic_config(connection), name, autogenerate=True, rev_id=revision)

    with TemporaryDirectory() as folder:
        engine = connect(None, Path(folder))
        async with engine.begin() as connection:
            await connection.run_sync(write)
        await engine.dispose()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("say what it does: make migration NAME=add_users")
    asyncio.run(main(sys.argv[1]))
