"""Services that keep a connection of their own to their provider."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from pipecat.frames.frames import CancelFrame, EndFrame
from pipecat.services.ai_service import AIService
from websockets.exceptions import ConnectionClosed


class OwnConnection(AIService):
    """Goes before a service's class that has Pipecat's `_connect` and `_disconnect`.

    Such a service connects when the call starts, which waits for it, and after a failure time and
    again. With this it connects ahead in the background, or when it is first asked for something,
    and is hung up on in the background when it has failed: the next who asks connects anew.
    """

    _may_connect = False
    _is_hanging_up = False
    _change: asyncio.Task[None] | None = None

    async def _connect(self) -> None:
        if self._may_connect:
            await super()._connect()  # type: ignore[misc]

    def connect_ahead(self) -> None:
        """Connect, in the background."""
        self._may_connect = True
        self._begin(self._connect())

    def hang_up(self) -> None:
        """Give the connection up, in the background."""
        if not self._is_hanging_up:
            self._is_hanging_up = True
            self._begin(self._hang_up(self._change))

    async def _hang_up(self, earlier: asyncio.Task[None] | None) -> None:
        try:
            if earlier:
                await self.cancel_task(earlier)
            try:
                await self._disconnect()  # type: ignore[attr-defined]
            except ConnectionClosed:
                # Its goodbye has failed, which it says once; it would go on to connect by itself.
                await self._disconnect()  # type: ignore[attr-defined]
        finally:
            self._is_hanging_up = False

    async def settle(self) -> None:
        """Wait until the connection may be used, or made, by who asks for something now."""
        if self._change:
            await asyncio.wait({self._change})
        self._may_connect = True
        # One whose key was refused is written off by Pipecat; its circuit says when to ask again.
        await self.set_usable(True)

    @property
    def _is_changing(self) -> bool:
        return self._change is not None and not self._change.done()

    def _begin(self, change: Coroutine[Any, Any, None]) -> None:
        self._change = self.create_task(change)

    async def _stop_changing(self) -> None:
        if self._change:
            await self.cancel_task(self._change)
            self._change = None

    async def stop(self, frame: EndFrame) -> None:
        """End with the call."""
        await self._stop_changing()
        await super().stop(frame)

    async def cancel(self, frame: CancelFrame) -> None:
        """End at once."""
        await self._stop_changing()
        await super().cancel(frame)

    async def cleanup(self) -> None:
        """Leave nothing running."""
        await self._stop_changing()
        await super().cleanup()
