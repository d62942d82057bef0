"""The supervision of one call, whatever it comes over, and the reasons why it ends."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from loguru import logger

from bots.call import Conversation
from bots.config import AnnouncementConfig, LimitConfig
from bots.errors import ParlanteError
from runner import memory
from runner.sockets import SocketConnection

WATCH_INTERVAL_SECS = 1.0
"""How often a call's connection and age are looked at."""

STOP_GRACE_SECS = 5.0
"""How long a pipeline may take to stop, before it is cancelled a second time."""


FAREWELL_SECS = 15.0
"""How long the last words may take that a call is ended with, and what the bot is saying before."""


class EndReason(StrEnum):
    """Why a call ended."""

    HUNG_UP = "hung_up"
    """The client said that it hangs up, or the bot did."""
    TRANSFERRED = "transferred"
    """The caller was put through to a person."""
    CLIENT_LEFT = "client_left"
    """The client closed its connection, and did not come back."""
    PEER_LOST = "peer_lost"
    """The client went silent, or away, without a word, and did not come back."""
    EMPTY_ROOM = "empty_room"
    """The client left the room that the bot was in, and did not come back."""
    NEVER_JOINED = "never_joined"
    """The client made an offer and did not connect."""
    MAX_DURATION = "max_duration"
    """The session reached its longest duration."""
    BUDGET_SPENT = "budget_spent"
    """The session has cost what it may cost."""
    USER_IDLE = "user_idle"
    """The user said nothing any more, not even when asked."""
    DRAINED = "drained"
    """The service was asked to stop, and could not wait any longer for the end of the call."""
    DELETED = "deleted"
    """Its user, or an operator, ended it through the API."""
    STOPPED = "stopped"
    """The service ended it at once."""
    STUCK = "stuck"
    """The bot ended the call, and its pipeline did not come to its end."""
    ERROR = "error"
    """The bot failed; the log says how."""
    CRASHED = "crashed"
    """The process of the bot died, or took too much memory, and the client did not come back."""
    FORSAKEN = "forsaken"
    """The service was killed, and the client did not come back to another."""


@dataclass(frozen=True)
class Health:
    """What is seen of a call when it is looked at; times in seconds, on one clock.

    Attributes:
        now: When that is.
        started_at: When the bot began to wait for its client.
        connected_at: When the client was first seen; None if it never was.
        lost_at: Since when it is not seen any more; None while it is.
        is_in_room: Whether the bot is in a room that stays when the client leaves.
        age_secs: How old the session was when this call of it began.
        cost: What the session has cost so far.
        is_answering: Whether the bot thinks or speaks.
    """

    now: float
    started_at: float
    connected_at: float | None
    lost_at: float | None
    is_in_room: bool = False
    age_secs: float = 0.0
    cost: float = 0.0
    is_answering: bool = False

    @property
    def session_secs(self) -> float:
        """How long the session has lasted."""
        return self.age_secs + self.now - self.started_at


def end_reason(health: Health, limits: LimitConfig) -> EndReason | None:
    """Decide whether a call must be ended now, and why; None lets it go on."""
    if health.session_secs > limits.session_duration:
        return EndReason.MAX_DURATION
    if health.connected_at is None and health.now - health.started_at > limits.join_timeout:
        return EndReason.NEVER_JOINED
    if limits.budget and health.cost >= limits.budget and not health.is_answering:
        return EndReason.BUDGET_SPENT
    if health.lost_at is None:
        return None
    lost_secs = health.now - health.lost_at
    if health.is_in_room:
        return EndReason.EMPTY_ROOM if lost_secs > limits.empty_timeout else None
    return EndReason.PEER_LOST if lost_secs > limits.lost_peer_timeout else None


def is_nearly_up(health: Health, limits: LimitConfig) -> bool:
    """Say whether it is time to warn the user of the session's longest duration."""
    if not 0 < limits.duration_warning < limits.session_duration:
        return False
    return health.session_secs > limits.session_duration - limits.duration_warning


class Connection(Protocol):
    """What a call comes over."""

    def is_connected(self) -> bool:
        """Say whether anything gets through to the client now."""

    async def disconnect(self) -> None:
        """Close it; do nothing if it is closed."""


