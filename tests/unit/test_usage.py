"""What services consume, what that costs, and who did the work."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pipecat.frames.frames import LLMContextFrame
from pipecat.observers.service_metrics_observer import ServiceUsageKind, ServiceUsageRecord
from pipecat.pipeline.worker import PipelineParams
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.tests.utils import run_test

from bots.config import ModelPrice, PriceConfig, ServiceConfig
from bots.meter import Meter, amounts_of
from processors.agent_bridge import AgentLLMService
from processors.estimates import EstimatedRecord, UsageObserver
from processors.text_agent import Chunk, TokensUsed
from processors.usage import Amounts, Used, on_behalf
from runner.store import Store
from runner.usage import Bill, session_usage
from tests.rows import session_row

PRICES = PriceConfig(
    providers={
        "openai": {"small": ModelPrice(prompt=2, cached=1, completion=10)},
        "groq": {"*": ModelPrice(prompt=20, completion=20)},
    }
)


def record(processor: str, **more: Any) -> ServiceUsageRecord:
    return ServiceUsageRecord(kind=ServiceUsageKind.LLM, processor=processor, timestamp=0.0, **more)


def watched(meter: Meter, provider: str, model: str | None) -> str:
    service = cast(Any, SimpleNamespace(name=f"{provider}#0"))
    meter.watch("llm", provider, ServiceConfig(model=model), service)
    return f"{provider}#0"


def test_each_provider_is_paid_for_what_it_did_itself() -> None:
    meter = Meter(PRICES, spent=1.0)
    first, second = watched(meter, "openai", "small"), watched(meter, "groq", "any")
    tokens = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
    one = meter.take(record(first, cache_read_input_tokens=400, **tokens))
    other = meter.take(record(second, **tokens))
    assert (one.provider, one.model) == ("openai", "small")
    assert one.cost == pytest.approx((600 * 2 + 400 * 1 + 100 * 10) / 1e6)
    assert (other.provider, other.cost) == ("groq", pytest.approx(1100 * 20 / 1e6))
    assert meter.cost == pytest.approx(1.0 + one.cost + other.cost)


def test_who_works_for_a_service_of_another_is_paid_for_what_they_did() -> None:
    meter = Meter(PRICES)
    agent = watched(meter, "openai", "small")
    used = meter.take(record(on_behalf("groq", agent), model="any", prompt_tokens=1000))
    assert (used.kind, used.provider, used.model) == ("llm", "groq", "any")
    assert used.cost == pytest.approx(1000 * 20 / 1e6)


def test_a_cache_that_is_told_beside_the_prompt_is_counted_once() -> None:
    meter = Meter(PRICES)
    used = meter.take(
        record(
            watched(meter, "openai", "small"),
            prompt_tokens=600,
            completion_tokens=100,
            total_tokens=1100,
            cache_read_input_tokens=400,
        )
    )
    assert used.amounts.prompt_tokens == 1000
    assert used.cost == pytest.approx((600 * 2 + 400 * 1 + 100 * 10) / 1e6)


def test_what_no_service_told_of_is_marked_and_paid_for_all_the_same() -> None:
    meter = Meter(PRICES)
    told = record(watched(meter, "openai", "small"), prompt_tokens=600, completion_tokens=100)
    used = meter.take(EstimatedRecord(**told.model_dump()))
    assert used.amounts == replace(meter.take(told).amounts, estimated_tokens=700)
    assert used.cost == pytest.approx((600 * 2 + 100 * 10) / 1e6)


def test_what_has_no_price_costs_none_and_what_is_local_nothing() -> None:
    amounts = Amounts(characters=100)
    assert PRICES.cost("openai", "small", amounts) is None
    assert PRICES.cost("elevenlabs", "flash", amounts) is None
    assert PRICES.cost("local", "piper-joe", amounts) == 0.0


class Counter:
    """An agent that tells what its answer took."""

    async def stream_response(self, message: str, history: Sequence[Any]) -> AsyncIterator[Chunk]:
        for is_estimated in (False, True):
            yield TokensUsed(10, 2, is_estimated=is_estimated)
        yield "Nineteen dollars."

    async def aclose(self) -> None:
        pass


async def test_an_estimate_of_an_agents_is_known_as_one_where_it_is_counted() -> None:
    records: list[ServiceUsageRecord] = []
    observer = UsageObserver()

    @observer.event_handler("on_service_usage")
    async def on_service_usage(_observer: object, record: ServiceUsageRecord) -> None:
        records.append(record)

    context = LLMContext([{"role": "user", "content": "What is it?"}])
    await run_test(
        AgentLLMService(Counter(), apology=""),
        frames_to_send=[LLMContextFrame(context)],
        pipeline_params=PipelineParams(enable_metrics=True, enable_usage_metrics=True),
        observers=[observer],
    )
    assert [amounts_of(record).estimated_tokens for record in records] == [0, 12]


def test_a_price_is_one_for_what_a_model_is_used_for() -> None:
    assert PRICES.has("llm", "openai", "small")
    assert not PRICES.has("stt", "openai", "small"), "its minutes have none"
    assert not PRICES.has("llm", "openai", "large")
    assert PRICES.has("llm", "openai", None), "it may be the small one"
    assert not PRICES.has("tts", "elevenlabs", None)
    assert PRICES.has("tts", "local", "piper-joe")


async def test_a_bill_goes_on_where_it_was_when_a_session_is_taken_up_again(store: Store) -> None:
    await store.add(session_row())
    llm = Used("llm", "openai", "small", Amounts(prompt_tokens=10), 0.5)
    voice = Used("tts", "elevenlabs", "flash", Amounts(characters=7), None)
    bill = Bill("s1")
    await store.save([bill.add(llm), bill.add(voice), bill.add(llm)])

    again = Bill("s1", await store.usage("s1"))
    await store.save([again.add(llm)])
    shown = session_usage(await store.usage("s1"), "EUR")
    assert (shown.cost, shown.currency) == (1.5, "EUR")
    assert shown.unpriced == ["tts: elevenlabs/flash"]
    assert [it.prompt_tokens for it in shown.services] == [30, 0]
