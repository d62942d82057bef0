"""A bot that thinks for calls of other processes, reached over the bus."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bots.agents.factory import AgentCall, agent_of, make_agent
from bots.agents.remote import open_post
from bots.config import Kind
from bots.errors import ConfigError, DatabaseUnavailable
from bots.failover import Supervision
from bots.meter import Meter
from bots.mind import make_mind
from bots.registry import Bot, UnknownBot, load_bot
from bots.resources import Resources
from bots.settings import Settings
from bots.team import instructions_among_colleagues
from processors.agent_bus import Question
from processors.agent_server import AgentServer, Keep
from processors.failover import Failure
from processors.pipeline_agent import PipelineAgent
from processors.text_agent import TextAgent
from processors.transcript import ToolCall


class SpecialistSettings(Settings):
    """The settings of a process that thinks for one bot, and neither hears nor speaks."""

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The services that it uses."""
        return ("llm",)


def only(name: str, settings: Settings) -> SpecialistSettings:
    """Return the settings of the process that thinks for one bot, and for no other.

    Raises:
        ConfigError: If there is no bus.
        UnknownBot: If there is no such bot.
    """
    if name not in settings.bots:
        raise UnknownBot(f"there is no bot '{name}'; voice.yaml has {sorted(settings.bots)}")
    if not settings.bus:
        raise ConfigError("the settings", ["bus.redis_url: is required, to be reached over"])
    entry = settings.bots[name].model_copy(update={"remote": False, "specialists": []})
    changes = {"bots": {name: entry}, "default_bot": name}
    return SpecialistSettings.model_construct(**{**dict(settings), **changes})


@asynccontextmanager
async def serving(name: str, resources: Resources) -> AsyncIterator[AgentServer]:
    """Answer questions to a bot until the end, and then those that were begun.

    Args:
        name: The bot.
        resources: What answers share; their settings are those of `only`.

    Raises:
        ServiceUnavailable: If a package is missing.
        UnknownBot: If the bot cannot be loaded.
    """
    settings = resources.settings
    assert settings.bus
    bot = load_bot(name, settings)
    post = open_post(settings)

    def make(question: Question, keep: Keep) -> TextAgent:
        return _make_agent(bot, question, keep, resources)

    server = AgentServer(name, post, make, max_answers=settings.bus.answers)
    try:
        await resources.mcp_servers.until_looked(bot.mcp)
        await server.open()
        yield server
    finally:
        await server.close(settings.server.drain_timeout)
        await post.aclose()


def _make_agent(bot: Bot, question: Question, keep: Keep, resources: Resources) -> TextAgent:
    """Make what answers one question.

    Raises:
        ServiceUnavailable: If a service or an agent cannot be made.
    """

    async def keep_tool_call(call: ToolCall) -> None:
        if not await keep(call):
            raise DatabaseUnavailable("the call keeps no record of the tool")

    call = AgentCall(bot, question.session_id, resources, keep_tool_call, question.colleagues)
    if agent_of(bot):
        return make_agent(call)
    settings = resources.settings
    realtime = settings.voice.realtime
    instructions = (
        instructions_among_colleagues(bot, settings)
        if question.colleagues
        else bot.system_instruction(small=settings.has_small_llm)
    )
    # It is paid for by the call, which is told what was consumed, and whose that is.
    meter = Meter(settings.voice.prices)
    mind = make_mind(
        call,
        Supervision(realtime.failover, realtime.announcements, resources.circuits, _ignore, meter),
        resources.local.for_one_call(),
        instructions=instructions,
    )
    colleagues = {} if settings.has_small_llm else question.colleagues
    return PipelineAgent(
        mind.processors, mind.tools, colleagues, call.tool_resources, meter.provider_of
    )


async def _ignore(_failure: Failure) -> None:
    """Do nothing with the failure of a service: it is in the log."""
