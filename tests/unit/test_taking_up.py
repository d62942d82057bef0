"""Sessions whose client comes back, and those that end meanwhile; all without any model."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bots.errors import DatabaseUnavailable
from runner import keeper, sessions
from runner.errors import ConnectionFailed, SessionTaken
from runner.host import CallPlan
from runner.keeper import Keeper
from runner.lines import EndReason
from runner.sessions import SessionManager
from runner.store import Store
from tests.app import key_of, service
from tests.database import Postgres
from tests.rows import session_row
from tests.standins.daily_api import run_daily_standin
from tests.unit.test_rooms import PLAN, daily_config, making_daily

BASE = "/voice/realtime"
WISH = {"agent_type": "single_agent"}
OFFER = {"sdp": "v=0\r\nm=audio nowhere RTP/AVP 0\r\n", "type": "offer"}


async def make(http: httpx.AsyncClient, **more: Any) -> dict[str, Any]:
    body: dict[str, Any] = (await http.post(f"{BASE}/session", json={**WISH, **more})).json()
    return body


async def look(http: httpx.AsyncClient, session_id: str) -> dict[str, Any]:
    body: dict[str, Any] = (await http.get(f"{BASE}/session/{session_id}")).json()
    return body


async def offer(http: httpx.AsyncClient, token: str) -> str:
    """Make an offer that nobody can answer; return what is said of it."""
    answer = await http.post(f"/sessions/{token}/api/offer", json=OFFER)
    code: str = answer.json()["error"]["code"]
    return code


def manager_of(http: httpx.AsyncClient) -> SessionManager:
    manager: SessionManager = http.app.state.sessions  # type: ignore[attr-defined]
    return manager


def store_of(http: httpx.AsyncClient) -> Store:
    store: Store = http.app.state.store  # type: ignore[attr-defined]
    return store


class Line:
    """In place of the host: answers every offer, when something else has happened."""

    def __init__(self, meanwhile: Callable[[], Any]) -> None:
        self.stopped: list[str] = []
        self._meanwhile = meanwhile

    async def offer(self, plan: Any, request: Any) -> dict[str, str]:
        self._meanwhile()
        return {"sdp": "", "type": "answer", "pc_id": "1"}

    def has_call(self, session_id: str) -> bool:
        return session_id not in self.stopped

    def clients(self, session_id: str) -> int:
        return self.has_call(session_id)

    async def stop(self, session_id: str, reason: EndReason = EndReason.STOPPED) -> None:
        self.stopped.append(session_id)

    async def close(self) -> None: ...


async def test_another_service_takes_up_the_session_of_one_that_is_gone(
    postgres: Postgres,
) -> None:
    voice = {"realtime": {"limits": {"sessions": 1}}}
    async with (
        service(database_url=postgres.url, voice=voice) as dead,
        service(database_url=postgres.url, voice=voice) as alive,
    ):
        made = await make(dead, agent_config={"greeting": "Hi!"})
        token, name = made["token"], made["session_id"]
        assert (await look(alive, name))["is_active"]
        for wrong in (name, f"{token}x", f"{name}.x"):
            assert await offer(alive, wrong) == "SESSION_NOT_FOUND"
        assert await offer(alive, token) == "CONNECTION_FAILED", "so it is let in"
        session = await manager_of(alive).admit(token)
        assert (session.bot.greeting, session.room_name) == ("Hi!", made["room_name"])
        assert manager_of(alive).count == 0, "it holds no line before its client is there"

        await make(alive)
        assert await offer(alive, token) == "SESSION_LIMIT_EXCEEDED"
        assert (await alive.delete(f"{BASE}/session/{name}")).status_code == 204
        assert await offer(alive, token) == "SESSION_NOT_FOUND"
        assert (await look(alive, name))["end_reason"] == "deleted"


async def test_a_token_is_good_for_the_way_its_client_was_to_come() -> None:
    async with service() as http:
        made = await make(http, transport="websocket")
        assert await offer(http, made["token"]) == "SESSION_NOT_FOUND"
        made = await make(http, transport="webrtc")
        assert await offer(http, made["token"]) == "CONNECTION_FAILED", "so it is let in"


async def test_a_session_without_a_service_can_be_ended(postgres: Postgres) -> None:
    async with (
        service(database_url=postgres.url) as dead,
        service(database_url=postgres.url) as alive,
    ):
        made = await make(dead)
        await alive.delete(f"{BASE}/session/{made['session_id']}")
        assert (await look(alive, made["session_id"]))["end_reason"] == "deleted"
        assert await offer(alive, made["token"]) == "SESSION_NOT_FOUND"


async def test_a_session_that_nobody_takes_up_is_ended(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    voice = {"realtime": {"limits": {"empty_timeout": 0.3}}}
    monkeypatch.setattr(keeper, "SIGN_OF_LIFE_SECS", 0.05)
    monkeypatch.setattr(keeper, "LOST_SECS", 0.2)
    async with service(database_url=postgres.url) as dead:
        made = await make(dead)
        session = manager_of(dead)._sessions.pop(made["session_id"])
        session.stop_waiting()
        await session.journal.close()
        async with service(database_url=postgres.url, voice=voice) as alive:
            its_own = await make(alive)
            async with asyncio.timeout(10):
                while (await look(alive, made["session_id"]))["is_active"]:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            status = await look(alive, made["session_id"])
            assert status["end_reason"] == "forsaken"
            assert status["duration_seconds"] < 1, "to its last sign of life"
            assert (await look(alive, its_own["session_id"]))["is_active"]
            metrics = (await alive.get("/metrics")).text
    # Other tests leave some as well.
    assert re.search(r'parlante_sessions_ended_total\{reason="forsaken"\} [1-9]', metrics)


async def test_of_two_services_that_look_at_once_one_sends_a_bot_into_each_room_that_has_none(
    engine: AsyncEngine,
) -> None:
    names = [f"room-{number}" for number in range(8)]
    begun = datetime.now(UTC) - timedelta(minutes=1)
    lost = {"transport": "daily", "created_at": begun, "seen_at": begun}
    attended: list[str] = []

    class Broken(Line):
        def has_call(self, session_id: str) -> bool:
            return False

        async def attend(self, plan: CallPlan, *_: Any, **__: Any) -> None:
            attended.append(plan.session_id)
            raise ZeroDivisionError("a bot is anybody's code")

    async with run_daily_standin() as daily:
        async with making_daily(daily) as maker:
            for name in names:
                await maker.make(replace(PLAN, name=name))
        config = {
            "database_url": engine.url.render_as_string(hide_password=False),
            "voice": {"realtime": {"daily": daily_config(daily)}},
        }
        async with service(**config) as one, service(**config) as two:
            for name in names:
                await store_of(one).add(session_row(name, room_name=name, **lost))
            managers = [manager_of(one), manager_of(two)]
            for manager in managers:
                manager._launcher = Broken(lambda: None)  # type: ignore[assignment]
            keepers = [Keeper(manager_of(http), store_of(http)) for http in (one, two)]
            await asyncio.gather(*(keeper._take_up_lost() for keeper in keepers))
            await asyncio.gather(*(task for manager in managers for task in manager._sending))
            assert sorted(attended) == names, "what one bot breaks on keeps no other from its room"
            for manager in managers:
                await asyncio.gather(*(manager.until_written(name) for name in names))
            assert not daily.rooms


class Rooms(Line):
    """In place of the host: holds the calls of bots in rooms elsewhere."""

    def __init__(self, away: int = 0) -> None:
        super().__init__(lambda: None)
        self.attended: list[str] = []
        self.away = away

    def has_call(self, session_id: str) -> bool:
        return session_id in self.attended

    async def attend(self, plan: CallPlan, *_: Any, **__: Any) -> None:
        if self.away:
            self.away -= 1
            raise DatabaseUnavailable("it is away")
        self.attended.append(plan.session_id)


async def test_a_room_that_lets_no_bot_in_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sessions, "ENTRY_PAUSES_SECS", (0.01,))
    async with run_daily_standin() as daily:
        async with making_daily(daily) as maker:
            await maker.make(replace(PLAN, name="room"))
        async with service(voice={"realtime": {"daily": daily_config(daily)}}) as http:
            begun = datetime.now(UTC) - timedelta(minutes=1)
            row = session_row(
                "lost", room_name="room", transport="daily", created_at=begun, seen_at=begun
            )
            await store_of(http).add(row)
            manager = manager_of(http)
            manager._launcher = rooms = Rooms()  # type: ignore[assignment]
            daily.faults.extend([("meeting-tokens", "refuse")] * 5)
            await Keeper(manager, store_of(http))._take_up_lost()
            await asyncio.gather(*manager._sending)
            assert rooms.attended == ["lost"]
            assert not daily.faults
            assert manager._sessions["lost"].expiry is None


@pytest.mark.parametrize("reason", [EndReason.TRANSFERRED, EndReason.HUNG_UP])
async def test_a_room_is_left_to_a_caller_who_was_put_through(reason: EndReason) -> None:
    async with (
        run_daily_standin() as daily,
        service(voice={"realtime": {"daily": daily_config(daily)}}) as http,
    ):
        manager = manager_of(http)
        manager._launcher = Rooms()  # type: ignore[assignment]
        made = await make(http, transport="daily")
        manager._call_ended(made["session_id"], reason)
        await manager.until_written(made["session_id"])
        assert len(daily.rooms) == (reason is EndReason.TRANSFERRED)


async def test_a_bot_that_is_sent_again_while_the_database_is_away_keeps_its_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sessions, "ENTRY_PAUSES_SECS", (0.01,))
    async with run_daily_standin() as daily:
        voice = {"realtime": {"daily": daily_config(daily), "limits": {"sessions": 1}}}
        async with service(voice=voice) as http:
            manager = manager_of(http)
            manager._launcher = rooms = Rooms()  # type: ignore[assignment]
            name = (await make(http, transport="daily"))["session_id"]
            session = manager._sessions[name]
            session.has_begun = True
            rooms.attended.clear()
            rooms.away = 3
            manager._call_ended(name, EndReason.CRASHED)
            waiting = session.expiry
            while rooms.away:
                assert (manager.count, session.expiry) == (1, waiting)
                await asyncio.sleep(0)
            await asyncio.gather(*manager._sending)
            assert (rooms.attended, session.expiry) == ([name], None)


async def test_a_room_that_has_nobody_is_entered_when_a_line_is_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sessions, "ENTRY_PAUSES_SECS", (0.01,))
    async with run_daily_standin() as daily:
        async with making_daily(daily) as maker:
            await maker.make(replace(PLAN, name="room"))
        voice = {"realtime": {"daily": daily_config(daily), "limits": {"sessions": 1}}}
        async with service(voice=voice) as http:
            manager = manager_of(http)
            manager._launcher = rooms = Rooms()  # type: ignore[assignment]
            other = (await make(http, transport="daily"))["session_id"]
            begun = datetime.now(UTC) - timedelta(minutes=1)
            row = session_row(
                "lost", room_name="room", transport="daily", created_at=begun, seen_at=begun
            )
            await store_of(http).add(row)
            await Keeper(manager, store_of(http))._take_up_lost()
            [sending] = manager._sending
            assert not (await asyncio.wait({sending}, timeout=0.1))[0]
            await manager.end(other, EndReason.DELETED)
            await asyncio.gather(sending)
            assert rooms.attended == [other, "lost"]


async def test_a_room_whose_bot_dies_as_the_service_stops_is_left_to_the_next_one(
    engine: AsyncEngine,
) -> None:
    config = {"database_url": engine.url.render_as_string(hide_password=False)}
    async with run_daily_standin() as daily:
        config["voice"] = {"realtime": {"daily": daily_config(daily)}}
        async with service(**config) as stopping, service(**config) as next_one:
            managers = [manager_of(http) for http in (stopping, next_one)]
            for manager in managers:
                manager._launcher = Rooms()  # type: ignore[assignment]
            made = await make(stopping, transport="daily")
            managers[0]._admission.is_draining = True
            managers[0]._call_ended(made["session_id"], EndReason.CRASHED)
            await asyncio.gather(*managers[0]._sending)
            assert "parlante_calls_crashed_total 1.0" in (await stopping.get("/metrics")).text
            await managers[0].close()
            row = await store_of(next_one).session(made["session_id"])
            assert row
            assert not row.ended_at
            await managers[1].take_up_lost(row)
            await asyncio.gather(*managers[1]._sending)
            assert managers[1]._launcher.has_call(made["session_id"])


async def test_a_session_that_ends_while_its_client_connects_leaves_no_call() -> None:
    async with service() as http:
        made = await make(http)
        manager = manager_of(http)
        host, manager._launcher = (
            manager._launcher,
            Line(  # type: ignore[assignment]
                lambda: manager._end(made["session_id"], EndReason.DELETED)
            ),
        )
        assert await offer(http, made["token"]) == "SESSION_NOT_FOUND"
        line: Any = manager._launcher
        manager._launcher = host
    assert line.stopped == [made["session_id"]]


async def test_a_client_that_is_expected_is_not_any_more_once_it_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with service(voice={"realtime": {"limits": {"join_timeout": 0.2}}}) as http:
        made = await make(http)
        manager = manager_of(http)
        host, manager._launcher = manager._launcher, Line(lambda: None)  # type: ignore[assignment]
        answer = await http.post(f"/sessions/{made['token']}/api/offer", json=OFFER)
        assert answer.status_code == 200
        await asyncio.sleep(0.4)
        assert (await look(http, made["session_id"]))["is_active"]

        manager._call_ended(made["session_id"], EndReason.CLIENT_LEFT)
        assert (manager.count, len(manager.here)) == (0, 1)
        manager._launcher = host


async def test_a_client_whose_second_offer_fails_is_not_waited_for_for_ever() -> None:
    class Once(Line):
        async def offer(self, plan: Any, request: Any) -> dict[str, str]:
            if self.answered:
                # It has made way for this one.
                self.stopped.append(plan.session_id)
                raise ConnectionFailed("no")
            self.answered = True
            return await super().offer(plan, request)

        answered = False

    async with service(voice={"realtime": {"limits": {"join_timeout": 0.2}}}) as http:
        made = await make(http)
        manager = manager_of(http)
        host, manager._launcher = manager._launcher, Once(lambda: None)  # type: ignore[assignment]
        path = f"/sessions/{made['token']}/api/offer"
        assert (await http.post(path, json=OFFER)).status_code == 200
        assert await offer(http, made["token"]) == "CONNECTION_FAILED"
        async with asyncio.timeout(5):
            while (await look(http, made["session_id"]))["is_active"]:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        manager._launcher = host
        assert (await look(http, made["session_id"]))["end_reason"] == "never_joined"
        assert manager.count == 0


async def test_a_client_that_comes_back_and_finds_no_way_in_may_try_again() -> None:
    async with service() as http:
        made = await make(http)
        manager = manager_of(http)
        (await manager.admit(made["token"])).has_begun = True
        manager._call_ended(made["session_id"], EndReason.NEVER_JOINED)
        assert (manager.count, len(manager.here)) == (0, 1)


async def test_who_comes_back_has_no_more_lines_than_who_starts() -> None:
    async with service(voice={"realtime": {"limits": {"sessions_per_user": 1}}}) as http:
        http.headers["X-API-Key"] = await key_of(http, "ada")
        left = await make(http)
        session = await manager_of(http).admit(left["token"])
        session.has_begun = True
        manager_of(http)._call_ended(session.id, EndReason.CLIENT_LEFT)
        second = await make(http)
        assert await offer(http, left["token"]) == "SESSION_LIMIT_EXCEEDED"
        await http.delete(f"{BASE}/session/{second['session_id']}")
        assert await offer(http, left["token"]) == "CONNECTION_FAILED", "so it is let in"


async def test_a_client_that_comes_without_a_session_and_is_refused_leaves_none() -> None:
    async with service() as http:
        answer = await http.post("/api/offer", json=OFFER)
        assert answer.json()["error"]["code"] == "CONNECTION_FAILED"
        assert manager_of(http).here == []
        [session] = (await http.get(f"{BASE}/sessions")).json()["sessions"]
        assert (await look(http, session["session_id"]))["end_reason"] == "error"


async def test_a_session_that_ends_while_somebody_looks_has_ended_for_them() -> None:
    async with service() as http:
        session_id = (await make(http))["session_id"]
        manager, store = manager_of(http), store_of(http)

        class SlowStore:
            """Answers with what it has read before the session ended."""

            async def session(self, session_id: str) -> Any:
                row = await store.session(session_id)
                await manager.end(session_id, EndReason.ERROR)
                return row

            def __getattr__(self, name: str) -> Any:
                return getattr(store, name)

        http.app.state.store = SlowStore()  # type: ignore[attr-defined]
        assert (await look(http, session_id))["end_reason"] == "error"


async def test_a_lost_session_whose_bot_is_not_there_any_more_is_ended() -> None:
    async with run_daily_standin() as daily:
        async with making_daily(daily) as maker:
            await maker.make(replace(PLAN, name="room"))
        async with service(voice={"realtime": {"daily": daily_config(daily)}}) as http:
            begun = datetime.now(UTC) - timedelta(minutes=1)
            lost = {"transport": "daily", "created_at": begun, "seen_at": begun}
            await store_of(http).add(session_row("lost", bot="gone", room_name="room", **lost))
            await Keeper(manager_of(http), store_of(http))._take_up_lost()
            row = await store_of(http).session("lost")
            assert row
            assert row.end_reason == "error"
        assert not daily.rooms


async def test_a_client_that_comes_twice_at_once_holds_one_line() -> None:
    async with service() as http:
        made = await make(http)
        manager = manager_of(http)
        session = await manager.admit(made["token"])
        session.has_begun = True
        manager._call_ended(session.id, EndReason.CLIENT_LEFT)
        first_is_there, has_call = asyncio.Event(), False

        class Twice(Line):
            def has_call(self, session_id: str) -> bool:
                return has_call

            async def offer(self, plan: Any, request: Any) -> dict[str, str]:
                nonlocal has_call
                if first_is_there.is_set():
                    raise SessionTaken("the other was faster")
                first_is_there.set()
                await asyncio.sleep(0.05)
                has_call = True
                return await super().offer(plan, request)

        host, manager._launcher = manager._launcher, Twice(lambda: None)  # type: ignore[assignment]
        path = f"/sessions/{made['token']}/api/offer"
        answers = await asyncio.gather(*(http.post(path, json=OFFER) for _ in range(2)))
        manager._launcher = host
        assert sorted(answer.status_code for answer in answers) == [200, 409]
        assert (manager.count, session.expiry) == (1, None)


@pytest.mark.parametrize(
    ("reason", "rooms"),
    [
        (EndReason.CLIENT_LEFT, 1),
        (EndReason.PEER_LOST, 1),
        (EndReason.HUNG_UP, 0),
        (EndReason.USER_IDLE, 0),
        (EndReason.MAX_DURATION, 0),
        (EndReason.ERROR, 0),
        (EndReason.EMPTY_ROOM, 0),
        (EndReason.STUCK, 0),
    ],
)
async def test_only_a_client_that_has_not_hung_up_is_waited_for(
    reason: EndReason, rooms: int
) -> None:
    async with service() as http:
        made = await make(http)
        manager = manager_of(http)
        manager._call_ended(made["session_id"], reason)
        assert (manager.count, len(manager.here)) == (0, rooms)
        await manager.drain()
        refusal = "SERVICE_DRAINING" if rooms else "SESSION_NOT_FOUND"
        assert await offer(http, made["token"]) == refusal


async def test_a_service_that_stops_leaves_its_empty_sessions_to_the_next(
    postgres: Postgres,
) -> None:
    async with service(database_url=postgres.url) as one:
        never_joined, left = await make(one), await make(one)
        manager_of(one)._call_ended(left["session_id"], EndReason.PEER_LOST)
    async with service(database_url=postgres.url) as two:
        for made in (never_joined, left):
            assert (await look(two, made["session_id"]))["is_active"]
            assert await offer(two, made["token"]) == "CONNECTION_FAILED", "so it is let in"
