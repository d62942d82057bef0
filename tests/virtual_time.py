"""An event loop whose clock stands still while anything is to be done, and jumps when nothing is.

What waits for hours is over in a moment, and always in the same order. Nothing that happens outside
of the loop, in threads or sockets, may be waited for.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


class _NoWaiting(selectors.DefaultSelector):
    """Notes how long it was asked to wait, and does not."""

    skipped_secs = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready now."""
        assert timeout is not None, "everything waits for something that will never come"
        self.skipped_secs += max(0.0, timeout)
        return super().select(0)


class _VirtualTimeLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._waits = _NoWaiting()
        super().__init__(self._waits)

    def time(self) -> float:
        return self._waits.skipped_secs


def run(main: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine in virtual time, from 0 s on."""
    with asyncio.Runner(loop_factory=_VirtualTimeLoop) as runner:
        return runner.run(main)
