"""How a stand-in is served."""

import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from aiohttp import web


@asynccontextmanager
async def serving(*routes: web.RouteDef, port: int = 0) -> AsyncIterator[str]:
    """Serve routes on a port of the loopback address; yield it as `host:port`.

    Args:
        *routes: What is served.
        port: One that `reserved_port` keeps; 0 for any that is free.
    """
    app = web.Application()
    app.router.add_routes(routes)
    # An answer that hangs does so only as long as somebody waits for it.
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, reuse_port=bool(port)).start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"{host}:{port}"
    finally:
        await runner.cleanup()


@contextmanager
def reserved_port() -> Iterator[int]:
    """Keep a port of the loopback address for stand-ins, of which one after the other has it.

    Between them connections are refused.
    """
    with socket.socket() as kept:
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        kept.bind(("127.0.0.1", 0))
        yield kept.getsockname()[1]
