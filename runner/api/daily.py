"""Phone calls that Daily takes: each is put through to a bot in a room of its own."""

import time
from typing import Annotated

from fastapi import APIRouter, Header, Request
from pipecat.runner.types import DialinSettings
from pydantic import AliasChoices, BaseModel, Field

from runner.api.deps import Body, Sessions
from runner.api.refusals import OF_STARTS, refusals
from runner.errors import Forbidden, TransportUnavailable
from runner.rooms.daily import is_signed
from runner.rooms.phone import PhoneCalls
from runner.wishes import Wish

PHONE_USER = "phone"
"""Whose the sessions of phone calls are: nobody of them has a key."""

router = APIRouter(tags=["Daily"])


class PhoneCall(Body):
    """A phone call that waits at Daily, in its words.

    Attributes:
        To: The number that was called.
        From: The number of who calls.
        callId: Names the call.
        callDomain: Whose number was called, at Daily.
        sipHeaders: What came with the call, if it came by SIP.
    """

    To: str
    From: str
    callId: str
    callDomain: str
    sipHeaders: dict[str, str] | None = None


class Probe(Body):
    """What Daily sends to see whether anybody is there, when a number is set up."""

    test: Annotated[str, Field(validation_alias=AliasChoices("test", "Test"))]


class Taken(BaseModel):
    """A phone call that is going to be put through.

    Attributes:
        sessionId: Names its session; None where nobody calls.
    """

    sessionId: str | None = None


@router.post("/daily-dialin-webhook", responses=refusals(*OF_STARTS, Forbidden))
async def daily_dialin_webhook(
    sessions: Sessions,
    request: Request,
    call: PhoneCall | Probe,
    bot: str | None = None,
    x_pinless_timestamp: Annotated[str, Header()] = "",
    x_pinless_signature: Annotated[str, Header()] = "",
) -> Taken:
    """Take a phone call: `room_creation_api` in the settings of a phone number at Daily."""
    if isinstance(call, Probe):
        return Taken()
    config = request.app.state.resources.settings.voice.realtime.daily
    if not config or config.missing_env or not config.dialin_secret:
        raise TransportUnavailable("phone calls are not taken: set DAILY_DIALIN_SECRET")
    body = await request.body()
    secret = config.dialin_secret
    if not is_signed(body, x_pinless_timestamp, x_pinless_signature, secret, time.time()):
        raise Forbidden("this is not signed by Daily, or not just now")
    phone = DialinSettings(
        call_id=call.callId,
        call_domain=call.callDomain,
        To=call.To,
        From=call.From,
        sip_headers=call.sipHeaders,
    )

    async def start() -> str:
        return (
            await sessions.create(Wish(PHONE_USER, "daily", bot, phone=phone, by_phone=True))
        ).id

    calls: PhoneCalls = request.app.state.phone_calls
    return Taken(sessionId=await calls.take(call.callId, start))
