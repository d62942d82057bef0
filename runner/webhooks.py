"""Tells other servers what becomes of sessions, by signed messages that are kept until they arrive.

Messages are signed and repeated as https://www.standardwebhooks.com has it.
"""

import asyncio
import json
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
from loguru import logger
from sqlalchemy.exc import SQLAlchemyError
from standardwebhooks import Webhook

from bots.config import WebhookConfig
from bots.errors import DatabaseUnavailable
from runner.store import Store
from runner.tables import NoticeRow, SessionRow
from runner.telemetry import Delivery, Telemetry

TRY_SECS = 15.0
"""How long a server may take to answer."""

CLAIM_SECS = 20.0
"""For so long no other service tries what one tries: longer than a try, in case that one dies."""

LOOK_SECS = 1.0
"""How often the store is looked through for what is due, from here and from services that died."""

FLUSH_SECS = 5.0
"""How long the end of the service waits for what is due."""

GONE = 410
"""What a server answers that wants no messages any more."""

RETRY_SECS = (5.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0, 50400.0, 72000.0, 86400.0)
"""Pauses between tries, as the specification suggests: three days and a half in all."""


class Outbox:
    """Writes messages, and delivers them to one server each, in their order as far as they arrive.

    A message may arrive twice, under the same `webhook-id`, and is never left out while the server
    takes any within some three days.

    Args:
        hooks: Who wants to be told, and of what.
        store: Where messages are until they have arrived.
        telemetry: Told what becomes of them.
        retry_secs: Pauses between the tries of one message.
    """

    def __init__(
        self,
        hooks: Sequence[WebhookConfig],
        store: Store,
        telemetry: Telemetry,
        retry_secs: Sequence[float] = RETRY_SECS,
    ) -> None:
        self._hooks = hooks
        self._store = store
        self._telemetry = telemetry
        self._retry_secs = retry_secs
        self._is_closed = asyncio.Event()
        self._is_abandoned = False
        self._has_ended = asyncio.Event()
        self._tries: set[asyncio.Task[httpx.Response]] = set()

    def notices(
        self, session: SessionRow, kind: str, at: datetime, data: Mapping[str, Any]
    ) -> list[NoticeRow]:
        """Write the messages that tell of an event, to be stored with it.

        Args:
            session: Where it happened.
            kind: What; of most events nobody is told.
            at: When.
            data: What there is to know of it, beside what is known of the session.
        """
        event = f"session.{kind}"
        about = {
            "session_id": session.id,
            "room_name": session.room_name,
            "user": session.user_id,
            "bot": session.bot,
            "transport": session.transport,
            "created_at": session.created_at.isoformat(),
            **data,
        }
        body = json.dumps({"type": event, "timestamp": at.isoformat(), "data": about})
        return [
            NoticeRow(id=f"msg_{uuid.uuid4().hex}", url=hook.url, body=body, due_at=at, tries=0)
            for hook in self._hooks
            if event in hook.events
        ]

    async def deliver(self) -> None:
        """Deliver what is due, again and again, until `close`.

        Nobody must cancel it: a connection to the database that is being made would be left open.
        """
        try:
            if self._hooks:
                async with httpx.AsyncClient(timeout=TRY_SECS) as http:
                    await asyncio.gather(*(self._serve(http, hook) for hook in self._hooks))
        finally:
            self._has_ended.set()

    async def close(self) -> None:
        """Have what is due tried once, if that is soon done, and let `deliver` end.

        What has not arrived is delivered by the next service.
        """
        self._is_closed.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_SECS):
                await self._has_ended.wait()
        self._is_abandoned = True
        for task in self._tries:
            task.cancel()

    async def _serve(self, http: httpx.AsyncClient, hook: WebhookConfig) -> None:
        while True:
            is_last = self._is_closed.is_set()
            try:
                while not self._is_abandoned:
                    now, claim = datetime.now(UTC), timedelta(seconds=CLAIM_SECS)
                    notice = await self._store.claim_notice(hook.url, now, claim)
                    if not notice:
                        break
                    await self._try(http, hook, notice)
            except (DatabaseUnavailable, SQLAlchemyError) as error:
                logger.warning("webhooks have to wait: {}", type(error).__name__)
            if is_last:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECS):
                    await self._is_closed.wait()

    async def _try(self, http: httpx.AsyncClient, hook: WebhookConfig, notice: NoticeRow) -> None:
        now = datetime.now(UTC)
        headers = {
            "content-type": "application/json",
            "webhook-id": notice.id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(hook.secret.get_secret_value()).sign(
                notice.id, now, notice.body
            ),
        }
        post = asyncio.create_task(http.post(hook.url, content=notice.body, headers=headers))
        self._tries.add(post)
        await asyncio.wait({post})
        self._tries.discard(post)
        if post.cancelled():
            return
        match post.exception():
            case None if post.result().is_success:
                self._telemetry.delivered(Delivery.ARRIVED)
                await self._store.forget_notice(notice.id)
            case None if post.result().status_code == GONE:
                await self._give_up(notice, "it wants none any more")
            case None:
                await self._put_off(notice, f"it answers {post.result().status_code}")
            case error:
                await self._put_off(notice, type(error).__name__)

    async def _put_off(self, notice: NoticeRow, problem: str) -> None:
        if notice.tries >= len(self._retry_secs):
            return await self._give_up(notice, problem)
        pause_secs = self._retry_secs[notice.tries]
        self._telemetry.delivered(Delivery.PUT_OFF)
        logger.warning("webhook to {} again in {:.0f} s: {}", _host(notice), pause_secs, problem)
        due_at = datetime.now(UTC) + timedelta(seconds=pause_secs)
        await self._store.put_off_notice(notice.id, due_at, notice.tries + 1)
        return None

    async def _give_up(self, notice: NoticeRow, problem: str) -> None:
        self._telemetry.delivered(Delivery.GIVEN_UP)
        logger.error("webhook {} to {} is given up: {}", notice.id, _host(notice), problem)
        await self._store.forget_notice(notice.id)


def _host(notice: NoticeRow) -> str | None:
    """Return where a message goes, for the log: the rest of the URL may be a secret."""
    return urlsplit(notice.url).hostname
