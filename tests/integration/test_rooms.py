"""The real service with rooms at Daily and LiveKit: stand-ins make the rooms, and let nobody in.

So this is how sessions begin, and how they end when the bot does not get in; what happens between
is in test_room_call.py.
"""

import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.service import Service, run_service, until_no_session
from tests.standins import daily_api, livekit_api
from tests.standins.daily_api import DailyStandin, run_daily_standin, signed
from tests.standins.livekit_api import LiveKitStandin, run_livekit_standin

pytestmark = pytest.mark.long

LIMITS = "PARLANTE_VOICE__REALTIME__LIMITS"
PHONE_CALL = {"From": "+1556", "To": "+1555", "callId": "call-1", "callDomain": "domain-1"}


def for_daily(standin: DailyStandin) -> dict[str, str]:
    return {
        "DAILY_API_KEY": daily_api.KEY,
        "DAILY_DIALIN_SECRET": daily_api.DIALIN_SECRET,
        "PARLANTE_VOICE__REALTIME__DAILY__API_URL": standin.url,
    }


def for_livekit(standin: LiveKitStandin) -> dict[str, str]:
    return {
        "LIVEKIT_URL": standin.url,
        "LIVEKIT_API_KEY": livekit_api.KEY,
        "LIVEKIT_API_SECRET": livekit_api.SECRET,
    }


async def post(url: str, data: Any, headers: dict[str, str] | None = None) -> dict[str, Any]:
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    headers = headers or {"Content-Type": "application/json"}
    async with aiohttp.ClientSession() as http, http.post(url, data=body, headers=headers) as reply:
        assert reply.status == 200, await reply.text()
        answer: dict[str, Any] = await reply.json()
        return answer


def reasons(folder: Path) -> list[str | None]:
    with closing(sqlite3.connect(folder / "data" / "parlante.db")) as database:
        return [reason for (reason,) in database.execute("SELECT end_reason FROM sessions")]


async def delete(service: Service, session_id: str) -> None:
    url = f"{service.url}/voice/realtime/session/{session_id}"
    async with aiohttp.ClientSession() as http, http.delete(url) as answer:
        assert answer.status == 204


async def test_bots_that_do_not_get_into_their_rooms_end_their_sessions_and_rooms(
    tmp_path: Path,
) -> None:
    async with run_daily_standin() as daily, run_livekit_standin() as livekit:
        environment = {**for_daily(daily), **for_livekit(livekit)}
        with run_service(tmp_path, "--profile", "offline", environment=environment) as service:
            at_daily = await post(f"{service.url}/start", {"transport": "daily"})
            at_livekit = await post(f"{service.url}/start", {"transport": "livekit"})
            assert set(at_daily) == {"dailyRoom", "dailyToken", "sessionId"}
            assert set(at_livekit) == {"url", "token", "sessionId"}
            [room], [other] = daily.made, livekit.made
            assert at_daily["dailyRoom"] == daily.rooms[room]["url"]
            assert daily.properties_of(at_daily["dailyToken"])["is_owner"] is False
            assert at_livekit["url"] == livekit.url
            await daily.until_gone(room)
            await livekit.until_gone(other)
            await until_no_session(service.url, timeout=5)
    assert reasons(tmp_path) == ["error", "error"]
    assert at_daily["dailyToken"] not in service.log
    assert daily_api.KEY not in service.log
    assert livekit_api.SECRET not in service.log


async def test_a_session_that_is_ended_leaves_no_room(tmp_path: Path) -> None:
    async with run_livekit_standin() as livekit:
        environment = for_livekit(livekit)
        with run_service(tmp_path, "--profile", "offline", environment=environment) as service:
            made = await post(
                f"{service.url}/voice/realtime/session",
                {"agent_type": "single_agent", "transport": "livekit"},
            )
            assert list(livekit.rooms) == [made["room_name"]]
            assert made["url"] == livekit.url
            await delete(service, made["session_id"])
            assert not livekit.rooms
    assert reasons(tmp_path) == ["deleted"]


async def test_a_phone_call_gets_a_room_that_it_can_be_put_through_to(tmp_path: Path) -> None:
    async with run_daily_standin() as daily:
        environment = {**for_daily(daily), f"{LIMITS}__SESSIONS_PER_USER": "1"}
        with run_service(tmp_path, "--profile", "offline", environment=environment) as service:
            url = f"{service.url}/daily-dialin-webhook"
            # Two people call: the limit of a user's sessions is none of theirs. Of the first it is
            # told twice.
            taken = []
            for call_id in ("call-1", "call-2", "call-1"):
                body = json.dumps({**PHONE_CALL, "callId": call_id}).encode()
                headers = signed(body, daily_api.DIALIN_SECRET, time.time())
                taken.append((await post(url, body, headers))["sessionId"])
            assert taken[0] == taken[2] != taken[1]
            sips = [room["config"]["sip"]["display_name"] for room in daily.rooms.values()]
            assert sips == ["+1556", "+1556"]
            assert all(name.startswith("voice-phone-") for name in daily.rooms)
            # Daily's library has to try for 19 s before it lets its process end.
            service.process.kill()


async def test_a_room_where_nobody_is_yet_is_left_to_the_next_service(tmp_path: Path) -> None:
    async with run_daily_standin() as daily:
        with run_service(tmp_path, "--profile", "offline", environment=for_daily(daily)) as service:
            await post(f"{service.url}/start", {"transport": "daily"})
            service.process.terminate()
            await service.until_logged("the call has ended")
            service.process.kill()
        assert len(daily.rooms) == 1
    assert reasons(tmp_path) == [None]


async def test_a_room_whose_service_has_died_gets_another_bot(tmp_path: Path) -> None:
    async with run_daily_standin() as daily:
        with run_service(tmp_path, "--profile", "offline", environment=for_daily(daily)) as first:
            made = await post(f"{first.url}/start", {"transport": "daily"})
            first.process.kill()
            first.process.wait()
        path = tmp_path / "data" / "parlante.db"
        # As if it had been some time ago.
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("UPDATE sessions SET seen_at = datetime(seen_at, '-1 minutes')")
        tokens = daily.tokens
        with run_service(tmp_path, "--profile", "offline", environment=for_daily(daily)) as second:
            await daily.until_tokens(tokens + 1)
            assert len(daily.made) == 1
            assert f"session {made['sessionId']} is taken up again" in second.log
            second.process.kill()
