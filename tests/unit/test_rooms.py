"""Rooms at Daily and LiveKit, by stand-ins of their REST APIs; nobody gets into these rooms."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from livekit import api
from pipecat.runner.types import DailyRunnerArguments, DialinSettings, LiveKitRunnerArguments
from pydantic import SecretStr

from bots.config import DailyConfig, LimitConfig, LiveKitConfig
from bots.errors import ConfigError
from bots.settings import load_settings
from runner.errors import RoomUnavailable
from runner.rooms import daily as daily_rooms
from runner.rooms import livekit as livekit_rooms
from runner.rooms import rooms
from runner.rooms.daily import DailyRooms, is_signed
from runner.rooms.livekit import LiveKitRooms
from runner.rooms.phone import PhoneCalls
from runner.rooms.room import RoomPlan
from runner.rooms.rooms import HERE, Rooms
from tests.app import key_of, service
from tests.standins import daily_api, livekit_api
from tests.standins.daily_api import DailyStandin, run_daily_standin, signed
from tests.standins.livekit_api import LiveKitStandin, run_livekit_standin

LIMITS = LimitConfig(session_duration=600, empty_timeout=120, participants=3)
PLAN = RoomPlan("voice-ada-1f0e93b2", "session-1", "ada", LIMITS, token_secs=300)
PHONE = DialinSettings(call_id="call-1", call_domain="domain-1", To="+1555", From="+1556")
DIALIN_SECRET = daily_api.DIALIN_SECRET
NEAR = 15


@pytest.fixture
async def daily() -> AsyncIterator[DailyStandin]:
    async with run_daily_standin() as standin:
        yield standin


@pytest.fixture
async def livekit() -> AsyncIterator[LiveKitStandin]:
    async with run_livekit_standin() as standin:
        yield standin


def daily_config(standin: DailyStandin, **more: Any) -> dict[str, Any]:
    return {"api_key": daily_api.KEY, "api_url": standin.url, **more}


def livekit_config(standin: LiveKitStandin) -> dict[str, Any]:
    return {"url": standin.url, "api_key": livekit_api.KEY, "api_secret": livekit_api.SECRET}


@asynccontextmanager
async def making_daily(standin: DailyStandin, **more: Any) -> AsyncIterator[DailyRooms]:
    maker = DailyRooms(DailyConfig(**daily_config(standin, **more)))
    try:
        yield maker
    finally:
        await maker.aclose()


@asynccontextmanager
async def making_livekit(standin: LiveKitStandin) -> AsyncIterator[LiveKitRooms]:
    maker = LiveKitRooms(LiveKitConfig(**livekit_config(standin)))
    try:
        yield maker
    finally:
        await maker.aclose()


class TestDaily:
    async def test_a_room_is_for_one_call_and_ends_by_itself(self, daily: DailyStandin) -> None:
        async with making_daily(daily) as maker:
            room = await maker.make(PLAN)
        made = daily.rooms[PLAN.name]
        assert room.url == made["url"]
        assert made["config"].pop("exp") == pytest.approx(time.time() + 660, abs=NEAR)
        assert made["config"] == {
            "eject_at_room_exp": True,
            "enable_chat": False,
            "enable_emoji_reactions": False,
            "enable_prejoin_ui": False,
            "max_participants": 3,
            "start_video_off": True,
        }

    async def test_the_bot_owns_it_and_the_client_only_gets_in(self, daily: DailyStandin) -> None:
        async with making_daily(daily) as maker:
            room = await maker.make(PLAN)
        assert isinstance(room.bot, DailyRunnerArguments)
        assert (room.bot.room_url, room.bot.session_id) == (room.url, PLAN.session_id)
        bot, client = daily.properties_of(room.bot.token or ""), daily.properties_of(room.token)
        assert bot.pop("exp") == pytest.approx(time.time() + 660, abs=NEAR)
        assert client.pop("exp") == pytest.approx(time.time() + 300, abs=NEAR)
        assert (bot.pop("is_owner"), client.pop("is_owner")) == (True, False)
        assert (bot.pop("user_name"), client.pop("user_name")) == ("bot", "ada")
        assert bot == client == {"room_name": PLAN.name, "eject_at_token_exp": False}

    async def test_calls_are_recorded_where_that_is_set(self, daily: DailyStandin) -> None:
        async with making_daily(daily, recording="cloud-audio-only") as maker:
            room = await maker.make(PLAN)
        assert daily.rooms[PLAN.name]["config"]["enable_recording"] == "cloud-audio-only"
        assert isinstance(room.bot, DailyRunnerArguments)
        assert daily.properties_of(room.bot.token or "")["start_cloud_recording"] is True
        assert "start_cloud_recording" not in daily.properties_of(room.token)

    async def test_a_phone_call_gets_in_by_sip_and_the_bot_knows_which(
        self, daily: DailyStandin
    ) -> None:
        async with making_daily(daily) as maker:
            room = await maker.make(
                RoomPlan(PLAN.name, PLAN.session_id, "phone", LIMITS, 300, phone=PHONE)
            )
        sip = daily.rooms[PLAN.name]["config"]["sip"]
        assert (sip["display_name"], sip["sip_mode"], sip["video"]) == ("+1556", "dial-in", False)
        assert "enable_dialout" not in daily.rooms[PLAN.name]["config"]
        assert room.bot.body == {
            "dialin_settings": PHONE.model_dump(),
            "daily_api_key": daily_api.KEY,
            "daily_api_url": daily.url,
        }

    async def test_from_a_room_whose_caller_may_be_put_through_others_can_be_called(
        self, daily: DailyStandin
    ) -> None:
        phone = RoomPlan("voice-phone-1", PLAN.session_id, "phone", LIMITS, 300, phone=PHONE)
        async with making_daily(daily, transfer_to="sip:desk@example.com") as maker:
            await maker.make(PLAN)
            await maker.make(phone)
        in_browser, by_phone = (daily.rooms[plan.name]["config"] for plan in (PLAN, phone))
        assert by_phone["enable_dialout"] is True
        assert "enable_dialout" not in in_browser

    async def test_another_bot_gets_into_a_room_that_there_is(self, daily: DailyStandin) -> None:
        async with making_daily(daily) as maker:
            room = await maker.make(PLAN)
            bot = await maker.enter(PLAN)
        assert bot.room_url == room.url
        assert daily.properties_of(bot.token or "")["is_owner"] is True
        assert daily.made == [PLAN.name]

    async def test_a_room_is_deleted_and_that_once_more_does_no_harm(
        self, daily: DailyStandin
    ) -> None:
        async with making_daily(daily) as maker:
            await maker.make(PLAN)
            await maker.close(PLAN.name)
            assert not daily.rooms
            await maker.close(PLAN.name)

    @pytest.mark.parametrize("fault", ["refuse", "garbage", "hang"])
    @pytest.mark.parametrize("path", ["rooms", "meeting-tokens"])
    async def test_whatever_is_wrong_with_daily_is_one_error_and_leaves_no_room(
        self,
        daily: DailyStandin,
        monkeypatch: pytest.MonkeyPatch,
        path: str,
        fault: daily_api.Fault,
    ) -> None:
        monkeypatch.setattr(daily_rooms, "ANSWER_SECS", 0.3)
        daily.faults.append((path, fault))
        async with making_daily(daily) as maker:
            with pytest.raises(RoomUnavailable):
                await maker.make(PLAN)
        assert not daily.faults
        assert not daily.rooms

    async def test_a_wrong_key_is_one_too(self, daily: DailyStandin) -> None:
        async with making_daily(daily, **{"api_key": "another"}) as maker:
            with pytest.raises(RoomUnavailable):
                await maker.make(PLAN)


class TestLiveKit:
    async def test_a_room_is_for_one_call_and_ends_when_nobody_is_in_it(
        self, livekit: LiveKitStandin
    ) -> None:
        async with making_livekit(livekit) as maker:
            room = await maker.make(PLAN)
        assert room.url == livekit.url
        made = livekit.rooms[PLAN.name]
        assert (made.max_participants, made.empty_timeout, made.departure_timeout) == (3, 120, 120)

    async def test_either_end_has_a_token_for_this_room_alone(
        self, livekit: LiveKitStandin
    ) -> None:
        async with making_livekit(livekit) as maker:
            room = await maker.make(PLAN)
        assert isinstance(room.bot, LiveKitRunnerArguments)
        verifier = api.TokenVerifier(livekit_api.KEY, livekit_api.SECRET)
        bot, client = verifier.verify(room.bot.token), verifier.verify(room.token)
        for claims in (bot, client):
            assert claims.video
            assert (claims.video.room_join, claims.video.room) == (True, PLAN.name)
            assert not claims.video.room_create
            assert not claims.video.room_admin
        is_agent = [bool(claims.video and claims.video.agent) for claims in (bot, client)]
        assert is_agent == [True, False]
        assert (bot.identity, client.identity) == ("bot-session-1", "user-session-1")

    async def test_a_room_is_deleted_and_that_once_more_does_no_harm(
        self, livekit: LiveKitStandin
    ) -> None:
        async with making_livekit(livekit) as maker:
            await maker.make(PLAN)
            await maker.close(PLAN.name)
            assert not livekit.rooms
            await maker.close(PLAN.name)

    @pytest.mark.parametrize("fault", ["refuse", "hang"])
    async def test_whatever_is_wrong_with_the_server_is_one_error(
        self,
        livekit: LiveKitStandin,
        monkeypatch: pytest.MonkeyPatch,
        fault: livekit_api.Fault,
    ) -> None:
        monkeypatch.setattr(livekit_rooms, "ANSWER_SECS", 0.3)
        livekit.faults.append(("CreateRoom", fault))
        async with making_livekit(livekit) as maker:
            with pytest.raises(RoomUnavailable):
                await maker.make(PLAN)
        assert not livekit.rooms


class TestClosing:
    async def test_a_room_is_closed_when_that_is_possible_again(
        self, daily: DailyStandin, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(rooms, "CLOSE_PAUSES_SECS", (0.01, 0.01))
        settings = load_settings(overrides={"voice": {"realtime": {"daily": daily_config(daily)}}})
        every = Rooms(settings.voice.realtime)
        maker = every.maker("daily")
        assert maker
        await maker.make(PLAN)
        daily.faults.extend([("rooms", "refuse")] * 2)
        await every.close("daily", PLAN.name)
        assert not daily.rooms
        await every.aclose()


class TestTheService:
    @pytest.mark.parametrize("path", ["/start", "/voice/realtime/session"])
    async def test_a_session_without_a_room_is_none(self, daily: DailyStandin, path: str) -> None:
        config = {"daily": daily_config(daily), "limits": {"sessions": 1}}
        async with service(voice={"realtime": config}) as http:
            for _ in range(2):
                # The second would find the only line busy, if the first were left over.
                daily.faults.append(("rooms", "refuse"))
                body = {"agent_type": "single_agent", "transport": "daily"}
                answer = await http.post(path, json=body)
                assert answer.status_code == 502
                assert answer.json()["error"]["code"] == "ROOM_UNAVAILABLE"
                assert answer.json()["error"]["retryable"] is True
            listed = await http.get("/voice/realtime/sessions")
        assert listed.json() == {"sessions": []}

    async def test_a_transport_without_a_key_is_not_offered(self, daily: DailyStandin) -> None:
        async with service(voice={"realtime": {"daily": daily_config(daily)}}) as http:
            assert (await http.get("/status")).json()["transports"] == [*HERE, "daily"]
            refused = await http.post("/start", json={"transport": "livekit"})
        assert refused.status_code == 400
        assert refused.json()["error"]["code"] == "TRANSPORT_UNAVAILABLE"

    async def test_who_names_no_transport_gets_that_of_the_settings(self) -> None:
        async with service(voice={"realtime": {"transport": "websocket"}}) as http:
            by_flag = await http.post("/start", json={"createDailyRoom": True})
            assert by_flag.json()["error"]["code"] == "TRANSPORT_UNAVAILABLE"
            assert "wsUrl" in (await http.post("/start", json={})).json()
            made = await http.post("/voice/realtime/session", json={"agent_type": "single_agent"})
        assert made.json()["url"].startswith("ws://")


class TestHealth:
    """Whether clients can come is told to anybody."""

    @asynccontextmanager
    async def serving(self, **config: Any) -> AsyncIterator[Callable[[], Awaitable[Any]]]:
        async with service(voice={"realtime": config}) as http:

            async def told() -> tuple[str, bool]:
                body = (await http.get("/voice/realtime/health")).json()
                return body["status"], body["transport_connected"]

            yield told

    @pytest.fixture(params=["daily", "livekit"])
    def place(self, request: pytest.FixtureRequest) -> tuple[dict[str, Any], Callable[[str], None]]:
        """A configuration by which sessions are held elsewhere, and what breaks that once."""
        standin = request.getfixturevalue(request.param)
        config = {"daily": daily_config, "livekit": livekit_config}[request.param](standin)
        path = {"daily": "rooms", "livekit": "ListRooms"}[request.param]
        return {
            "transport": request.param,
            request.param: config,
        }, lambda fault: standin.faults.append((path, fault))

    @pytest.mark.parametrize("fault", ["refuse", "hang"])
    async def test_a_service_without_rooms_is_unhealthy_until_there_are_some(
        self,
        place: tuple[dict[str, Any], Callable[[str], None]],
        monkeypatch: pytest.MonkeyPatch,
        fault: str,
    ) -> None:
        monkeypatch.setattr(rooms, "CHECK_ANSWER_SECS", 1)
        config, break_once = place
        async with self.serving(**config) as told:
            break_once(fault)
            answers = await asyncio.gather(*(told() for _ in range(5)))
            assert answers == [("unhealthy", False)] * 5, "with one request for all"
            monkeypatch.setattr(rooms, "CHECK_SECS", 0)
            monkeypatch.setattr(rooms, "CHECK_ANSWER_SECS", 10)
            assert await told() == ("healthy", True)
            monkeypatch.setattr(rooms, "CHECK_SECS", 60)
            break_once(fault)
            assert await told() == ("healthy", True), "it is not asked again so soon"

    async def test_a_wrong_key_and_none_are_of_no_use(self, daily: DailyStandin) -> None:
        wrong = {**daily_config(daily), "api_key": "another"}
        for config in ({"daily": wrong}, {}):
            async with self.serving(transport="daily", **config) as told:
                assert await told() == ("unhealthy", False)

    async def test_rooms_that_only_some_ask_for_are_not_asked_after(
        self, daily: DailyStandin
    ) -> None:
        daily.faults.append(("rooms", "refuse"))
        async with self.serving(daily=daily_config(daily)) as told:
            assert await told() == ("healthy", True)
        assert daily.faults

    async def test_a_service_that_stops_has_no_place_for_clients(self) -> None:
        async with service() as http:
            await http.app.state.sessions.drain()  # type: ignore[attr-defined]
            body = (await http.get("/voice/realtime/health")).json()
        assert (body["status"], body["transport_connected"]) == ("degraded", False)


class TestPhoneCalls:
    BODY = json.dumps(
        {"From": "+1556", "To": "+1555", "callId": "call-1", "callDomain": "domain-1"}
    ).encode()

    @asynccontextmanager
    async def serving(self, daily: DailyStandin) -> AsyncIterator[httpx.AsyncClient]:
        config = {"daily": daily_config(daily, dialin_secret=DIALIN_SECRET)}
        async with service(voice={"realtime": config}) as http:
            await key_of(http, "ada")
            yield http

    @pytest.mark.parametrize("unit", [1, 1000], ids=["seconds", "milliseconds"])
    def test_a_signature_of_dailys_is_known(self, unit: int) -> None:
        now = 1_795_000_000.0
        sent = signed(self.BODY, DIALIN_SECRET, now * unit)
        signature, secret = sent["X-Pinless-Signature"], SecretStr(DIALIN_SECRET)
        at = sent["X-Pinless-Timestamp"]
        assert is_signed(self.BODY, at, signature, secret, now + 299)
        assert not is_signed(self.BODY, at, signature, secret, now + 301)
        assert not is_signed(self.BODY, at, signature, secret, now - 301)
        assert not is_signed(self.BODY + b" ", at, signature, secret, now)
        assert not is_signed(self.BODY, at + "0", signature, secret, now)
        assert not is_signed(self.BODY, "soon", signature, secret, now)
        assert not is_signed(self.BODY, at, "", secret, now)

    async def test_without_one_nobody_is_put_through(self, daily: DailyStandin) -> None:
        async with self.serving(daily) as http:
            json_type = {"Content-Type": "application/json"}
            by_nobody = await http.post(
                "/daily-dialin-webhook", content=self.BODY, headers=json_type
            )
            other = base64.b64encode(b"another secret").decode()
            headers = signed(self.BODY, other, time.time())
            by_another = await http.post(
                "/daily-dialin-webhook", content=self.BODY, headers=headers
            )
        assert (by_nobody.status_code, by_another.status_code) == (403, 403)
        assert not daily.made

    async def test_each_is_taken_once_however_often_it_is_told_of(self) -> None:
        calls, started = PhoneCalls(), []

        async def start() -> str:
            await asyncio.sleep(0)
            started.append(f"session-{len(started)}")
            return started[-1]

        async def fail() -> str:
            raise RoomUnavailable("Daily is away")

        with pytest.raises(RoomUnavailable):
            await calls.take("call-1", fail)
        twice = await asyncio.gather(*(calls.take("call-1", start) for _ in range(2)))
        assert twice == ["session-0"] * 2, "the first try does not count"
        assert await calls.take("call-2", start) == "session-1"

    async def test_a_probe_of_dailys_is_answered(self, daily: DailyStandin) -> None:
        async with self.serving(daily) as http:
            answer = await http.post("/daily-dialin-webhook", json={"test": "test"})
        assert answer.status_code == 200
        assert not daily.made

    async def test_without_a_secret_none_are_taken(self, daily: DailyStandin) -> None:
        async with service(voice={"realtime": {"daily": daily_config(daily)}}) as http:
            headers = signed(self.BODY, DIALIN_SECRET, time.time())
            answer = await http.post("/daily-dialin-webhook", content=self.BODY, headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (
            400,
            "TRANSPORT_UNAVAILABLE",
        )

    def test_a_secret_that_is_not_base64_is_named_at_start(self) -> None:
        daily = {"api_key": "k", "dialin_secret": "not base64!"}
        with pytest.raises(ConfigError, match="dialin_secret: expected Base64"):
            load_settings(overrides={"voice": {"realtime": {"daily": daily}}})
