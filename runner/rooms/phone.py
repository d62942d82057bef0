"""Phone calls: each gets one session, however often it is told of."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from runner.rooms.daily import SIGNATURE_SECS

REMEMBERED_SECS = 2 * SIGNATURE_SECS
"""A message may be signed for a moment that is as much in the future."""


@dataclass
class _Call:
    session: str | None = None
    being_taken: asyncio.Lock = field(default_factory=asyncio.Lock)


class PhoneCalls:
    """Remembers which session a call has, for as long as the same message can come again.

    That is when who has sent it has not got the answer, or somebody else sends what they have
    signed.
    """

    def __init__(self) -> None:
        self._calls: dict[str, _Call] = {}

    async def take(self, call_id: str, start: Callable[[], Awaitable[str]]) -> str:
        """Return what names the session of a call, or lets into it.

        Args:
            call_id: Names the call.
            start: Starts a session for it, which is done once; what it raises is passed on, and
                the next message has it tried again.
        """
        if call_id not in self._calls:
            self._calls[call_id] = _Call()
            loop = asyncio.get_running_loop()
            loop.call_later(REMEMBERED_SECS, self._calls.pop, call_id, None)
        call = self._calls[call_id]
        async with call.being_taken:
            if call.session is None:
                call.session = await start()
            return call.session
