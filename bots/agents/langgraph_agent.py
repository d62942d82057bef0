"""A ReAct agent of LangGraph as the brain of a bot: tools, and a thread for each conversation.

What it is made of is an extra, imported where it is used: it takes seconds, and 60 MB.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from functools import partial
from typing import Any

from pipecat.processors.aggregators.llm_context import LLMStandardMessage

from bots import providers
from bots.agents.checkpoints import Checkpoints
from bots.agents.factory import AgentCall
from bots.errors import ServiceUnavailable
from bots.facts import read_knowledge
from bots.registry import Bot
from bots.settings import Settings
from bots.toolbox import tools_of
from bots.tools.facts import look_up_in
from processors.switchboard import TOOL
from processors.text_agent import Chunk, Handoff, TokensUsed, ToolFinished, ToolStarted

STEPS = 30
"""Of one answer: a look at how long the thread is, the model, and its tools, by turns. So no answer
goes round for ever."""

MESSAGES_NOT_SUMMARISED = 8


def check(bot: Bot, settings: Settings) -> None:
    """Make sure that an agent can be made, and import what it takes, before there is a call.

    Raises:
        ServiceUnavailable: If a package is missing, the language model is too small, or its
            provider is not one of those that LangChain is told of here.
    """
    provider, config = providers.service_for("llm", bot, settings)
    if config.small:
        raise ServiceUnavailable(
            f"an agent needs a language model that can call tools, and {config.model} is too small "
            f"(voice.providers.{provider}.llm.small): give a key, or take a larger one"
        )
    try:
        import langchain.agents  # noqa: F401
        import langgraph.checkpoint.sqlite.aio  # noqa: F401

        from bots.agents.chat_model import PROVIDERS
    except ImportError as error:
        raise ServiceUnavailable(
            f"LangGraph agents need a package that is not installed ({error.name}). "
            "Run: uv pip install -e '.[langgraph]'"
        ) from error
    if provider not in PROVIDERS:
        raise ServiceUnavailable(
            f"voice.providers.{provider}.llm: a LangGraph agent takes one of {', '.join(PROVIDERS)}"
        )


def make_agent(call: AgentCall) -> "LangGraphAgent":
    """Make the agent of one call: the bot's instructions, tools and facts, and its own thread.

    Raises:
        ServiceUnavailable: If a package or a setting is missing, or the model is too small.
    """
    settings, bot = call.resources.settings, call.bot
    check(bot, settings)
    from langchain.agents import create_agent
    from langchain.agents.middleware import SummarizationMiddleware

    from bots.agents.chat_model import longest_thread, make_chat_model
    from bots.agents.langchain_tools import to_langchain
    from bots.agents.langchain_transfer import TransferLimit, transfer
    from bots.team import instructions_among_colleagues

    provider, config = providers.service_for("llm", bot, settings)
    model = make_chat_model(provider, config, bot, call.resources)
    knowledge = read_knowledge(bot, call.resources.encoder)
    tools = tools_of(bot, call.resources, call.keep_tool_call)
    tools += [look_up_in(knowledge)] if knowledge else []
    known = [to_langchain(tool, call.tool_resources) for tool in tools]
    instructions = bot.system_instruction(small=False)
    middleware: list[Any] = [
        SummarizationMiddleware(
            model,
            trigger=("tokens", longest_thread(provider, config, call.resources)),
            keep=("messages", MESSAGES_NOT_SUMMARISED),
        )
    ]
    if call.colleagues:
        known.append(transfer(call.colleagues))
        instructions = instructions_among_colleagues(bot, settings)
        middleware.append(TransferLimit())
    make_graph = partial(
        create_agent, model, known, system_prompt=instructions, middleware=middleware
    )
    whose = provider, config.model or ""
    return LangGraphAgent(make_graph, call.resources.checkpoints, call.session_id, whose)


class LangGraphAgent:
    """A `TextAgent` on a graph that keeps its messages in a thread.

    Args:
        make_graph: Makes the graph, given a `checkpointer`.
        checkpoints: Where threads are kept; closed by their owner.
        thread: Names the conversation.
        whose: The provider and the model of all that is asked in it.
    """

    def __init__(
        self,
        make_graph: Callable[..., Any],
        checkpoints: Checkpoints,
        thread: str,
        whose: tuple[str, str],
    ) -> None:
        self._whose = whose
        self._make_graph = make_graph
        self._checkpoints = checkpoints
        self._config = {"configurable": {"thread_id": thread}, "recursion_limit": STEPS}
        self._graph: Any = None

    async def stream_response(
        self, message: str, history: Sequence[LLMStandardMessage]
    ) -> AsyncIterator[Chunk]:
        """Answer in the thread, once that holds what was heard; see `TextAgent`."""
        if not self._graph:
            self._graph = self._make_graph(checkpointer=await self._checkpoints.saver())
        kept = (await self._graph.aget_state(self._config)).values.get("messages", [])
        steps = self._graph.astream(
            {"messages": _changes(kept, history, message)},
            self._config,
            stream_mode=["messages", "updates"],
            # Which tools are to run is on the disk before they do.
            durability="sync",
        )
        handoff: Handoff | None = None
        async for mode, data in steps:
            for chunk in self._written(*data) if mode == "messages" else _steps(data):
                if isinstance(chunk, Handoff):
                    handoff = chunk
                elif not handoff or not isinstance(chunk, str):
                    # Who puts a caller through says nothing more, whatever other tools give.
                    yield chunk
        if handoff:
            yield handoff

    async def aclose(self) -> None:
        """Do nothing: what it uses, all calls share."""

    def _written(self, message: Any, metadata: dict[str, Any]) -> Iterator[Chunk]:
        """Give what is written for the caller, of all in a graph, and what all of it consumed."""
        # A piece of a message, or one that is whole, from a model that does not stream.
        if message.type not in ("AIMessageChunk", "ai"):
            return
        if metadata["langgraph_node"] == "model" and message.text:
            yield message.text
        if used := message.usage_metadata:
            cache = used.get("input_token_details", {})
            yield TokensUsed(
                used["input_tokens"],
                used["output_tokens"],
                cache.get("cache_read", 0),
                *self._whose,
                cache_write=cache.get("cache_creation", 0),
            )


def _changes(kept: Sequence[Any], history: Sequence[LLMStandardMessage], message: str) -> list[Any]:
    """Return what to tell a thread: what is new, or all of it, where it was otherwise."""
    from langchain_core.messages import RemoveMessage
    from langgraph.graph.message import REMOVE_ALL_MESSAGES

    from bots.agents.thread import put_right

    messages = put_right(kept, history, message)
    if messages[: len(kept)] == list(kept):
        return messages[len(kept) :]
    return [RemoveMessage(id=REMOVE_ALL_MESSAGES), *messages]


def _steps(update: dict[str, Any]) -> list[Chunk]:
    """Return the tools that a step has called, or has run, and to whom it puts the caller through.

    That is no tool for others: whoever keeps the conversation shows it, if it can be done.
    """
    chunks: list[Chunk] = []
    for message in (update.get("model") or {}).get("messages", ()):
        for call in message.tool_calls:
            if call["name"] == TOOL:
                to, why, say = (str(call["args"].get(name, "")) for name in ("to", "why", "say"))
                chunks += [say, Handoff(to, why)]
            else:
                chunks.append(ToolStarted(call["id"], call["name"], call["args"]))
    for message in (update.get("tools") or {}).get("messages", ()):
        if message.name == TOOL:
            continue
        result = message.content if message.artifact is None else message.artifact
        error = str(message.content) if message.status == "error" else None
        chunks.append(ToolFinished(message.tool_call_id, result, error))
    return chunks
