"""Rooms at a LiveKit server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import aiohttp
from livekit import api
from loguru import logger
from pipecat.runner.types import LiveKitRunnerArguments

from bots.config import LiveKitConfig
from runner.errors import RoomUnavailable
from runner.rooms.room import Room, RoomPlan

ANSWER_SECS = 10.0


class LiveKitRooms:
    """Makes rooms by LiveKit's server API; see `RoomMaker`."""

    def __init__(self, config: LiveKitConfig) -> None:
        self._config = config
        self._keys = (config.api_key.get_secret_value(), config.api_secret.get_secret_value())
        self._api = api.LiveKitAPI(config.url, *self._keys)

    async def make(self, plan: RoomPlan) -> Room:
        """Make a room, and a token for either end."""
        empty_secs = round(plan.limits.empty_timeout)
        wish = api.CreateRoomRequest(
            name=plan.name,
            max_participants=plan.limits.participants,
            empty_timeout=empty_secs,
            departure_timeout=empty_secs,
        )
        async with _answers():
            await self._api.room.create_room(wish)
        token = self._token(plan, "user", plan.user, api.VideoGrants(), plan.token_secs)
        return Room(self._config.url, token, await self.enter(plan))

    async def enter(self, plan: RoomPlan) -> LiveKitRunnerArguments:
        """Make a token for a bot; clients see by it that it is one."""
        return LiveKitRunnerArguments(
            room_name=plan.name,
            url=self._config.url,
            token=self._token(plan, "bot", "bot", api.VideoGrants(agent=True), plan.longest_secs),
            session_id=plan.session_id,
        )

    async def check(self) -> None:
        """Ask for a room that nobody has."""
        async with _answers():
            await self._api.room.list_rooms(api.ListRoomsRequest(names=["-"]))

    async def close(self, name: str) -> None:
        """Delete a room, with whoever is in it."""
        async with _answers():
            try:
                await self._api.room.delete_room(api.DeleteRoomRequest(room=name))
            except api.ServerError as error:
                if error.code != api.ServerErrorCode.NOT_FOUND:
                    raise

    async def aclose(self) -> None:
        """Close the connections to the server."""
        await self._api.aclose()

    def _token(
        self, plan: RoomPlan, role: str, name: str, grants: api.VideoGrants, secs: float
    ) -> str:
        grants.room_join, grants.room = True, plan.name
        token = api.AccessToken(*self._keys).with_grants(grants)
        token = token.with_identity(f"{role}-{plan.session_id}").with_name(name)
        return token.with_ttl(timedelta(seconds=secs)).to_jwt()


@asynccontextmanager
async def _answers() -> AsyncIterator[None]:
    try:
        # livekit-api 1.2 takes a timeout of its own, and then waits without one.
        async with asyncio.timeout(ANSWER_SECS):
            yield
    except (api.ServerError, aiohttp.ClientError, TimeoutError) as error:
        logger.warning("LiveKit: {}", error or type(error).__name__)
        raise RoomUnavailable("LiveKit gives no room: please try again in a moment") from error
