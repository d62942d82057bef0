"""Fixtures of several unit tests."""

from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bots.database import connect
from bots.tools.desk import Desk
from runner.store import Store
from tests.database import Postgres
from tests.model_hub import dead_hub, hub, index

__all__ = ["dead_hub", "hub", "index"]


@pytest.fixture(autouse=True)
def any_load_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests are the load themselves."""
    monkeypatch.setenv("PARLANTE_VOICE__REALTIME__WORKER__LOAD_THRESHOLD", "1")


@pytest.fixture
async def in_file(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    engine = connect(None, tmp_path)
    yield engine
    await engine.dispose()


@pytest.fixture
async def on_server(postgres: Postgres, tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    engine = connect(SecretStr(postgres.url), tmp_path)
    async with engine.begin() as connection:
        await connection.execute(text("DROP SCHEMA public CASCADE"))
        await connection.execute(text("CREATE SCHEMA public"))
    yield engine
    await engine.dispose()


@pytest.fixture(params=["in_file", "on_server"])
def engine(request: pytest.FixtureRequest) -> AsyncEngine:
    """An empty database, of either kind."""
    engine: AsyncEngine = request.getfixturevalue(request.param)
    return engine


@pytest.fixture
async def store(engine: AsyncEngine) -> Store:
    store = Store(engine)
    await store.open()
    return store


@pytest.fixture
async def desk(engine: AsyncEngine) -> Desk:
    """Where tools write, on a Friday at noon."""
    desk = Desk(engine, lambda: datetime(2026, 11, 20, 12, 0))
    await desk.open()
    return desk
