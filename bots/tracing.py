"""Traces of calls by OpenTelemetry: each turn, what its answer waited for, what services did."""

import time
from typing import TYPE_CHECKING

from bots.config import RealtimeConfig
from bots.errors import ServiceUnavailable
from processors.latency import TurnLatency

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import SpanContext

SEND_TIMEOUT_SECS = 5.0
"""For a batch of spans; the service waits no longer for a collector that does not answer."""


def start_tracing(config: RealtimeConfig) -> "TracerProvider | None":
    """Have the traces of this process sent to a collector, from threads of their own.

    What it does not take in time is dropped. Pipecat makes the spans of calls, turns and services.

    Returns:
        What sends them, to be shut down at the end, which may block; None where nothing is to be
        traced.

    Raises:
        ServiceUnavailable: If a package is missing.
    """
    if not config.traces.endpoint:
        return None
    try:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise ServiceUnavailable(
            f"voice.realtime.traces needs a package that is not installed ({error}). "
            "Run: uv pip install -e '.[telemetry]'"
        ) from error
    url = f"{config.traces.endpoint.rstrip('/')}/v1/traces"
    about = Resource.create({"service.name": config.worker.agent_name})
    provider = TracerProvider(resource=about)
    provider.add_span_processor(
        BatchSpanProcessor(OTLPSpanExporter(endpoint=url, timeout=SEND_TIMEOUT_SECS))
    )
    trace.set_tracer_provider(provider)
    return provider


def trace_answer(latency: TurnLatency, turn: "SpanContext | None") -> None:
    """Show the wait for an answer that begins to be heard now, and the parts of it, as spans.

    Args:
        latency: The wait.
        turn: The span of the turn; None for an answer that belongs to none.
    """
    from opentelemetry.trace import NonRecordingSpan, get_tracer, set_span_in_context

    tracer = get_tracer("parlante")
    end_ns = time.time_ns()
    begin_ns = end_ns - _ns(latency.total_ms)
    answer = tracer.start_span(
        "wait for the answer",
        set_span_in_context(NonRecordingSpan(turn)) if turn else None,
        start_time=begin_ns,
        attributes={"made_ahead": latency.made_ahead, "withdrawn": latency.withdrawn},
    )
    inside = set_span_in_context(answer)
    for stage, ms in latency.stages_ms.items():
        span = tracer.start_span(stage, inside, start_time=begin_ns)
        begin_ns += _ns(ms)
        span.end(begin_ns)
    answer.end(end_ns)


def _ns(ms: float) -> int:
    return round(ms * 1_000_000)
