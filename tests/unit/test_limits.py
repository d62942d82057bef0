"""Who may start a session, and who has to wait."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine, event

from bots.config import LimitConfig
from processors.latency import TurnLatency
from runner import watchdog
from runner.errors import Overloaded, SessionLimitExceeded, StartRateExceeded
from runner.limits import (
    ENOUGH_LAGS,
    ENOUGH_LOADS,
    ENOUGH_WAITS,
    LAG_SECS,
    RATE_SECS,
    WAIT_SECS,
    Admission,
)
from runner.sessions import SessionManager
from tests.app import key_of, service


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def admission(clock: Clock, **limits: float | None) -> Admission:
    return Admission(LimitConfig(**limits), lines=10, clock=clock)  # type: ignore[arg-type]


class TestAUser:
    def test_has_so_many_sessions_at_once(self, clock: Clock) -> None:
        door = admission(clock, sessions_per_user=2)
        door.check_user("ada", 1)
        with pytest.raises(SessionLimitExceeded, match="2 sessions"):
            door.check_user("ada", 2)
        admission(clock, sessions_per_user=None).check_user("ada", 99)

    def test_starts_so_many_within_any_minute(self, clock: Clock) -> None:
        door = admission(clock, starts_per_minute=3)
        for _ in range(3):
            door.check_user("ada", 0)
            clock.now += 10
        with pytest.raises(StartRateExceeded) as refused:
            door.check_user("ada", 0)
        assert refused.value.retry_after_secs == RATE_SECS - 30
        door.check_user("eve", 0)
        clock.now += refused.value.retry_after_secs
        door.check_user("ada", 0)
        with pytest.raises(StartRateExceeded):
            door.check_user("ada", 0)

    def test_is_not_punished_for_starts_that_were_refused(self, clock: Clock) -> None:
        door = admission(clock, starts_per_minute=1)
        door.check_user("ada", 0)
        for _ in range(50):
            with pytest.raises(StartRateExceeded):
                door.check_user("ada", 0)
            clock.now += 1
        clock.now += RATE_SECS - 50
        door.check_user("ada", 0)

    def test_is_forgotten_a_minute_later(self, clock: Clock) -> None:
        door = admission(clock)
        for number in range(1000):
            door.check_user(f"user {number}", 0)
        clock.now += RATE_SECS
        door.check_user("ada", 0)
        assert list(door._starts) == ["ada"]


class TestLoad:
    def test_of_a_late_event_loop_keeps_others_out(self, clock: Clock) -> None:
        door = admission(clock, max_lag=0.1)
        for _ in range(ENOUGH_LAGS - 1):
            door.lagged(0.5)
        door.check_load(1)
        door.lagged(0.0)
        with pytest.raises(Overloaded):
            door.check_load(1)
        door.check_load(0)
        clock.now += LAG_SECS + 1
        for _ in range(ENOUGH_LAGS):
            door.lagged(0.01)
        door.lagged(0.5)
        door.check_load(1)

    def test_of_late_answers_keeps_others_out(self, clock: Clock) -> None:
        door = admission(clock, max_wait=2.0)
        for _ in range(2):
            door.answered(9.0)
        door.check_load(1)
        door.answered(2.5)
        with pytest.raises(Overloaded):
            door.check_load(1)
        for _ in range(4):
            door.answered(0.5)
        door.check_load(1)
        clock.now += WAIT_SECS + 1
        door.answered(9.0)
        door.check_load(1)

    def test_may_be_left_out_of_account(self, clock: Clock) -> None:
        door = admission(clock, max_lag=None, max_wait=None)
        for _ in range(ENOUGH_LAGS):
            door.lagged(9.0)
            door.answered(9.0)
        door.check_load(1)


def limits(**values: int | None) -> dict[str, object]:
    return {"realtime": {"limits": values}}


async def test_of_fifty_who_come_together_as_many_are_let_in_as_there_are_lines() -> None:
    async with service(voice=limits(sessions=10)) as http:
        answers = await asyncio.gather(*(http.post("/start", json={}) for _ in range(50)))
        assert sorted(answer.status_code for answer in answers) == [200] * 10 + [429] * 40
        assert {answer.headers["Retry-After"] for answer in answers if answer.is_error} == {"10"}
        assert (await http.get("/ready")).json()["sessions"] == 10


async def test_a_crowd_has_its_key_looked_at_once_and_its_refused_cost_the_store_nothing() -> None:
    asked: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        asked.append(statement)

    async with service(voice=limits(sessions=10, sessions_per_user=10)) as http:
        http.headers["X-API-Key"] = await key_of(http, "ada")
        event.listen(Engine, "before_cursor_execute", note)
        answers = await asyncio.gather(*(http.post("/start", json={}) for _ in range(50)))
        event.remove(Engine, "before_cursor_execute", note)
        assert sum(answer.status_code == 200 for answer in answers) == 10
        assert sum("FROM api_keys" in statement for statement in asked) == 1
        assert sum("FROM users" in statement for statement in asked) == 10


async def test_limits_of_a_user_are_theirs_alone() -> None:
    async with service(voice=limits(sessions=10, sessions_per_user=3)) as http:
        keys = [await key_of(http, user) for user in ("ada", "eve")]
        for key in keys:
            answers = await asyncio.gather(
                *(http.post("/start", json={}, headers={"X-API-Key": key}) for _ in range(5))
            )
            assert sorted(answer.status_code for answer in answers) == [200] * 3 + [429] * 2


async def test_who_starts_too_fast_is_told_when_to_come_again() -> None:
    async with service(voice=limits(sessions=10, starts_per_minute=2)) as http:
        http.headers["X-API-Key"] = await key_of(http, "ada")
        for status in (200, 200, 429):
            answer = await http.post("/start", json={})
            assert answer.status_code == status
        assert answer.json()["error"]["code"] == "START_RATE_EXCEEDED"
        assert 0 < int(answer.headers["Retry-After"]) <= 60


async def test_where_nobody_needs_a_key_there_are_no_users_to_limit() -> None:
    async with service(voice=limits(sessions=9, sessions_per_user=1, starts_per_minute=1)) as http:
        assert [(await http.post("/start", json={})).status_code for _ in range(9)] == [200] * 9


async def test_a_busy_machine_sends_others_elsewhere_and_takes_who_comes_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("PARLANTE_VOICE__REALTIME__WORKER__LOAD_THRESHOLD")
    async with service(voice=limits(sessions=9)) as http:
        manager = http.app.state.sessions  # type: ignore[attr-defined]
        for _ in range(ENOUGH_LOADS):
            manager.loaded(0.9)
        assert (await http.get("/ready")).status_code == 200, "nobody is there to be disturbed"
        assert (await http.post("/start", json={})).status_code == 200
        answer = await http.get("/ready")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "SERVICE_OVERLOADED")
        assert (await http.post("/start", json={})).status_code == 200


async def test_how_busy_the_machine_is_is_told() -> None:
    told: asyncio.Queue[float] = asyncio.Queue()
    watching = asyncio.create_task(watchdog.watch_load(told.put_nowait))
    share = await asyncio.wait_for(told.get(), 5)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    assert 0 <= share <= 1


def lag(manager: SessionManager) -> None:
    for _ in range(ENOUGH_LAGS):
        manager.lagged(9.0)


def answer_late(manager: SessionManager) -> None:
    for _ in range(ENOUGH_WAITS):
        manager.answered(TurnLatency(9000, {}, made_ahead=False, withdrawn=0))


@pytest.mark.parametrize("slow_down", [lag, answer_late])
async def test_a_service_whose_calls_are_slow_takes_no_more_and_is_not_ready(
    slow_down: Callable[[SessionManager], None],
) -> None:
    async with service(voice=limits(sessions=9)) as http:
        assert (await http.post("/start", json={})).status_code == 200
        slow_down(http.app.state.sessions)  # type: ignore[attr-defined]
        for method, path in (("GET", "/ready"), ("POST", "/start")):
            answer = await http.request(method, path, json={})
            assert answer.status_code == 503
            assert answer.json()["error"]["code"] == "SERVICE_OVERLOADED"
            assert int(answer.headers["Retry-After"]) > 0
        assert (await http.get("/voice/realtime/health")).json()["status"] == "degraded"
