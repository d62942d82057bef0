"""The agent that is the brain of a bot, by the dotted path that the bot or voice.yaml names."""

import importlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from bots.errors import ServiceUnavailable
from bots.registry import Bot
from bots.settings import Settings
from bots.tools.desk import ToolResources, Transfer
from processors.text_agent import TextAgent
from processors.transcript import ToolCall

if TYPE_CHECKING:
    from bots.resources import Resources


REMOTE = "bots.agents.remote:make_agent"
"""Makes the agent of a bot that thinks in another process."""


@dataclass(frozen=True)
class AgentCall:
    """What the agent of one call is made from.

    Attributes:
        bot: Who it is the brain of: instructions, tools and facts are there.
        session_id: Names the conversation, also where that goes on after a reload or a restart.
        resources: What calls share.
        keep_tool_call: Called before a tool of the bot's runs and when it has, and waited for.
        colleagues: Whom its agent may hand over to, by name, and what they are for.
        transfer: Puts the caller through to a person; None where that cannot be done.
    """

    bot: Bot
    session_id: str
    resources: "Resources"
    keep_tool_call: Callable[[ToolCall], Awaitable[None]]
    colleagues: Mapping[str, str] = field(default_factory=dict)
    transfer: Transfer | None = None

    @property
    def tool_resources(self) -> ToolResources:
        """What the bot's tools find."""
        return ToolResources(self.resources.desk, self.transfer)


AgentFactory: TypeAlias = Callable[[AgentCall], TextAgent]
"""Makes the agent of one call, without delay; it raises `ServiceUnavailable` if it cannot.

Where its module has a function `check(bot, settings)` too, that is called when the service starts
and before each session, and raises the same if no call could be held."""


def agent_of(bot: Bot) -> str | None:
    """Return what makes the agent of a bot; None for one that has a language model instead."""
    return REMOTE if bot.remote else bot.agent


def find_factory(path: str) -> AgentFactory:
    """Import what makes an agent.

    Args:
        path: `package.module:factory`.

    Raises:
        ServiceUnavailable: If it is not there, or cannot be imported.
    """
    module_name, _, name = path.partition(":")
    try:
        factory = getattr(importlib.import_module(module_name), name, None)
    except ImportError as error:
        raise ServiceUnavailable(f"the agent {path} cannot be imported: {error}") from error
    if not callable(factory):
        raise ServiceUnavailable(f"the agent {path}: {module_name} has no function '{name}'")
    return factory  # type: ignore[no-any-return]


def check_agent(bot: Bot, settings: Settings) -> None:
    """Make sure, before any call, that the agent of a bot can be made, if it has one.

    Raises:
        ServiceUnavailable: If it cannot, for want of a package or a setting.
    """
    path = agent_of(bot)
    if not path:
        return
    find_factory(path)
    module = importlib.import_module(path.partition(":")[0])
    if check := getattr(module, "check", None):
        check(bot, settings)


def make_agent(call: AgentCall) -> TextAgent:
    """Make the agent of one call, of a bot that has one.

    Raises:
        ServiceUnavailable: If it cannot be made.
    """
    path = agent_of(call.bot)
    assert path
    return find_factory(path)(call)