class Line:
    """One call under supervision.

    Args:
        session_id: Names the call in the log.
        connection: What the call comes over; closed at its end.
        limits: When it has to end.
        announcements: What the bot says before that, and then.
        is_in_room: Whether the bot is in a room that stays when the client leaves.
        age_secs: How old the session is, of which this may not be the first call.

    Attributes:
        connection: The same.
    """

    def __init__(
        self,
        session_id: str,
        connection: Connection,
        limits: LimitConfig,
        announcements: AnnouncementConfig,
        *,
        is_in_room: bool = False,
        age_secs: float = 0.0,
    ) -> None:
        self.connection = connection
        self._age_secs = age_secs
        self._session_id = session_id
        self._is_in_room = is_in_room
        self._limits = limits
        self._announcements = announcements
        self._farewells = {
            EndReason.MAX_DURATION: announcements.time_is_up,
            EndReason.BUDGET_SPENT: announcements.budget_spent,
            EndReason.DRAINED: announcements.closing,
        }
        self._stop = asyncio.Event()
        self._stop_reason = EndReason.STOPPED
        self._supervisor: asyncio.Task[None] | None = None

    def start(self, conversation: Conversation, on_end: Callable[[EndReason], None]) -> None:
        """Let the bot wait for its client.

        Args:
            conversation: The bot in this call.
            on_end: Told why the call ended, as the last thing that happens.
        """
        self._supervisor = asyncio.create_task(
            self._supervise(conversation, on_end), name=f"session {self._session_id}"
        )

    async def stop(self, reason: EndReason = EndReason.STOPPED) -> None:
        """End the call, with a last word to the user if there is one, and wait for its end.

        Args:
            reason: Why; the first to stop the call decides.
        """
        if not self._stop.is_set():
            self._stop_reason = reason
        self._stop.set()
        await self.until_ended()

    async def until_ended(self) -> None:
        """Wait for the end of a call that has been started; giving up does not end it."""
        assert self._supervisor
        await asyncio.shield(self._supervisor)

    async def _supervise(
        self, conversation: Conversation, on_end: Callable[[EndReason], None]
    ) -> None:
        """Own the task of the call, from its start to its end."""
        with logger.contextualize(session=self._session_id):
            call = asyncio.create_task(conversation.hold())
            reason = EndReason.STOPPED
            try:
                reason = await self._watch(call, conversation) or await _outcome(
                    call, conversation, self.connection
                )
                if farewell := self._farewells.get(reason):
                    with suppress(TimeoutError):
                        async with asyncio.timeout(FAREWELL_SECS):
                            await conversation.finish(farewell)
                            await asyncio.wait({call})
            finally:
                await _stop(call, conversation)
                await self.connection.disconnect()
                await asyncio.to_thread(memory.give_back)
                logger.info("the call has ended: {}", reason.value)
                on_end(reason)

    async def _watch(
        self, call: asyncio.Task[None], conversation: Conversation
    ) -> EndReason | None:
        """Wait for a reason to end the call; None when it ends by itself."""
        started_at = time.monotonic()
        connected_at = lost_at = ending_at = None
        is_warned = False
        stop = asyncio.create_task(self._stop.wait())
        try:
            while True:
                await asyncio.wait(
                    {call, stop},
                    timeout=WATCH_INTERVAL_SECS,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if call.done():
                    return None
                if stop.done():
                    return self._stop_reason
                now = time.monotonic()
                if self.connection.is_connected():
                    connected_at, lost_at = connected_at or now, None
                elif connected_at is not None:
                    lost_at = lost_at or now
                if conversation.is_ending:
                    ending_at = ending_at or now
                    if now - ending_at > FAREWELL_SECS:
                        logger.error("the pipeline does not come to its end: it is cancelled")
                        return EndReason.STUCK
                health = Health(
                    now,
                    started_at,
                    connected_at,
                    lost_at,
                    self._is_in_room,
                    self._age_secs,
                    conversation.cost,
                    conversation.is_answering,
                )
                if reason := end_reason(health, self._limits):
                    return reason
                if not is_warned and is_nearly_up(health, self._limits):
                    is_warned = True
                    await conversation.say(self._announcements.nearly_up)
        finally:
            stop.cancel()
            await asyncio.gather(stop, return_exceptions=True)


async def _outcome(
    call: asyncio.Task[None], conversation: Conversation, connection: Connection
) -> EndReason:
    """Say how a call ended by itself; this is where the errors of bots end."""
    try:
        await call
    except ParlanteError as error:
        logger.error("{}: {}", error.code, error.message)
        return EndReason.ERROR
    except Exception:  # noqa: BLE001 - a bot is anybody's code: it must not take the service down
        logger.exception("the bot failed")
        return EndReason.ERROR
    if conversation.is_deserted:
        return EndReason.USER_IDLE
    if conversation.is_put_through:
        return EndReason.TRANSFERRED
    if not conversation.has_lost_client:
        return EndReason.HUNG_UP
    is_lost = isinstance(connection, SocketConnection) and connection.is_lost
    return EndReason.PEER_LOST if is_lost else EndReason.CLIENT_LEFT


async def _stop(call: asyncio.Task[Any], conversation: Conversation) -> None:
    """Cancel a call until it ends, or give it up with a word in the log."""
    if conversation.is_ending and not call.done():
        await conversation.break_off()
        await asyncio.wait({call}, timeout=STOP_GRACE_SECS)
    for _ in range(2):
        if call.done():
            return
        call.cancel()
        await asyncio.wait({call}, timeout=STOP_GRACE_SECS)
    if not call.done():
        logger.critical("the pipeline does not stop: it is abandoned")
