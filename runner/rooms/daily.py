"""Rooms at Daily, and phone calls that Daily puts through to them."""

import asyncio
import base64
import hmac
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from loguru import logger
from pipecat.runner.types import DailyDialinRequest, DailyRunnerArguments
from pipecat.transports.daily.utils import (
    DailyMeetingTokenParams,
    DailyMeetingTokenProperties,
    DailyRESTHelper,
    DailyRoomParams,
    DailyRoomProperties,
    DailyRoomSipParams,
)
from pydantic import SecretStr

from bots.config import DailyConfig
from runner.errors import RoomUnavailable
from runner.rooms.room import Room, RoomPlan

ANSWER_SECS = 10.0
SIGNATURE_SECS = 300
"""How old the signature of a phone call may be."""

MILLISECONDS_SINCE = 10_000_000_000
"""Daily documents seconds and sends milliseconds: a time from here on is of the latter."""


class DailyRooms:
    """Makes rooms by Daily's REST API; see `RoomMaker`.

    A room is private, ends by itself some time after the longest call, and has no place for others.
    """

    def __init__(self, config: DailyConfig) -> None:
        self._config = config
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(ANSWER_SECS))
        self._rest = DailyRESTHelper(
            daily_api_key=config.api_key.get_secret_value(),
            daily_api_url=config.api_url,
            aiohttp_session=self._http,
        )

    async def make(self, plan: RoomPlan) -> Room:
        """Make a room, and a token for either end."""
        phone = plan.phone
        sip = DailyRoomSipParams(display_name=phone.From or "phone") if phone else None
        properties = DailyRoomProperties(
            exp=time.time() + plan.longest_secs,
            eject_at_room_exp=True,
            max_participants=plan.limits.participants,
            enable_recording=self._config.recording,
            start_video_off=True,
            sip=sip,
            enable_dialout=True if phone and self._config.transfer_to else None,
        )
        async with _answers():
            room = await self._rest.create_room(
                DailyRoomParams(name=plan.name, privacy="private", properties=properties)
            )
        try:
            bot, token = await asyncio.gather(
                self._bot(plan, room.url), self._token(plan, room.url, is_bot=False)
            )
        except RoomUnavailable:
            await self.close(plan.name)
            raise
        return Room(room.url, token, bot)

    async def enter(self, plan: RoomPlan) -> DailyRunnerArguments:
        """Make a token for another bot."""
        async with _answers():
            # The helper takes nothing of the URL but the name.
            room = await self._rest.get_room_from_url(f"/{plan.name}")
        return await self._bot(plan, room.url)

    async def check(self) -> None:
        """Ask for a room that there is; Pipecat's helper cannot."""
        headers = {"Authorization": f"Bearer {self._config.api_key.get_secret_value()}"}
        url = f"{self._config.api_url}/rooms?limit=1"
        async with _answers(), self._http.get(url, headers=headers) as answer:
            answer.raise_for_status()

    async def close(self, name: str) -> None:
        """Delete a room."""
        async with _answers():
            await self._rest.delete_room_by_name(name)

    async def aclose(self) -> None:
        """Close the connections to Daily."""
        await self._http.close()

    async def _bot(self, plan: RoomPlan, url: str) -> DailyRunnerArguments:
        token = await self._token(plan, url, is_bot=True)
        body = {}
        if plan.phone:
            # With this, Pipecat's transport has the call put through when the room is ready.
            body = DailyDialinRequest(
                dialin_settings=plan.phone,
                daily_api_key=self._config.api_key.get_secret_value(),
                daily_api_url=self._config.api_url,
            ).model_dump()
        return DailyRunnerArguments(
            room_url=url, token=token, body=body, session_id=plan.session_id
        )

    async def _token(self, plan: RoomPlan, url: str, *, is_bot: bool) -> str:
        properties = DailyMeetingTokenProperties(
            user_name="bot" if is_bot else plan.user,
            enable_recording=self._config.recording,
            start_cloud_recording=True if is_bot and self._config.recording else None,
        )
        async with _answers():
            return await self._rest.get_token(
                url,
                expiry_time=plan.longest_secs if is_bot else plan.token_secs,
                owner=is_bot,
                params=DailyMeetingTokenParams(properties=properties),
            )


@asynccontextmanager
async def _answers() -> AsyncIterator[None]:
    """Turn whatever goes wrong with Daily into one error."""
    try:
        yield
    except Exception as error:  # Pipecat's helper raises nothing more particular
        logger.warning("Daily: {}", error or type(error).__name__)
        raise RoomUnavailable("Daily gives no room: please try again in a moment") from error


def is_signed(body: bytes, timestamp: str, signature: str, secret: SecretStr, now: float) -> bool:
    """Say whether Daily has sent the message of a phone call, and just now.

    Args:
        body: The message.
        timestamp: `X-Pinless-Timestamp`.
        signature: `X-Pinless-Signature`: HMAC-SHA256 of the two, in Base64.
        secret: `hmac` in the settings of the phone number at Daily, Base64.
        now: Seconds since 1970.
    """
    if not (timestamp.isascii() and timestamp.isdigit()):
        return False
    sent_at = int(timestamp)
    if sent_at >= MILLISECONDS_SINCE:
        sent_at //= 1000
    key = base64.b64decode(secret.get_secret_value())
    wanted = base64.b64encode(hmac.digest(key, timestamp.encode() + b"." + body, "sha256"))
    is_same = hmac.compare_digest(wanted, signature.encode())
    return is_same and abs(now - sent_at) <= SIGNATURE_SECS
