"""What happens in a session, told to whoever follows it while it goes on."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from runner.tables import EventRow, ToolCallRow, TurnRow
from runner.transcripts import entry

MOST_UNREAD = 256
"""What may wait for a follower: a call has some ten of these in a turn."""


@dataclass(frozen=True)
class Happening:
    """Something that happened in a session.

    Attributes:
        kind: `turn`, `tool_call`, `state`, or that of an `EventRow`.
        at: When, UTC.
        data: What, in a form that goes with the kind, and can be written as JSON.
        sequence: Its place in the session. A tool is told of twice under one number, when it begins
            and when it is over. None for what is not kept.
    """

    kind: str
    at: datetime
    data: Any
    sequence: int | None = None


Told = TurnRow | ToolCallRow | EventRow | Happening
"""What followers are told: what is kept is told as it is kept."""


def happening(told: Told) -> Happening:
    """Return what a row tells of."""
    match told:
        case Happening():
            return told
        case TurnRow():
            return Happening("turn", told.ended_at, entry(told), told.sequence)
        case ToolCallRow():
            at = told.ended_at or told.started_at
            return Happening("tool_call", at, entry(told), told.sequence)
        case EventRow():
            return Happening(told.kind, told.at, told.data, told.sequence)


class Follower:
    """Hears of everything that happens, in its order, until it is over or reads too slowly."""

    def __init__(self) -> None:
        self._unread: asyncio.Queue[Told | None] = asyncio.Queue(MOST_UNREAD + 1)

    def tell(self, told: Told) -> bool:
        """Take something that happened; return whether more can be taken."""
        if self._unread.qsize() == MOST_UNREAD:
            self.end()
            return False
        self._unread.put_nowait(told)
        return True

    def end(self) -> None:
        """Take nothing any more."""
        self._unread.put_nowait(None)

    async def __aiter__(self) -> AsyncIterator[Happening]:
        """Yield what happens, when it does."""
        while told := await self._unread.get():
            yield happening(told)


class Audience:
    """Those who follow one session."""

    def __init__(self) -> None:
        self._followers: set[Follower] = set()

    @contextmanager
    def follow(self) -> Iterator[Follower]:
        """Follow the session for a while."""
        follower = Follower()
        self._followers.add(follower)
        try:
            yield follower
        finally:
            self._followers.discard(follower)

    def tell(self, told: Told) -> None:
        """Tell all of them; one who reads too slowly is told no more."""
        self._followers = {one for one in self._followers if one.tell(told)}

    def end(self) -> None:
        """Tell all of them that nothing more will happen here."""
        for follower in self._followers:
            follower.end()
        self._followers = set()
