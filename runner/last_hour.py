"""How long users waited within the last hour, by the minute, and which services failed."""

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import ceil

from pydantic import BaseModel

from processors.failover import Failure
from processors.latency import TurnLatency

HOUR = timedelta(hours=1)
MINUTES = 60
MOST_ANSWERS = 1000
"""Of one minute, whose waits are looked at: sorting them takes the event loop a millisecond."""

Failing = tuple[str, str, str]
"""What a service is for, whose it is, and why it failed."""


class Spread(BaseModel):
    """How long something took: no longer than `p50_ms` in half of the cases, `p95_ms` in 95 %."""

    p50_ms: float
    p95_ms: float


class Minute(BaseModel):
    """What was measured in one minute.

    Attributes:
        at: When it began.
        answers: How many there were.
        wait: From the user's last sound to the bot's first one; None if there was no answer.
        stages: The parts of it, by Pipecat's names.
        failures: How often a service did not do its work.
    """

    at: datetime
    answers: int
    wait: Spread | None
    stages: dict[str, Spread]
    failures: int


class ServiceFailures(BaseModel):
    """How often a service failed for one reason, within the hour.

    Attributes:
        stage: What it is for: `stt`, `llm` or `tts`.
        provider: Whose it is.
        reason: Why, by Pipecat's names (`rate_limit`), or `timeout`.
        last_at: When it was the last time.
    """

    stage: str
    provider: str
    reason: str
    count: int
    last_at: datetime


@dataclass
class _Minute:
    """A minute, and of the one that has not passed what was measured in it."""

    at: datetime
    answers: int = 0
    waits: list[float] = field(default_factory=list)
    stages: dict[str, list[float]] = field(default_factory=dict)
    failures: Counter[Failing] = field(default_factory=Counter)
    closed: Minute | None = None

    def told(self) -> Minute:
        """Return it as it is told of."""
        return self.closed or Minute(
            at=self.at,
            answers=self.answers,
            wait=_spread(self.waits) if self.waits else None,
            stages={stage: _spread(times) for stage, times in self.stages.items()},
            failures=self.failures.total(),
        )

    def close(self) -> None:
        """Keep of it what is told, and no single answer."""
        self.closed = self.told()
        self.waits, self.stages = [], {}


class LastHour:
    """Keeps what was measured within the last hour, and nothing of what was before.

    Args:
        clock: Tells the time, UTC.
    """

    def __init__(self, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._clock = clock
        self._minutes: deque[_Minute] = deque(maxlen=MINUTES)
        self._failed_at: dict[Failing, datetime] = {}

    def answered(self, latency: TurnLatency) -> None:
        """Take the wait for one answer."""
        minute = self._now()
        minute.answers += 1
        if len(minute.waits) == MOST_ANSWERS:
            return
        minute.waits.append(latency.total_ms)
        for stage, ms in latency.stages_ms.items():
            minute.stages.setdefault(stage, []).append(ms)

    def failed(self, failure: Failure) -> None:
        """Take a service that has failed."""
        failing = failure.stage, failure.provider, failure.reason
        self._now().failures[failing] += 1
        self._failed_at[failing] = self._clock()

    def minutes(self) -> list[Minute]:
        """Return the minutes in which there was anything, the oldest first."""
        self._forget()
        return [minute.told() for minute in self._minutes]

    def failures(self) -> list[ServiceFailures]:
        """Return which services have failed, and how often, the last to fail first."""
        self._forget()
        counts = sum((minute.failures for minute in self._minutes), Counter[Failing]())
        found = [
            ServiceFailures(
                stage=stage,
                provider=provider,
                reason=reason,
                count=count,
                last_at=self._failed_at[stage, provider, reason],
            )
            for (stage, provider, reason), count in counts.items()
        ]
        return sorted(found, key=lambda it: it.last_at, reverse=True)

    def _now(self) -> _Minute:
        at = self._clock().replace(second=0, microsecond=0)
        if not self._minutes or self._minutes[-1].at < at:
            if self._minutes:
                self._minutes[-1].close()
            self._minutes.append(_Minute(at))
        return self._minutes[-1]

    def _forget(self) -> None:
        while self._minutes and self._minutes[0].at <= self._clock() - HOUR:
            self._minutes.popleft()


def _spread(values: Sequence[float]) -> Spread:
    in_order = sorted(values)
    p50, p95 = (in_order[ceil(len(in_order) * share) - 1] for share in (0.5, 0.95))
    return Spread(p50_ms=p50, p95_ms=p95)
