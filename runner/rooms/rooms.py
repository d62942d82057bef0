"""Which transports are offered, and the rooms of those that another service has."""

import asyncio
import math
import time
from collections.abc import Mapping

from loguru import logger

from bots.config import RealtimeConfig
from bots.errors import ServiceUnavailable
from bots.protocols import OPENAI_REALTIME, PROTOCOLS
from runner.errors import RoomUnavailable, TransportUnavailable
from runner.rooms.room import RoomMaker

HERE = ("webrtc", "websocket", "eval", *PROTOCOLS, OPENAI_REALTIME)
"""Transports by which a client comes to this service: a session needs no other room. By `eval`
comes Pipecat's eval harness."""

CHECK_SECS = 15.0
"""How long a service that has rooms is not asked again whether it is there."""

CHECK_ANSWER_SECS = 3.0

CLOSE_PAUSES_SECS = (0.5, 2.0, 10.0)
"""Between the tries to close a room; then it is left to end by itself."""


class Rooms:
    """The services that have rooms, those of them that there are keys for.

    Args:
        config: Which those are.

    Raises:
        ServiceUnavailable: If a package is missing.
    """

    def __init__(self, config: RealtimeConfig) -> None:
        self._makers = _makers(config)
        self._phones = config.telephony.providers
        self._checked: dict[str, tuple[float, bool]] = {}
        self._checking = asyncio.Lock()

    @property
    def transports(self) -> tuple[str, ...]:
        """How clients may come."""
        return (*HERE, *self._phones, *self._makers)

    @property
    def elsewhere(self) -> tuple[str, ...]:
        """Transports whose sessions are held in rooms, where the bot waits for its client."""
        return tuple(self._makers)

    def maker(self, transport: str) -> RoomMaker | None:
        """Return who makes the rooms of a transport; None if its clients come to this service.

        Raises:
            TransportUnavailable: If it is not offered.
        """
        if transport not in self.transports:
            offered = ", ".join(f"'{name}'" for name in self.transports)
            raise TransportUnavailable(f"transport '{transport}' is not offered: use {offered}")
        return self._makers.get(transport)

    async def can_be_used(self, transport: str) -> bool:
        """Say whether sessions can be held by a transport, as was found in the last seconds."""
        if transport not in self.transports:
            return False
        maker = self._makers.get(transport)
        if not maker:
            return True
        async with self._checking:
            checked_at, is_good = self._checked.get(transport, (-math.inf, False))
            if time.monotonic() - checked_at > CHECK_SECS:
                is_good = await _is_there(maker)
                self._checked[transport] = (time.monotonic(), is_good)
        return is_good

    async def close(self, transport: str, name: str) -> None:
        """Close the room of a session that has ended, if it had one; try for some seconds."""
        maker = self._makers.get(transport)
        if not maker:
            return
        for pause_secs in (*CLOSE_PAUSES_SECS, None):
            try:
                await maker.close(name)
            except RoomUnavailable:
                if pause_secs is None:
                    logger.error("room {} could not be closed: it will end by itself", name)
                else:
                    await asyncio.sleep(pause_secs)
            else:
                return

    async def aclose(self) -> None:
        """Close the connections to all services."""
        await asyncio.gather(*(maker.aclose() for maker in self._makers.values()))


async def _is_there(maker: RoomMaker) -> bool:
    try:
        async with asyncio.timeout(CHECK_ANSWER_SECS):
            await maker.check()
    except (RoomUnavailable, TimeoutError):
        return False
    return True


def _makers(config: RealtimeConfig) -> Mapping[str, RoomMaker]:
    makers: dict[str, RoomMaker] = {}
    if config.daily and not config.daily.missing_env:
        from runner.rooms.daily import DailyRooms

        makers["daily"] = DailyRooms(config.daily)
    if config.livekit and not config.livekit.missing_env:
        try:
            from runner.rooms.livekit import LiveKitRooms
        except ImportError as error:
            raise ServiceUnavailable(
                "a package for LiveKit is missing: pip install 'parlante[livekit]'"
            ) from error
        makers["livekit"] = LiveKitRooms(config.livekit)
    return makers
