import pytest
from prometheus_client.parser import text_string_to_metric_families

from processors.failover import Failure
from processors.latency import TurnLatency
from runner.telemetry import Telemetry


def samples(telemetry: Telemetry) -> dict[tuple[str, ...], float]:
    """Return what is exposed, by the name and the labels' values."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(telemetry.page().decode())
        for sample in family.samples
    }


def test_the_wait_for_answers_is_exposed_with_its_stages_and_what_was_made_in_vain() -> None:
    telemetry = Telemetry(lambda: 3)
    stages = {"endpointing_wait": 300.0, "llm_inference": 250.0}
    telemetry.answered(TurnLatency(550, stages, made_ahead=True, withdrawn=2))
    telemetry.answered(TurnLatency(1050, {}, made_ahead=False, withdrawn=0))

    exposed = samples(telemetry)
    assert exposed["parlante_sessions",] == 3
    assert exposed["parlante_answer_wait_seconds_count",] == 2
    assert exposed["parlante_answer_wait_seconds_sum",] == pytest.approx(1.6)
    assert exposed["parlante_answer_wait_seconds_bucket", "0.6"] == 1
    assert exposed["parlante_answer_stage_seconds_sum", "llm_inference"] == 0.25
    made = {
        name: exposed["parlante_answers_total", name] for name in ("ahead", "withdrawn", "after")
    }
    assert made == {"ahead": 1, "withdrawn": 2, "after": 1}


def test_services_that_fail_and_those_that_stand_in_for_them_are_counted() -> None:
    telemetry = Telemetry(lambda: 0)
    telemetry.failed(Failure("llm", "openai", "timeout", "anthropic"))
    telemetry.failed(Failure("llm", "openai", "timeout", "anthropic"))
    telemetry.failed(Failure("llm", "anthropic", "rate_limit", None))

    exposed = samples(telemetry)
    assert exposed["parlante_service_failures_total", "openai", "timeout", "llm"] == 2
    assert exposed["parlante_service_failures_total", "anthropic", "rate_limit", "llm"] == 1
    assert exposed["parlante_failovers_total", "anthropic", "llm"] == 2


def test_sound_that_was_dropped_is_counted_in_seconds() -> None:
    telemetry = Telemetry(lambda: 0)
    assert samples(telemetry)["parlante_audio_dropped_seconds_total",] == 0
    telemetry.dropped(1.5)
    telemetry.dropped(2.5)
    assert samples(telemetry)["parlante_audio_dropped_seconds_total",] == 4
