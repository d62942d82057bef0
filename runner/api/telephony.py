"""Phone calls whose sound comes here: providers tell of each, and open a WebSocket for it."""

import time
from functools import partial

from fastapi import APIRouter, Request, Response, WebSocket
from loguru import logger

from bots.config import PhoneProvider, TelephonyConfig
from bots.errors import ParlanteError
from runner.api.daily import PHONE_USER
from runner.api.deps import Sessions
from runner.api.protocols import accept, hold
from runner.api.refusals import OF_STARTS, refusals
from runner.errors import Forbidden, InvalidRequest, is_retryable, ws_close_code
from runner.phones import EXCHANGES, Exchange, Webhook, stream_url
from runner.rooms.phone import PhoneCalls
from runner.wishes import Wish


def make_router(provider: PhoneProvider) -> APIRouter:
    """Make the routes by which the calls of a provider come."""
    router = APIRouter(tags=["Telephony"])
    exchange = EXCHANGES[provider]

    @router.api_route(
        f"/telephony/{provider}",
        methods=[exchange.method],
        name=f"{provider}_call",
        response_class=Response,
        responses={
            200: {"content": {exchange.media_type: {}}, "description": "What to do with the call."},
            **refusals(*OF_STARTS, Forbidden),
        },
    )
    async def take_call(sessions: Sessions, request: Request, bot: str | None = None) -> Response:
        """Take a phone call: the address of a number in the provider's settings."""
        config: TelephonyConfig = request.app.state.resources.settings.voice.realtime.telephony
        webhook = await _read(request, config)
        if not exchange.is_genuine(webhook, config):
            address, _, _ = webhook.url.partition("?")
            raise Forbidden(f"this does not come from {provider.title()}, or not to {address}")

        async def start() -> str:
            return (await sessions.create(Wish(PHONE_USER, provider, bot, by_phone=True))).token

        calls: PhoneCalls = request.app.state.phone_calls
        try:
            token = await calls.take(f"{provider} {_call_id(webhook, exchange)}", start)
        except ParlanteError as error:
            if not exchange.busy or not is_retryable(error):
                raise
            logger.warning("a phone call is rejected: {}", error.message)
            return Response(exchange.busy, media_type=exchange.media_type)
        answer = exchange.connect(stream_url(config, provider, token))
        return Response(answer, media_type=exchange.media_type)

    @router.websocket(f"/ws/{provider}/{{token}}", name=f"{provider}_stream")
    async def stream(sessions: Sessions, websocket: WebSocket, token: str) -> None:
        """Hold a phone call, over its media stream."""
        socket = await accept(websocket)
        try:
            await hold(socket, sessions, partial(sessions.admit, token), provider)
        except ParlanteError as error:
            await socket.refuse(ws_close_code(error), error.message)

    return router


async def _read(request: Request, config: TelephonyConfig) -> Webhook:
    base = (config.public_url or "").rstrip("/")
    url = request.url
    address = f"{base}{url.path}?{url.query}" if url.query else f"{base}{url.path}"
    return Webhook(address, request.headers, await request.body(), time.time())


def _call_id(webhook: Webhook, exchange: Exchange) -> str:
    """Return what names the call.

    Raises:
        InvalidRequest: If nothing does.
    """
    given = webhook.form if exchange.method == "POST" else webhook.query
    if call_id := dict(given).get(exchange.call_id):
        return call_id
    raise InvalidRequest(f"{exchange.call_id}: Field required")
