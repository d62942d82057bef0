"""Lets what makes the processor work begin a few at a time, so that the rest is not held up."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager


class Turnstile:
    """Lets in so many at once, in the order in which they come.

    Who takes long lets the next one in: what hangs holds nobody up for ever.

    Args:
        at_once: How many.
        patience_secs: How long one of them keeps the next one waiting.
    """

    def __init__(self, at_once: int, patience_secs: float) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._patience_secs = patience_secs

    @asynccontextmanager
    async def passing(self) -> AsyncIterator[None]:
        """Wait for a place, and hold it within, but no longer than `patience_secs`."""
        await self._free.acquire()
        # At the latest then, and once.
        leaving = ExitStack()
        leaving.callback(self._free.release)
        late = asyncio.get_running_loop().call_later(self._patience_secs, leaving.close)
        try:
            yield
        finally:
            late.cancel()
            leaving.close()
