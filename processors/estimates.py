"""What language models have consumed that do not tell, told apart from what they do tell."""

from pipecat.metrics.metrics import LLMTokenUsage, LLMUsageMetricsData, MetricsData
from pipecat.observers.service_metrics_observer import ServiceMetricsObserver, ServiceUsageRecord


class EstimatedUsage(LLMTokenUsage):
    """Tokens that were estimated."""


class EstimatedRecord(ServiceUsageRecord):
    """A record of them."""


class UsageObserver(ServiceMetricsObserver):
    """Reports what services consume; what was estimated, as an `EstimatedRecord`."""

    def _as_usage(self, metrics: MetricsData) -> ServiceUsageRecord | None:
        record = super()._as_usage(metrics)
        match metrics:
            case LLMUsageMetricsData(value=EstimatedUsage()) if record:
                return EstimatedRecord(**record.model_dump())
        return record
