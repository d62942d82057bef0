"""A language model on a server of one's own reads a conversation before it is to answer."""

from httpx import TransportError
from loguru import logger
from openai import OpenAIError
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.services.openai.base_llm import BaseOpenAILLMService


async def read_ahead(llm: BaseOpenAILLMService, context: LLMContext) -> None:
    """Have a server read a conversation; most keep what they have read for the next request.

    Its answer is broken off with the first piece. Where that fails, the log says so, and the answer
    comes later.
    """
    try:
        async with await llm.get_chat_completions(context) as chunks:
            async for _ in chunks:
                break
    except (OpenAIError, TransportError) as error:
        logger.warning("the language model cannot read ahead: {}", error)
