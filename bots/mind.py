"""What thinks in a call: facts and a language model, an agent, or several of them by turns."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.llm_service import LLMService
from pipecat.services.openai.base_llm import BaseOpenAILLMService

from bots import providers
from bots.agents.factory import AgentCall, agent_of, make_agent
from bots.config import ServiceConfig
from bots.facts import make_knowledge
from bots.failover import Supervision, in_turn
from bots.local import LocalServices
from bots.registry import REPLY_TOKENS
from bots.toolbox import names_of, tools_of
from processors.agent_bridge import AgentLLMService
from processors.eager_turn import WORTH_ASKING
from processors.knowledge import KnowledgeProcessor
from processors.llm_failover import WatchedLLM
from processors.local_llm import LocalLLM
from processors.offline_knowledge import OfflineKnowledgeProcessor
from processors.read_ahead import read_ahead

Read = Callable[[LLMContext], Awaitable[None]]


@dataclass(frozen=True)
class Mind:
    """What thinks in a call.

    Attributes:
        processors: What stands between what is heard and the voice, in its order.
        tools: What the conversation is to offer it.
        tool_names: Of these, and of what those who think by turns have beside them.
        ahead_from: The probability of the end of a turn from which on it answers ahead.
        context_tokens: The longest conversation that it is given; a longer one is summarised. None
            for one that nobody is to summarise.
        read: Has a model that costs nothing read a conversation before it is asked; None where
            there is none.
        holders: Those of `processors` that hold answers made ahead, which a voice may rehearse.
        agent: What answers in the place of a language model; None for a language model.
    """

    processors: Sequence[FrameProcessor]
    tools: Sequence[Any]
    tool_names: Collection[str]
    ahead_from: float
    context_tokens: int | None
    read: Read | None = None
    holders: Sequence[WatchedLLM | OfflineKnowledgeProcessor] = ()
    agent: AgentLLMService | None = None


def make_mind(
    call: AgentCall, supervision: Supervision, local: LocalServices, *, instructions: str
) -> Mind:
    """Make what thinks for one bot.

    Args:
        call: The call, and the bot.
        supervision: How services are watched.
        local: Makes those on the offline models.
        instructions: Who the bot is, as the language model is told; an agent has the bot's own.

    Raises:
        ServiceUnavailable: If a service or an agent cannot be made.
    """
    if agent_of(call.bot):
        apology = supervision.announcements.no_answer
        agent = AgentLLMService(make_agent(call), apology=apology)
        if not call.bot.remote:
            # Elsewhere it may be anybody's, who is told of with what it has consumed.
            supervision.meter.watch("llm", *_language_model(call), agent)
        # Agents have tools, facts and a memory of their own. What one does cannot be taken back: it
        # never answers ahead, and refuses, too, where others decide.
        return Mind([agent], [], (), math.inf, None, agent=agent)
    return _with_language_model(call, supervision, local, instructions)


def _language_model(call: AgentCall) -> tuple[str, ServiceConfig]:
    return providers.service_for("llm", call.bot, call.resources.settings)


def _with_language_model(
    call: AgentCall, supervision: Supervision, local: LocalServices, instructions: str
) -> Mind:
    bot, resources = call.bot, call.resources
    choices = providers.services_for("llm", bot, resources.settings)
    llms: list[LLMService[Any]] = supervision.in_order(
        "llm",
        choices,
        partial(
            providers.make_llm,
            local=local,
            clients=resources.cloud_clients,
            instructions=instructions,
            max_tokens=bot.max_tokens or REPLY_TOKENS,
            retries=len(choices) == 1,
        ),
    )
    llm, is_free = llms[0], isinstance(llms[0], LocalLLM) or choices[0][1].free
    knowledge = make_knowledge(bot, resources.encoder)
    # Small models call tools for a mere greeting: they get none.
    is_small = resources.settings.has_small_llm
    tools = [] if is_small else tools_of(bot, resources, call.keep_tool_call)
    return Mind(
        _in_place(knowledge, in_turn(llms)),
        tools,
        names_of(tools),
        0.0 if is_free else WORTH_ASKING,
        None if isinstance(llm, LocalLLM) else min(config.context_tokens for _, config in choices),
        _reading(llm, knowledge) if is_free else None,
        [it for it in (*llms, knowledge) if isinstance(it, WatchedLLM | OfflineKnowledgeProcessor)],
    )


def _in_place(
    knowledge: KnowledgeProcessor | OfflineKnowledgeProcessor | None, llm: FrameProcessor
) -> list[FrameProcessor]:
    return [knowledge, llm] if knowledge else [llm]


def _reading(
    llm: LLMService[Any], knowledge: KnowledgeProcessor | OfflineKnowledgeProcessor | None
) -> Read | None:
    """Have a model read ahead, by the facts that it will be given.

    Returns:
        None where it cannot, and where it need not: an answer that begins as its fact does is heard
        before the model is asked, and what it would read meanwhile is in the way of all else.
    """
    if isinstance(llm, LocalLLM):
        if isinstance(knowledge, OfflineKnowledgeProcessor):
            knowledge.speaker = llm
            return None
        return llm.read
    if not isinstance(llm, BaseOpenAILLMService):
        return None

    async def read(context: LLMContext) -> None:
        match knowledge:
            case KnowledgeProcessor():
                context = knowledge.inform(context)
            case OfflineKnowledgeProcessor():
                fact = await asyncio.to_thread(knowledge.find, context)
                context = knowledge.shorten(context, fact)
        await read_ahead(llm, context)

    return read
