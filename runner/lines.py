"""The supervision of one call, whatever it comes over, and the reasons why it ends."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from loguru import logger

from bots.call import Conversation
from bots.config import LimitConfig
from bots.errors import ParlanteError
from runner import memory

WATCH_INTERVAL_SECS = 1.0
"""How often a call's connection and age are looked at."""

STOP_GRACE_SECS = 5.0
"""How long a pipeline may take to stop, before it is cancelled a second time."""


class EndReason(StrEnum):
    """Why a call ended."""

    CLIENT_LEFT = "client_left"
    """The client hung up."""
    PEER_LOST = "peer_lost"
    """The client went silent, or away, without a word."""
    NEVER_JOINED = "never_joined"
    """The client made an offer and did not connect."""
    MAX_DURATION = "max_duration"
    """The call reached its longest duration."""
    STOPPED = "stopped"
    """The service ended it."""
    ERROR = "error"
    """The bot failed; the log says how."""


@dataclass(frozen=True)
class Health:
    """What is seen of a call when it is looked at; times in seconds, on one clock."""

    now: float
    started_at: float
    connected_at: float | None
    lost_at: float | None


def end_reason(health: Health, limits: LimitConfig) -> EndReason | None:
    """Decide whether a call must be ended now, and why; None lets it go on."""
    if health.now - health.started_at > limits.session_duration:
        return EndReason.MAX_DURATION
    if health.connected_at is None and health.now - health.started_at > limits.join_timeout:
        return EndReason.NEVER_JOINED
    if health.lost_at is not None and health.now - health.lost_at > limits.lost_peer_timeout:
        return EndReason.PEER_LOST
    return None


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

    Attributes:
        connection: The same.
    """

    def __init__(self, session_id: str, connection: Connection, limits: LimitConfig) -> None:
        self.connection = connection
        self._session_id = session_id
        self._limits = limits
        self._stop = asyncio.Event()
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

    async def stop(self) -> None:
        """End the call and wait until it has ended."""
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
                reason = await self._watch(call) or await _outcome(call)
            finally:
                await _stop(call)
                await self.connection.disconnect()
                await asyncio.to_thread(memory.give_back)
                logger.info("the call has ended: {}", reason.value)
                on_end(reason)

    async def _watch(self, call: asyncio.Task[None]) -> EndReason | None:
        """Wait for a reason to end the call; None when it ends by itself."""
        started_at = time.monotonic()
        connected_at = lost_at = None
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
                    return EndReason.STOPPED
                now = time.monotonic()
                if self.connection.is_connected():
                    connected_at, lost_at = connected_at or now, None
                elif connected_at is not None:
                    lost_at = lost_at or now
                health = Health(now, started_at, connected_at, lost_at)
                if reason := end_reason(health, self._limits):
                    return reason
        finally:
            stop.cancel()
            await asyncio.gather(stop, return_exceptions=True)


async def _outcome(call: asyncio.Task[None]) -> EndReason:
    """Say how a call ended by itself; this is where the errors of bots end."""
    try:
        await call
    except ParlanteError as error:
        logger.error("{}: {}", error.code, error.message)
        return EndReason.ERROR
    except Exception:  # noqa: BLE001 - a bot is anybody's code: it must not take the service down
        logger.exception("the bot failed")
        return EndReason.ERROR
    return EndReason.CLIENT_LEFT


async def _stop(call: asyncio.Task[Any]) -> None:
    """Cancel a task until it ends, or give it up with a word in the log."""
    for _ in range(2):
        if call.done():
            return
        call.cancel()
        await asyncio.wait({call}, timeout=STOP_GRACE_SECS)
    if not call.done():
        logger.critical("the pipeline does not stop: it is abandoned")
