"""A small server with LiveKit's room service (Twirp), which checks what it is asked.

Nobody gets into its rooms: it refuses every connection, as a server does that has no place left.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

from aiohttp import web
from livekit import api

from tests.standins.serving import serving

KEY, SECRET = "a-key", "what-tokens-are-signed-with, and long"

Fault = Literal["refuse", "hang"]


@dataclass
class LiveKitStandin:
    """What it has, and what it was asked for.

    Attributes:
        rooms: The rooms that there are, by name.
        made: Names of all that there were.
        faults: What goes wrong with the next requests, of which method; each once.
        url: Its address, once it runs.
    """

    rooms: dict[str, api.Room] = field(default_factory=dict)
    made: list[str] = field(default_factory=list)
    faults: deque[tuple[str, Fault]] = field(default_factory=deque)
    url: str = ""
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def until_gone(self, name: str) -> None:
        """Wait until a room is deleted."""
        async with asyncio.timeout(60), self._changed:
            await self._changed.wait_for(lambda: name not in self.rooms)

    async def create_room(self, request: web.Request) -> web.Response:
        await self._admit(request)
        wish = api.CreateRoomRequest.FromString(await request.read())
        room = api.Room(
            name=wish.name,
            empty_timeout=wish.empty_timeout,
            departure_timeout=wish.departure_timeout,
            max_participants=wish.max_participants,
        )
        self.rooms[wish.name] = room
        self.made.append(wish.name)
        return _answer(room.SerializeToString())

    async def list_rooms(self, request: web.Request) -> web.Response:
        await self._admit(request, "room_list")
        names = api.ListRoomsRequest.FromString(await request.read()).names
        rooms = [room for name, room in self.rooms.items() if not names or name in names]
        return _answer(api.ListRoomsResponse(rooms=rooms).SerializeToString())

    async def delete_room(self, request: web.Request) -> web.Response:
        await self._admit(request)
        name = api.DeleteRoomRequest.FromString(await request.read()).room
        async with self._changed:
            if not self.rooms.pop(name, None):
                raise _error(web.HTTPNotFound, "not_found", "requested room does not exist")
            self._changed.notify_all()
        return _answer(api.DeleteRoomResponse().SerializeToString())

    async def _admit(self, request: web.Request, grant: str = "room_create") -> None:
        assert request.content_type == "application/protobuf"
        token = request.headers["Authorization"].removeprefix("Bearer ")
        grants = api.TokenVerifier(KEY, SECRET).verify(token).video
        if not (grants and getattr(grants, grant)):
            raise _error(web.HTTPUnauthorized, "unauthenticated", "permissions denied")
        if self.faults and request.path.endswith(f"/{self.faults[0][0]}"):
            if self.faults.popleft()[1] == "hang":
                await asyncio.Event().wait()
            raise _error(web.HTTPBadRequest, "resource_exhausted", "no rooms left")


def _answer(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="application/protobuf")


def _error(kind: type[web.HTTPException], code: str, message: str) -> web.HTTPException:
    text = f'{{"code": "{code}", "msg": "{message}"}}'
    return kind(text=text, content_type="application/json")


@asynccontextmanager
async def run_livekit_standin() -> AsyncIterator[LiveKitStandin]:
    """Serve on a free port of this machine."""
    standin = LiveKitStandin()
    service = "/twirp/livekit.RoomService"
    async with serving(
        web.post(f"{service}/CreateRoom", standin.create_room),
        web.post(f"{service}/ListRooms", standin.list_rooms),
        web.post(f"{service}/DeleteRoom", standin.delete_room),
    ) as address:
        standin.url = f"ws://{address}"
        yield standin
