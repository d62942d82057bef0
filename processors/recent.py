"""How much of a long conversation a language model is still given."""

from collections.abc import Sequence

from pipecat.processors.aggregators.llm_context import LLMContext, LLMContextMessage
from pipecat.utils.context.llm_context_summarization import LLMContextSummarizationUtil


def estimate_tokens(messages: Sequence[LLMContextMessage]) -> int:
    """Estimate how many tokens messages are, as Pipecat does: by four characters each, and some."""
    return LLMContextSummarizationUtil.estimate_context_tokens(LLMContext(list(messages)))


def recent(messages: Sequence[LLMContextMessage], max_tokens: int) -> list[LLMContextMessage]:
    """Return the end of a conversation that a model can read, beginning with words of the user.

    Whenever it has become too long, half of it is forgotten at once: what the model is given begins
    with the same words for many turns then, which it need not read again.

    Args:
        messages: All of the conversation.
        max_tokens: How much of it can be read.
    """
    start, held = 0, 0
    for end, message in enumerate(messages, 1):
        held += estimate_tokens([message])
        if held <= max_tokens:
            continue
        while start < end - 1 and (held > max_tokens / 2 or _role(messages[start]) != "user"):
            held -= estimate_tokens([messages[start]])
            start += 1
    return list(messages[start:])


def _role(message: LLMContextMessage) -> str | None:
    return message.get("role") if isinstance(message, dict) else None
