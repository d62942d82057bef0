"""Pipecat's MCP client, which knows all its connections; its package is an extra."""

import asyncio
from typing import Any

from pipecat.services.mcp_service import MCPClient


class OwningMCPClient(MCPClient):
    """Ends those of its connections, too, that were given up as they were made.

    Pipecat's lets go of them: a program that was started for one would be killed in its own time,
    and not at all where this process ends before.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # What has each of them end.
        self._connections: dict[asyncio.Task[Any], asyncio.Event] = {}

    async def close(self) -> None:
        """Leave the server, and wait until all connections to it have ended."""
        await super().close()
        for closing in self._connections.values():
            closing.set()
        if self._connections:
            await asyncio.wait([*self._connections])

    async def _run_session(self, ready: "asyncio.Future[None]", closing: asyncio.Event) -> None:
        task = asyncio.current_task()
        assert task
        self._connections[task] = closing
        try:
            await super()._run_session(ready, closing)
        finally:
            del self._connections[task]
