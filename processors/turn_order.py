"""Puts turns and tool calls into the order in which they began; transcripts may come late."""

from bisect import insort
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

T = TypeVar("T")

TRANSCRIPT_WAIT = timedelta(seconds=5)
"""How long a transcript may take after the user's last word; some never come."""


@dataclass
class _Place(Generic[T]):
    """A place in the order.

    Attributes:
        begun_at: When what belongs here began.
        ended_at: When the user had finished; None while they speak, and for what is there.
        item: What belongs here; None as long as it is not known.
    """

    begun_at: datetime
    ended_at: datetime | None = None
    item: T | None = None


class TurnOrder(Generic[T]):
    """Keeps what came early until what began before it is there, or will not come any more."""

    def __init__(self) -> None:
        self._places: list[_Place[T]] = []

    @property
    def is_waiting(self) -> bool:
        """Whether a transcript is due, or anything waits for one."""
        return bool(self._places)

    def begin(self, at: datetime) -> None:
        """Keep a place for what the user begins to say."""
        self._places.append(_Place(at))

    def end(self, at: datetime) -> None:
        """Note that the user has finished."""
        for place in self._places:
            if place.item is None and place.ended_at is None:
                place.ended_at = at

    def times(self, now: datetime) -> tuple[datetime, datetime]:
        """Return when that began and ended of which the next transcript is."""
        if place := self._awaited():
            return place.begun_at, place.ended_at or now
        return now, now

    def said(self, item: T, now: datetime) -> None:
        """Put in what the user has said, in the place that has waited longest."""
        if place := self._awaited():
            place.item = item
        else:
            self.add(item, now)

    def add(self, item: T, begun_at: datetime) -> None:
        """Put in something that is known when it comes."""
        insort(self._places, _Place(begun_at, item=item), key=lambda place: place.begun_at)

    def take(self, now: datetime) -> list[T]:
        """Take out what nothing has to be waited for any more."""
        taken: list[T] = []
        while self._places and self._is_settled(self._places[0], now):
            if (item := self._places.pop(0).item) is not None:
                taken.append(item)
        return taken

    def take_all(self) -> list[T]:
        """Take out everything there is: no more transcripts will come."""
        places, self._places = self._places, []
        return [place.item for place in places if place.item is not None]

    def _awaited(self) -> _Place[T] | None:
        return next((place for place in self._places if place.item is None), None)

    @staticmethod
    def _is_settled(place: _Place[T], now: datetime) -> bool:
        is_late = place.ended_at is not None and now - place.ended_at > TRANSCRIPT_WAIT
        return place.item is not None or is_late
