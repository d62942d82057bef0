"""What a call consumes and costs, by who does the work in it."""

from dataclasses import dataclass

from pipecat.observers.service_metrics_observer import ServiceUsageRecord
from pipecat.processors.frame_processor import FrameProcessor

from bots.config import Kind, PriceConfig, ServiceConfig
from processors.estimates import EstimatedRecord
from processors.usage import Amounts, Used, whole_prompt, whose_behalf

UNKNOWN = "unknown"
"""The provider of a service that nobody has told of."""


@dataclass(frozen=True)
class _Owner:
    kind: Kind
    provider: str
    model: str


class Meter:
    """Knows whose each service of a call is, and adds up what they cost.

    Args:
        prices: What services cost.
        spent: What the session has cost before this call.

    Attributes:
        cost: What the session has cost so far; what has no price is left out.
    """

    def __init__(self, prices: PriceConfig, spent: float = 0.0) -> None:
        self.cost = spent
        self._prices = prices
        self._owners: dict[str, _Owner] = {}

    def watch(
        self, kind: Kind, provider: str, config: ServiceConfig, service: FrameProcessor
    ) -> None:
        """Take whose a service is: those that stand in for others do the work by themselves."""
        self._owners[service.name] = _Owner(kind, provider, config.model or "")

    def take(self, record: ServiceUsageRecord) -> Used:
        """Return what a service has consumed, with its price, and add that to the cost."""
        provider, processor = whose_behalf(record.processor)
        owner = self._owners.get(processor) or _Owner(record.kind.value, UNKNOWN, "")
        if provider:
            owner = _Owner(owner.kind, provider, "")
        # Where a voice is changed in the midst of a call, its model is.
        model = record.model or owner.model
        amounts = amounts_of(record)
        cost = self._prices.cost(owner.provider, model, amounts)
        self.cost += cost or 0.0
        return Used(owner.kind, owner.provider, model, amounts, cost)

    def provider_of(self, service: str) -> str | None:
        """Return whose a service is, by its name; None if nobody has told."""
        owner = self._owners.get(service)
        return owner.provider if owner else None


def amounts_of(record: ServiceUsageRecord) -> Amounts:
    """Return what Pipecat tells of a service, in the same terms for all providers."""
    completion = record.completion_tokens or 0
    prompt = whole_prompt(record.prompt_tokens or 0, completion, record.total_tokens or 0)
    return Amounts(
        prompt_tokens=prompt,
        cached_tokens=record.cache_read_input_tokens or 0,
        cache_write_tokens=record.cache_creation_input_tokens or 0,
        audio_prompt_tokens=record.input_audio_tokens or 0,
        audio_cached_tokens=record.cache_read_input_audio_tokens or 0,
        completion_tokens=completion,
        audio_completion_tokens=record.output_audio_tokens or 0,
        estimated_tokens=prompt + completion if isinstance(record, EstimatedRecord) else 0,
        characters=record.characters or 0,
        audio_secs=record.audio_seconds or 0.0,
    )
