"""What the service counts and times, for Prometheus and for operators."""

from collections.abc import Callable
from dataclasses import asdict
from enum import StrEnum

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    generate_latest,
)

from processors.failover import Failure
from processors.latency import TurnLatency
from processors.usage import Used
from runner.last_hour import LastHour
from runner.lines import EndReason

WAIT_BUCKETS_SECS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0)
LAG_BUCKETS_SECS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
STAGE_BUCKETS_SECS = (0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0, 2.0, 5.0)

SESSION_EVENTS = ("started", "joined", "left", "ended")


class Delivery(StrEnum):
    """What became of a try to tell another server of an event."""

    ARRIVED = "arrived"
    PUT_OFF = "put_off"
    """It is tried again."""
    GIVEN_UP = "given_up"


class Telemetry:
    """The metrics of one service.

    Args:
        sessions: Tells how many sessions there are.
        agent_name: Names this service among others.

    Attributes:
        last_hour: What was measured within it.
    """

    def __init__(self, sessions: Callable[[], int], *, agent_name: str = "parlante") -> None:
        self.last_hour = LastHour()
        self._registry = CollectorRegistry()
        about = Info("parlante", "Which service this is", registry=self._registry)
        about.info({"agent_name": agent_name})
        ProcessCollector(registry=self._registry)
        lines = Gauge("parlante_sessions", "Sessions now, joined or not", registry=self._registry)
        lines.set_function(sessions)
        self._ended = Counter(
            "parlante_sessions_ended",
            "Sessions that have ended, by reason",
            ["reason"],
            registry=self._registry,
        )
        for reason in EndReason:
            self._ended.labels(reason.value)
        self._events = Counter(
            "parlante_session_events",
            "Sessions that were started, whose client came, went, and that ended",
            ["event"],
            registry=self._registry,
        )
        for event in SESSION_EVENTS:
            self._events.labels(event)
        self._lag = Histogram(
            "parlante_event_loop_lag_seconds",
            "How much later than it should the event loop came round",
            buckets=LAG_BUCKETS_SECS,
            registry=self._registry,
        )
        self._wait = Histogram(
            "parlante_answer_wait_seconds",
            "From the user's last sound to the bot's first one, as the pipeline sees them",
            buckets=WAIT_BUCKETS_SECS,
            registry=self._registry,
        )
        self._stage = Histogram(
            "parlante_answer_stage_seconds",
            "What a wait went into, by Pipecat's names",
            ["stage"],
            buckets=STAGE_BUCKETS_SECS,
            registry=self._registry,
        )
        self._answers = Counter(
            "parlante_answers",
            "Answers made: ahead of the end of the turn and kept, ahead and withdrawn, or after it",
            ["made"],
            registry=self._registry,
        )
        for made in ("ahead", "withdrawn", "after"):
            self._answers.labels(made)
        self._failures = Counter(
            "parlante_service_failures",
            "Services that did not do their work, by what they are for, whose they are and why",
            ["stage", "provider", "reason"],
            registry=self._registry,
        )
        self._failovers = Counter(
            "parlante_failovers",
            "Services that stood in for one that failed, by what they are for and whose they are",
            ["stage", "provider"],
            registry=self._registry,
        )
        self._crashes = Counter(
            "parlante_calls_crashed",
            "Calls whose process died; most sessions go on with another",
            registry=self._registry,
        )
        self._usage = Counter(
            "parlante_usage",
            "What services have consumed, by what they are for, whose they are, model and unit",
            ["stage", "provider", "model", "unit"],
            registry=self._registry,
        )
        self._cost = Counter(
            "parlante_cost",
            "What that costs, in the currency of voice.prices, as far as it has a price",
            ["stage", "provider", "model"],
            registry=self._registry,
        )
        self._dropped = Counter(
            "parlante_audio_dropped_seconds",
            "Sound that clients sent faster than it can be heard, and that was dropped",
            registry=self._registry,
        )
        self._webhooks = Counter(
            "parlante_webhooks",
            "Tries to tell another server of an event, by what became of them",
            ["delivery"],
            registry=self._registry,
        )
        for delivery in Delivery:
            self._webhooks.labels(delivery.value)

    def ended(self, reason: EndReason) -> None:
        """Take the end of one session."""
        self._ended.labels(reason.value).inc()

    def happened(self, event: str) -> None:
        """Take an event of a session; one that is none of its life is not counted."""
        if event in SESSION_EVENTS:
            self._events.labels(event).inc()

    def lagged(self, secs: float) -> None:
        """Take how late the event loop was."""
        self._lag.observe(secs)

    def answered(self, latency: TurnLatency) -> None:
        """Take the wait for one answer."""
        self._wait.observe(latency.total_ms / 1000)
        for stage, ms in latency.stages_ms.items():
            self._stage.labels(stage).observe(ms / 1000)
        self._answers.labels("ahead" if latency.made_ahead else "after").inc()
        self._answers.labels("withdrawn").inc(latency.withdrawn)
        self.last_hour.answered(latency)

    def failed(self, failure: Failure) -> None:
        """Take a service that has failed, and the one that stands in for it."""
        self._failures.labels(failure.stage, failure.provider, failure.reason).inc()
        if failure.successor:
            self._failovers.labels(failure.stage, failure.successor).inc()
        self.last_hour.failed(failure)

    def crashed(self) -> None:
        """Take a call whose process has died."""
        self._crashes.inc()

    def used(self, used: Used) -> None:
        """Take what a service has consumed."""
        whose = (used.kind, used.provider, used.model)
        for unit, amount in asdict(used.amounts).items():
            if amount:
                self._usage.labels(*whose, unit).inc(amount)
        if used.cost is not None:
            self._cost.labels(*whose).inc(used.cost)

    def dropped(self, secs: float) -> None:
        """Take how much sound of a client was dropped."""
        self._dropped.inc(secs)

    def delivered(self, delivery: Delivery) -> None:
        """Take a try to tell another server of an event."""
        self._webhooks.labels(delivery.value).inc()

    def page(self) -> bytes:
        """Return everything in Prometheus's text format."""
        return generate_latest(self._registry)
