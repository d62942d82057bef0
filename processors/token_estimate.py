"""What language models consume that do not tell."""

from pipecat.metrics.metrics import LLMTokenUsage
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.utils.context.llm_context_summarization import LLMContextSummarizationUtil


def estimated(context: LLMContext, instructions: str | None, written: str) -> LLMTokenUsage:
    """Estimate what a language model has consumed, by Pipecat's estimate.

    Args:
        context: What it was asked; its tools are left out.
        instructions: Who it was told to be.
        written: What it wrote until it was stopped.
    """
    util = LLMContextSummarizationUtil
    prompt = util.estimate_context_tokens(context) + util.estimate_tokens(instructions or "")
    completion = util.estimate_tokens(written)
    return LLMTokenUsage(
        prompt_tokens=prompt, completion_tokens=completion, total_tokens=prompt + completion
    )
