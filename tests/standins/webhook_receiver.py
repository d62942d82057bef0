"""A small server that takes webhooks and checks their signatures by Standard Webhooks' library."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any

from aiohttp import web
from standardwebhooks import Webhook
from standardwebhooks.exceptions import WebhookVerificationError

from tests.standins.serving import serving


@dataclass
class WebhookReceiver:
    """What it was told.

    Attributes:
        secret: What everything has to be signed with.
        answers: The status of each answer, in order.
        told: The messages that came, those included that it did not take.
        ids: Their names.
        url: Its address, once it runs.
    """

    secret: str
    answers: Iterator[int] = field(default_factory=lambda: repeat(204))
    told: list[dict[str, Any]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    url: str = ""
    _came: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def take(self, request: web.Request) -> web.Response:
        try:
            message = Webhook(self.secret).verify(await request.text(), dict(request.headers))
        except WebhookVerificationError as error:
            raise web.HTTPUnauthorized(text=str(error)) from error
        async with self._came:
            self.told.append(message)
            self.ids.append(request.headers["webhook-id"])
            self._came.notify_all()
        return web.Response(status=next(self.answers))

    async def wait_for(self, count: int) -> list[dict[str, Any]]:
        """Return the messages as soon as so many have come."""
        async with asyncio.timeout(20), self._came:
            await self._came.wait_for(lambda: len(self.told) >= count)
        return self.told


@asynccontextmanager
async def run_webhook_receiver(receiver: WebhookReceiver) -> AsyncIterator[WebhookReceiver]:
    """Serve on a free port of this machine."""
    async with serving(web.post("/sessions", receiver.take)) as address:
        receiver.url = f"http://{address}/sessions"
        yield receiver
