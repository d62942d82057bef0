"""The service's routes, limits and store, without any model."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from bots.database import connect
from bots.resources import Resources
from bots.settings import DEFAULT_CONFIG, load_settings
from bots.tools.desk import Desk
from runner.app import create_app
from runner.auth import new_key
from runner.store import Store


@asynccontextmanager
async def service(**settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Open the service with these settings instead of those of voice.yaml; yield a client.

    The application is `client.app`.
    """
    loaded = load_settings(DEFAULT_CONFIG, settings)
    nothing = dict.fromkeys(
        ("speech", "local", "cloud_clients", "encoder", "checkpoints", "mcp_servers")
    )
    with TemporaryDirectory() as folder:
        database = connect(loaded.database_url, Path(folder))
        app = create_app(Resources(loaded, database=database, desk=Desk(database), **nothing))  # type: ignore[arg-type]
        transport = httpx.ASGITransport(app)
        async with (
            AsyncExitStack() as stack,
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://test") as client,
        ):
            stack.push_async_callback(database.dispose)
            client.app = app  # type: ignore[attr-defined]
            yield client


async def key_of(http: httpx.AsyncClient, user: str, *, is_operator: bool = False) -> str:
    """Make a key for a user of the service."""
    store: Store = http.app.state.store  # type: ignore[attr-defined]
    key, row = new_key(user, is_operator=is_operator)
    await store.add(row)
    return key
