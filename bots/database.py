"""The database of a process: SQLite in a file, or PostgreSQL by URL."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from sqlalchemy import event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from bots.errors import DatabaseUnavailable, ServiceUnavailable

DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
}
"""URLs as hosting services give them, and what reads them here."""

LOCK_MS = 5000
"""How long a writer of SQLite waits for another."""

SQLITE_CONNECTIONS = 3
"""Each is a thread. Of a crowd that comes at once, few query at once: those that only have to be
told that they cannot be served do not wait for them."""

POOL_SECS = 5.0
"""How long a query waits for a connection to PostgreSQL."""


def connect(url: SecretStr | None, data_dir: Path) -> AsyncEngine:
    """Return the connections to a database, none of which is open yet.

    Args:
        url: As it is configured; None for a file in `data_dir`.
        data_dir: Where that is.

    Raises:
        ServiceUnavailable: If the URL cannot be read, is of another kind of database, or its driver
            is not installed.
    """
    address = _address(url.get_secret_value() if url else f"sqlite:///{data_dir / 'parlante.db'}")
    # An error would put what people said into the log.
    options = {"json_serializer": to_json, "hide_parameters": True}
    if address.get_backend_name() == "sqlite":
        engine = create_async_engine(
            address, pool_size=SQLITE_CONNECTIONS, max_overflow=0, **options
        )
        event.listen(engine.sync_engine, "connect", _set_up_sqlite)
        return engine
    try:
        return create_async_engine(address, pool_pre_ping=True, pool_timeout=POOL_SECS, **options)
    except ModuleNotFoundError as error:
        raise ServiceUnavailable(
            "PostgreSQL needs its driver: pip install 'parlante[postgres]'"
        ) from error


@asynccontextmanager
async def reachable(timeout_secs: float | None = None) -> AsyncIterator[None]:
    """Say of what is done within, if it fails for that, that the database cannot be reached.

    Args:
        timeout_secs: How long it may take; None for as long as it takes.

    Raises:
        DatabaseUnavailable: If the database does not answer, or not in time.
    """
    try:
        async with asyncio.timeout(timeout_secs):
            yield
    except (OperationalError, InterfaceError, PoolTimeout, OSError) as error:
        cause = getattr(error, "orig", None) or error
        raise DatabaseUnavailable(
            f"the database cannot be reached ({type(cause).__name__}): see PARLANTE_DATABASE_URL, "
            "or try again in a moment"
        ) from error


def _address(url: str) -> URL:
    """Read a URL, and name the async driver in it."""
    try:
        address = make_url(url)
    except ArgumentError:
        # Its message would hold the password.
        raise ServiceUnavailable(
            "database_url cannot be read: expected postgresql://USER:PASSWORD@HOST/DATABASE"
        ) from None
    driver = DRIVERS.get(address.drivername, address.drivername)
    if driver not in DRIVERS.values():
        raise ServiceUnavailable(
            f"database_url: '{address.drivername}' is not supported: use postgresql or sqlite"
        )
    if "sqlite" in driver and address.database in (None, "", ":memory:"):
        raise ServiceUnavailable("database_url: what is kept needs a file: sqlite:///PATH")
    return address.set(drivername=driver)


def to_json(value: Any) -> str:
    """Write anything as JSON, as text where JSON has nothing for it."""
    try:
        text = json.dumps(value, default=str, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError):
        # Keys that are no text, infinite numbers, a list that holds itself.
        text = json.dumps(str(value), ensure_ascii=False)
    return encodable(text)


def encodable(text: str) -> str:
    """Return text with "?" for each half of a character, which no encoding has."""
    return text.encode(errors="replace").decode()


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    # What was confirmed to a caller is on the disk, also after a power cut.
    settings = (
        "journal_mode=WAL",
        "synchronous=FULL",
        f"busy_timeout={LOCK_MS}",
        "foreign_keys=ON",
    )
    for pragma in settings:
        connection.execute(f"PRAGMA {pragma}")
