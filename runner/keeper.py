"""Keeps the sessions and the store together: who lives, whom nobody has, whom to take up again."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from loguru import logger
from sqlalchemy.exc import SQLAlchemyError

from bots.errors import DatabaseUnavailable, ParlanteError
from runner.lines import EndReason
from runner.sessions import SessionManager
from runner.store import Store
from runner.tables import SessionRow

SIGN_OF_LIFE_SECS = 15.0
"""How often the store is told which sessions have a service."""

LOST_SECS = 2.5 * SIGN_OF_LIFE_SECS
"""A session of which the store has heard nothing for so long has lost its service."""


class Keeper:
    """Looks after the sessions of this service, and after those that have lost theirs.

    Args:
        sessions: Those of this service.
        store: Those of all.
    """

    def __init__(self, sessions: SessionManager, store: Store) -> None:
        self._sessions = sessions
        self._store = store
        self._is_closed = asyncio.Event()

    async def keep(self) -> None:
        """Tell the store again and again which sessions live, and see to those that no service has.

        Runs until `close`. Nobody must cancel it: a connection to the database that is being made
        would be left open.
        """
        was_there = False
        while not self._is_closed.is_set():
            try:
                await self._store.keep_alive(self._sessions.here, datetime.now(UTC))
                # A database that was away has to be told by other services first what they have.
                if was_there:
                    await self._end_forsaken()
                    await self._take_up_lost()
                was_there = True
            except (DatabaseUnavailable, SQLAlchemyError) as error:
                was_there = False
                logger.warning("the sessions cannot be kept: {}", type(error).__name__)
            with suppress(TimeoutError):
                async with asyncio.timeout(SIGN_OF_LIFE_SECS):
                    await self._is_closed.wait()

    def close(self) -> None:
        """Let `keep` end."""
        self._is_closed.set()

    async def _end_forsaken(self) -> None:
        # Whoever has one says so less often than a client may be gone for.
        secs = max(self._sessions.limits.empty_timeout, LOST_SECS)
        since = datetime.now(UTC) - timedelta(seconds=secs)
        for row in await self._store.end_forsaken(since, EndReason.FORSAKEN.value):
            self._sessions.telemetry.ended(EndReason.FORSAKEN)
            logger.warning("session {} ended: its service had died", row.id)
            await self._sessions.bury(row)

    async def _take_up_lost(self) -> None:
        """Send bots into rooms elsewhere whose service has died: the clients are still there."""
        transports = self._sessions.elsewhere
        if not transports or self._sessions.is_draining:
            return
        now = datetime.now(UTC)
        lost_at = now - timedelta(seconds=LOST_SECS)
        rows = await self._store.claim_lost(transports, lost_at, now)
        await asyncio.gather(*(self._take_up(row) for row in rows))

    async def _take_up(self, row: SessionRow) -> None:
        try:
            await self._sessions.take_up_lost(row)
            return
        except DatabaseUnavailable as error:
            logger.warning("session {} cannot be taken up yet: {}", row.id, error.message)
            return
        except ParlanteError as error:
            logger.error("session {} cannot be taken up: {}", row.id, error.message)
        except Exception:  # noqa: BLE001 - a bot is anybody's code: others want to be kept
            logger.exception("session {} cannot be taken up", row.id)
        # It would be as lost again, for ever.
        with suppress(DatabaseUnavailable):
            await self._sessions.end(row.id, EndReason.ERROR)
