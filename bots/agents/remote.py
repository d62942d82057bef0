"""The agent of a bot that thinks in another process, `python -m runner specialist NAME`."""

from importlib.util import find_spec
from typing import TYPE_CHECKING

from loguru import logger

from bots.agents.factory import AgentCall
from bots.errors import DatabaseUnavailable, ServiceUnavailable
from bots.registry import Bot
from bots.settings import Settings
from processors.agent_bus import RemoteAgent
from processors.transcript import ToolCall

if TYPE_CHECKING:
    # Its package is an extra.
    from bots.redis_post import RedisPost


def check(_bot: Bot, settings: Settings) -> None:
    """Make sure that there is a bus to reach the bot over.

    Raises:
        ServiceUnavailable: If a package or a setting is missing.
    """
    open_post(settings)


def open_post(settings: Settings) -> "RedisPost":
    """Return the bus; it connects when it is used.

    Raises:
        ServiceUnavailable: If a package or a setting is missing.
    """
    if not settings.bus:
        raise ServiceUnavailable("bus.redis_url: is needed to reach bots in other processes")
    if not find_spec("redis"):
        raise ServiceUnavailable(
            "bots in other processes need a package that is not installed (redis). "
            "Run: uv pip install -e '.[redis]'"
        )
    from bots.redis_post import RedisPost

    url, prefix = settings.bus.redis_url.get_secret_value(), settings.bus.prefix
    try:
        return RedisPost(url, prefix)
    except (ValueError, TypeError):
        raise ServiceUnavailable(
            "bus.redis_url: has a parameter that Redis does not take"
        ) from None


def make_agent(call: AgentCall) -> RemoteAgent:
    """Make the agent of one call, which has connections of its own.

    Raises:
        ServiceUnavailable: If a package or a setting is missing.
    """

    async def keep(tool_call: ToolCall) -> bool:
        try:
            await call.keep_tool_call(tool_call)
        except DatabaseUnavailable as error:
            logger.warning("a tool of another process is not on record: {}", error.message)
            return False
        return True

    assert call.bot.remote
    return RemoteAgent(
        call.bot.remote,
        open_post(call.resources.settings),
        session_id=call.session_id,
        colleagues=call.colleagues,
        keep=keep,
    )
