"""What a room at another service is: a place where the bot and its client meet."""

from dataclasses import dataclass
from typing import Protocol

from pipecat.runner.types import DialinSettings, RunnerArguments

from bots.config import LimitConfig

GRACE_SECS = 60
"""How long a room stays behind the longest call: for last words, and if nobody closes it."""


@dataclass(frozen=True)
class RoomPlan:
    """What a room is made for.

    Attributes:
        name: Names the room, and no other.
        session_id: The session that is held in it.
        user: Whose that is.
        limits: How long it may last, and for how many.
        token_secs: How long a client may wait before it comes.
        phone: The phone call that waits for the room; None if the client comes by itself.
    """

    name: str
    session_id: str
    user: str
    limits: LimitConfig
    token_secs: float
    phone: DialinSettings | None = None

    @property
    def longest_secs(self) -> float:
        """How long the room can be of use."""
        return self.limits.session_duration + GRACE_SECS


@dataclass(frozen=True)
class Room:
    """A room that is there.

    Attributes:
        url: Where the client goes.
        token: What lets the client in, and nobody else.
        bot: How the bot gets in.
    """

    url: str
    token: str
    bot: RunnerArguments


class RoomMaker(Protocol):
    """Makes rooms at one service.

    Every method raises `RoomUnavailable` if the service refuses or cannot be reached.
    """

    async def make(self, plan: RoomPlan) -> Room:
        """Make a room; if that fails, there is none."""

    async def enter(self, plan: RoomPlan) -> RunnerArguments:
        """Let a bot into a room that there is, because the bot that was in it has died."""

    async def check(self) -> None:
        """See whether rooms are to be had, without making one."""

    async def close(self, name: str) -> None:
        """Remove a room, and whoever is in it; do nothing if there is none of that name."""

    async def aclose(self) -> None:
        """Close the connections to the service."""
