"""A small server with the REST APIs by which phone providers end calls; it checks who asks."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from tests.standins.phone import ACCOUNT, PASSWORD, PhoneCall
from tests.standins.serving import serving

TELNYX_API_KEY = "KEY0123456789"


@dataclass
class PhoneApi:
    """What was asked of it.

    Attributes:
        calls: The calls that are under way, by what names them.
        ended: Those that were ended here, in order.
        instructions: What calls were to do instead of being held here, in TwiML.
        refused: How many requests were of nobody known.
    """

    calls: dict[str, PhoneCall] = field(default_factory=dict)
    ended: list[str] = field(default_factory=list)
    instructions: list[str] = field(default_factory=list)
    refused: int = 0

    async def twilio(self, request: web.Request) -> web.Response:
        self._check_password(request)
        assert request.match_info["account"] == ACCOUNT
        wanted = dict(await request.post())
        if twiml := wanted.pop("Twiml", None):
            # Its stream ends, but not the call.
            if call := self.calls.pop(request.match_info["call"], None):
                self.instructions.append(str(twiml))
                call.ended.set()
                return web.json_response({"sid": call.id, "status": "in-progress"})
        elif self._end(request):
            assert wanted == {"Status": "completed"}
            return web.json_response({"sid": request.match_info["call"], "status": "completed"})
        return web.json_response({"code": 21220, "message": "not in-progress"}, status=400)

    async def telnyx(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {TELNYX_API_KEY}":
            self._refuse()
        if not self._end(request):
            errors = [{"code": "90018", "title": "Call has already ended"}]
            return web.json_response({"errors": errors}, status=422)
        return web.json_response({"data": {"result": "ok"}})

    async def plivo(self, request: web.Request) -> web.Response:
        self._check_password(request)
        assert request.match_info["account"] == ACCOUNT
        return web.Response(status=204 if self._end(request) else 404)

    def _end(self, request: web.Request) -> bool:
        call = self.calls.pop(request.match_info["call"], None)
        if not call:
            return False
        self.ended.append(call.id)
        call.ended.set()
        return True

    def _check_password(self, request: web.Request) -> None:
        password = base64.b64encode(f"{ACCOUNT}:{PASSWORD}".encode()).decode()
        if request.headers.get("Authorization") != f"Basic {password}":
            self._refuse()

    def _refuse(self) -> None:
        self.refused += 1
        raise web.HTTPUnauthorized


@asynccontextmanager
async def run_phone_api(port: int) -> AsyncIterator[PhoneApi]:
    """Serve on a port that `reserved_port` keeps."""
    api = PhoneApi()
    async with serving(
        web.post("/2010-04-01/Accounts/{account}/Calls/{call}.json", api.twilio),
        web.post("/v2/calls/{call}/actions/hangup", api.telnyx),
        web.delete("/v1/Account/{account}/Call/{call}/", api.plivo),
        port=port,
    ):
        yield api
