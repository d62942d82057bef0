"""From settings to LangChain's chat models, for those providers that speak OpenAI's protocol."""

from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_openai import AzureChatOpenAI, ChatOpenAI
from pipecat.services.azure.llm import DATED_API_VERSION, V1_ENDPOINT_PATH

from bots.config import ServiceConfig
from bots.errors import ServiceUnavailable
from bots.registry import REPLY_TOKENS, Bot
from bots.resources import Resources

PROVIDERS = ("openai", "azure", "local")


def make_chat_model(
    provider: str, config: ServiceConfig, bot: Bot, resources: Resources
) -> BaseChatModel:
    """Make the chat model of an agent.

    Args:
        provider: One of `PROVIDERS`.
        config: What the settings say about it, and the bot's temperature. `settings` are further
            arguments of LangChain's class; of `options`, Azure's are read.
        bot: How long its replies are.
        resources: What calls share.

    Raises:
        ServiceUnavailable: If a setting does not fit.
    """
    wishes = {
        "temperature": config.temperature,
        "max_tokens": bot.max_tokens or REPLY_TOKENS,
        "model": config.model,
        "api_key": config.api_key,
        # LangChain's own would be shared by all event loops, and never closed.
        "http_async_client": resources.cloud_clients.http,
        # At other addresses than OpenAI's it would not ask what an answer has consumed.
        "stream_usage": True,
        **config.settings,
    }
    try:
        if provider == "azure":
            return _azure(config.options, wishes)
        if provider == "local":
            server = resources.local.llm_server
            mine = {"model": server.model, "api_key": server.key, "http_async_client": server.http}
            return ChatOpenAI(base_url=server.url, **{**wishes, **mine})
        return ChatOpenAI(base_url=config.base_url or None, **wishes)
    except (TypeError, ValueError) as error:
        raise ServiceUnavailable(f"voice.providers.{provider}.llm: {error}") from error


def longest_thread(provider: str, config: ServiceConfig, resources: Resources) -> int:
    """Return how long a conversation may get until its beginning is summarised, in tokens."""
    if provider != "local":
        return config.context_tokens
    # The rest is for instructions, tools and the reply, and because tokens are estimated.
    return min(config.context_tokens, resources.local.llm_server.context_tokens // 2)


def _azure(options: dict[str, Any], wishes: dict[str, Any]) -> BaseChatModel:
    """Make the one for Azure, whose newer addresses are as OpenAI's."""
    endpoint = str(options.get("endpoint", ""))
    if endpoint.rstrip("/").endswith(V1_ENDPOINT_PATH):
        return ChatOpenAI(base_url=endpoint, **wishes)
    version = options.get("api_version", DATED_API_VERSION)
    deployment = wishes.pop("model")
    return AzureChatOpenAI(
        azure_endpoint=endpoint, azure_deployment=deployment, api_version=version, **wishes
    )
