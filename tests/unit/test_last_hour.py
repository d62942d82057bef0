"""What was measured within the last hour, by the minute."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from processors.failover import Failure
from processors.latency import TurnLatency
from runner import last_hour
from runner.last_hour import LastHour

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
TIMEOUT = Failure("llm", "openai", "timeout", None)


@dataclass
class Clock:
    now: datetime = NOON

    def __call__(self) -> datetime:
        return self.now

    def skip(self, minutes: float) -> None:
        self.now += timedelta(minutes=minutes)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def hour(clock: Clock) -> LastHour:
    return LastHour(clock)


def wait(total_ms: float, **stages_ms: float) -> TurnLatency:
    return TurnLatency(total_ms, stages_ms, made_ahead=False, withdrawn=0)


def test_half_of_the_answers_of_a_minute_are_no_later_and_nineteen_of_twenty(
    clock: Clock, hour: LastHour
) -> None:
    for number in range(1, 21):
        hour.answered(wait(100 * number, llm_inference=number))
    clock.skip(1.5)
    hour.answered(wait(700))
    before, now = hour.minutes()
    assert (before.at, before.answers) == (NOON, 20)
    assert before.wait
    assert (before.wait.p50_ms, before.wait.p95_ms) == (1000, 1900)
    assert before.stages["llm_inference"].p95_ms == 19
    assert now.wait
    assert (now.at, now.wait.p50_ms, now.wait.p95_ms) == (NOON + timedelta(minutes=1), 700, 700)
    assert now.stages == {}


def test_what_was_an_hour_ago_is_forgotten(clock: Clock, hour: LastHour) -> None:
    hour.answered(wait(500))
    hour.failed(TIMEOUT)
    clock.skip(59.9)
    assert len(hour.minutes()) == len(hour.failures()) == 1
    clock.skip(0.1)
    assert hour.minutes() == hour.failures() == []


def test_services_that_fail_are_counted_by_reason_and_the_last_to_fail_comes_first(
    clock: Clock, hour: LastHour
) -> None:
    hour.failed(TIMEOUT)
    clock.skip(2)
    hour.failed(TIMEOUT)
    clock.skip(1)
    hour.failed(Failure("tts", "elevenlabs", "quota", "local"))
    quota, timeout = hour.failures()
    assert (quota.provider, quota.count) == ("elevenlabs", 1)
    assert (timeout.provider, timeout.count) == ("openai", 2)
    assert timeout.last_at == NOON + timedelta(minutes=2)
    assert [minute.failures for minute in hour.minutes()] == [1, 1, 1]
    assert hour.minutes()[0].wait is None


def test_no_more_is_kept_however_much_happens(
    monkeypatch: pytest.MonkeyPatch, clock: Clock, hour: LastHour
) -> None:
    monkeypatch.setattr(last_hour, "MOST_ANSWERS", 3)
    for _ in range(70):
        for number in range(5):
            hour.answered(wait(number, llm_inference=number))
        clock.skip(1)
    assert len(hour._minutes) == last_hour.MINUTES
    kept = [len(minute.waits) + len(minute.stages) for minute in hour._minutes]
    assert kept == [0] * 59 + [3 + 1], "of minutes that are over, no single answer"
    assert {minute.answers for minute in hour.minutes()} == {5}
