"""A small server with Daily's REST API for rooms, which checks what it is asked."""

import asyncio
import base64
import hmac
import re
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import jwt
from aiohttp import web

from tests.standins.serving import serving

KEY = "a-key-of-a-daily-domain"
ROOM_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")
ROOM_PROPERTIES = {
    "enable_chat": bool,
    "enable_dialout": bool,
    "enable_emoji_reactions": bool,
    "enable_prejoin_ui": bool,
    "enable_recording": str,
    "eject_at_room_exp": bool,
    "exp": (int, float),
    "max_participants": int,
    "sip": dict,
    "start_video_off": bool,
}
TOKEN_PROPERTIES = {
    "eject_at_token_exp": bool,
    "enable_recording": str,
    "exp": int,
    "is_owner": bool,
    "room_name": str,
    "start_cloud_recording": bool,
    "user_name": str,
}

DIALIN_SECRET = base64.b64encode(b"a secret that Daily has made").decode()

Fault = Literal["refuse", "garbage", "hang"]


@dataclass
class DailyStandin:
    """What it has, and what it was asked for.

    Attributes:
        rooms: The rooms that there are, by name.
        made: Names of all that there were.
        tokens: How many tokens it has given.
        faults: What goes wrong with the next requests, of which path; each once.
        url: Its address, once it runs.
    """

    rooms: dict[str, dict[str, Any]] = field(default_factory=dict)
    made: list[str] = field(default_factory=list)
    tokens: int = 0
    faults: deque[tuple[str, Fault]] = field(default_factory=deque)
    url: str = ""
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    def properties_of(self, token: str) -> dict[str, Any]:
        """Return what a token is good for."""
        properties: dict[str, Any] = jwt.decode(token, KEY * 2, algorithms=["HS256"])
        return properties

    async def until_gone(self, name: str) -> None:
        """Wait until a room is deleted."""
        async with asyncio.timeout(60), self._changed:
            await self._changed.wait_for(lambda: name not in self.rooms)

    async def until_tokens(self, count: int) -> None:
        """Wait until so many tokens have been given."""
        async with asyncio.timeout(60), self._changed:
            await self._changed.wait_for(lambda: self.tokens >= count)

    async def make_room(self, request: web.Request) -> web.Response:
        body = await self._read(request)
        name, properties = body.pop("name"), body.pop("properties")
        assert body == {"privacy": "private"}, body
        check(properties, ROOM_PROPERTIES)
        if not ROOM_NAME.fullmatch(name) or name in self.rooms:
            raise web.HTTPBadRequest(text=f"a room with the name {name} cannot be made")
        if properties["exp"] <= time.time():
            raise web.HTTPBadRequest(text="exp is in the past")
        room = {
            "id": f"id-of-{name}",
            "name": name,
            "api_created": True,
            "privacy": "private",
            "url": f"{self.url.removesuffix('/v1')}/{name}",
            "created_at": "2026-11-23T10:00:00.000Z",
            "config": properties,
        }
        self.rooms[name] = room
        self.made.append(name)
        return web.json_response(room)

    async def list_rooms(self, request: web.Request) -> web.Response:
        await self._read(request)
        some = list(self.rooms.values())[: int(request.query["limit"])]
        return web.json_response({"total_count": len(self.rooms), "data": some})

    async def room(self, request: web.Request) -> web.Response:
        await self._read(request)
        return web.json_response(self._existing(request))

    async def delete_room(self, request: web.Request) -> web.Response:
        await self._read(request)
        name = self._existing(request)["name"]
        async with self._changed:
            del self.rooms[name]
            self._changed.notify_all()
        return web.json_response({"deleted": True, "name": name})

    async def make_token(self, request: web.Request) -> web.Response:
        properties = (await self._read(request)).pop("properties")
        check(properties, TOKEN_PROPERTIES)
        assert properties["room_name"] in self.rooms
        async with self._changed:
            self.tokens += 1
            self._changed.notify_all()
        return web.json_response({"token": jwt.encode(properties, KEY * 2, "HS256")})

    def _existing(self, request: web.Request) -> dict[str, Any]:
        name = request.match_info["name"]
        if name not in self.rooms:
            raise web.HTTPNotFound(text=f"room {name} not found")
        return self.rooms[name]

    async def _read(self, request: web.Request) -> dict[str, Any]:
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            raise web.HTTPUnauthorized(text="authentication-error")
        if self.faults and request.path.startswith(f"/v1/{self.faults[0][0]}"):
            match self.faults.popleft()[1]:
                case "refuse":
                    raise web.HTTPInternalServerError(text="out of rooms")
                case "garbage":
                    raise web.HTTPOk(text="<html>", content_type="text/html")
                case "hang":
                    await asyncio.Event().wait()
        return dict(await request.json()) if request.can_read_body else {}


def check(properties: dict[str, Any], known: dict[str, Any]) -> None:
    """Refuse what Daily does not know."""
    for name, value in properties.items():
        if not isinstance(value, known.get(name, ())):
            raise web.HTTPBadRequest(text=f"invalid property: {name}")


def signed(body: bytes, secret: str, sent_at: float) -> dict[str, str]:
    """Return the headers that Daily sends a phone call with."""
    timestamp = str(round(sent_at))
    digest = hmac.digest(base64.b64decode(secret), timestamp.encode() + b"." + body, "sha256")
    return {
        "X-Pinless-Timestamp": timestamp,
        "X-Pinless-Signature": base64.b64encode(digest).decode(),
        "Content-Type": "application/json",
    }


@asynccontextmanager
async def run_daily_standin() -> AsyncIterator[DailyStandin]:
    """Serve on a free port of this machine."""
    standin = DailyStandin()
    async with serving(
        web.post("/v1/rooms", standin.make_room),
        web.get("/v1/rooms", standin.list_rooms),
        web.get("/v1/rooms/{name}", standin.room),
        web.delete("/v1/rooms/{name}", standin.delete_room),
        web.post("/v1/meeting-tokens", standin.make_token),
    ) as address:
        standin.url = f"http://{address}/v1"
        yield standin
