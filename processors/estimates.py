"""What language models have consumed that do not tell, told apart from what they do tell."""

from pipecat.metrics.metrics import LLMTokenUsage, LLMUsageMetricsData, MetricsData
from pipecat.observers.service_metrics_observer import ServiceMetricsObserver, ServiceUsageRecord
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.utils.context.llm_context_summarization import LLMContextSummarizationUtil


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


def estimated(context: LLMContext, instructions: str | None, written: str) -> EstimatedUsage:
    """Estimate what a language model has consumed, by Pipecat's estimate.

    Args:
        context: What it was asked; its tools are left out.
        instructions: Who it was told to be.
        written: What it wrote until it was stopped.
    """
    util = LLMContextSummarizationUtil
    prompt = util.estimate_context_tokens(context) + util.estimate_tokens(instructions or "")
    completion = util.estimate_tokens(written)
    return EstimatedUsage(
        prompt_tokens=prompt, completion_tokens=completion, total_tokens=prompt + completion
    )
