"""The service's routes, limits and store, without any model."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
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
            httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
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


@dataclass(frozen=True)
class Refusal:
    """How a WebSocket was refused.

    Attributes:
        said: The messages before it was closed.
        code: Which it was closed with.
        reason: The same in words.
    """

    said: list[Any]
    code: int
    reason: str


async def knock(http: httpx.AsyncClient, path: str, **headers: str) -> Refusal:
    """Open a WebSocket of the service that is accepted, and then refused.

    Args:
        http: The client of the service.
        path: Which one, with its query.
        **headers: Sent along, with `_` for `-`.
    """
    sent: asyncio.Queue[Any] = asyncio.Queue()
    received: asyncio.Queue[Any] = asyncio.Queue()
    received.put_nowait({"type": "websocket.connect"})
    path, _, query = path.partition("?")
    named = {"host": "localhost", **{name.replace("_", "-"): it for name, it in headers.items()}}
    scope = {
        "type": "websocket",
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), it.encode()) for name, it in named.items()],
    }
    app: Any = http.app  # type: ignore[attr-defined]
    async with asyncio.timeout(5):
        await app(scope, received.get, sent.put)
    accepted, *said, closed = [sent.get_nowait() for _ in range(sent.qsize())]
    assert (accepted["type"], closed["type"]) == ("websocket.accept", "websocket.close")
    return Refusal([json.loads(it["text"]) for it in said], closed["code"], closed["reason"])
