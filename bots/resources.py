"""What all calls of a process share: settings, models, stores. Opened once, closed last."""

import asyncio
import pickle
from collections.abc import AsyncIterator, Awaitable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cache

from loguru import logger
from sqlalchemy.ext.asyncio import AsyncEngine

from bots import providers
from bots.agents.checkpoints import Checkpoints
from bots.agents.factory import agent_of, check_agent
from bots.cloud_clients import CloudClients
from bots.database import connect, reachable
from bots.errors import ConfigError, ServiceUnavailable
from bots.facts import load_encoder, read_directory, read_knowledge, study_facts, study_sounds
from bots.failover import Circuits
from bots.local import LocalServices
from bots.local_files import find_local_files
from bots.local_models import LocalModels
from bots.mcp_servers import McpServers, check_package
from bots.registry import Bot, load_bot
from bots.settings import Settings
from bots.sounds import check_sounds
from bots.tools.desk import Desk
from bots.tracing import start_tracing
from processors.knowledge import Encoder
from processors.shared_vad import SpeechModels


@dataclass(frozen=True)
class Resources:
    """What calls share.

    Attributes:
        settings: The settings of the process.
        speech: Silero and Smart Turn; None in a process that hears nobody.
        local: Makes services on the offline models that the profile has.
        cloud_clients: Of services in the cloud.
        encoder: Finds facts by their meaning; None where the language model is not a small local
            one.
        database: Connections to the one database.
        desk: Where tools write.
        checkpoints: Where agents keep their threads.
        mcp_servers: Whose tools bots have as well.
        circuits: Which services are left alone because they fail.
    """

    settings: Settings
    speech: SpeechModels | None
    local: LocalServices
    cloud_clients: CloudClients
    encoder: Encoder | None
    database: AsyncEngine
    desk: Desk
    checkpoints: Checkpoints
    mcp_servers: McpServers
    circuits: Circuits = field(default_factory=Circuits)


@asynccontextmanager
async def open_resources(
    settings: Settings, models: Awaitable[LocalModels], *, holds_calls: bool = True
) -> AsyncIterator[Resources]:
    """Open what calls share, and close it at the end.

    Args:
        settings: The settings of the process.
        models: The offline models, which may still be loading; closed by their owner.
        holds_calls: Whether this process does, so that MCP servers are started or connected to.

    Raises:
        ServiceUnavailable: If a key or a package is missing.
        DatabaseUnavailable: If the database cannot be reached.
        ModelError: If a model is not on this machine.
        ConfigError: If a profile has no provider that can be used, or a sound cannot be read.
        UnknownBot: If a bot of the settings cannot be loaded.
    """
    hears = "stt" in settings.kinds
    if hears:
        await asyncio.to_thread(check_sounds, settings.voice.realtime.audio)
    bots = check_bots(settings)
    async with AsyncExitStack() as stack:
        if tracing := await asyncio.to_thread(start_tracing, settings.voice.realtime):
            stack.push_async_callback(asyncio.to_thread, tracing.shutdown)
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        database = connect(settings.database_url, settings.data_dir)
        stack.push_async_callback(database.dispose)
        desk = Desk(database)
        async with reachable():
            await desk.open()
        speech = await asyncio.to_thread(SpeechModels) if hears else None
        encoder = await asyncio.to_thread(load_encoder, settings)
        for bot in bots:
            # Their facts are indexed now, because it would hold up a call.
            await asyncio.to_thread(read_knowledge, bot, encoder)
            await asyncio.to_thread(read_directory, bot, settings, encoder)
        local = LocalServices(await models)
        stack.push_async_callback(local.close)
        cloud_clients = CloudClients()
        stack.push_async_callback(cloud_clients.close)
        checkpoints = Checkpoints(settings)
        stack.push_async_callback(checkpoints.close)
        mcp_servers = McpServers(settings.mcp)
        stack.push_async_callback(mcp_servers.close)
        if holds_calls:
            mcp_servers.look({name for bot in bots if not bot.remote for name in bot.mcp})
        # Calls need not wait for this: what they come upon first is read for them.
        studying = asyncio.create_task(_study(settings, bots, encoder, local))
        studying.add_done_callback(_tell_of_failure)
        stack.push_async_callback(_cancel, studying)
        yield Resources(
            settings,
            speech,
            local,
            cloud_clients,
            encoder,
            database,
            desk,
            checkpoints,
            mcp_servers,
        )


def reconfigured(resources: Resources, settings: Settings) -> Resources:
    """Return what calls share, for those that are begun with other settings from now on.

    It imports bots and reads files: to be run in a thread.

    Raises:
        ConfigError: If a setting is changed that takes a restart, a profile has no provider that
            can be used, or a sound cannot be read.
        ServiceUnavailable: If a key or a package is missing.
        ModelError: If a model is not on this machine.
        UnknownBot: If a bot of the settings cannot be loaded.
    """
    now = _fixed(resources.settings)
    fixed = [name for name, value in _fixed(settings).items() if value != now[name]]
    if fixed:
        raise ConfigError("the settings", [f"{name}: takes a restart" for name in fixed])
    check_sounds(settings.voice.realtime.audio)
    for bot in check_bots(settings):
        read_knowledge(bot, resources.encoder)
        read_directory(bot, settings, resources.encoder)
    return replace(resources, settings=settings)


def check_bots(settings: Settings) -> list[Bot]:
    """Load the bots of the settings, and import what their calls need.

    Raises:
        ConfigError: If a profile has no provider that can be used, or a bot has functions that
            cannot be sent to the process of a call.
        ServiceUnavailable: If a key or a package is missing.
        UnknownBot: If a bot cannot be loaded.
    """
    bots = {name: load_bot(name, settings) for name in settings.bots}
    if problems := [it for name, bot in bots.items() for it in _not_sendable(name, bot)]:
        raise ConfigError("the bots", problems)
    for name, bot in bots.items():
        providers.check_bot(bot, settings)
        _check_agent(bot, settings)
        if unpriced := bot.budget_in(settings) and providers.without_price(bot, settings):
            models = ", ".join(sorted(unpriced))
            _warn(f"{models}: without a price, free in the budget of {name} (voice.prices)")
    if any(bot.mcp for bot in bots.values() if not bot.remote):
        check_package()
    return [*bots.values()]


def _not_sendable(name: str, bot: Bot) -> list[str]:
    """Return which functions of a bot cannot be found by other processes, a line for each."""
    problems = []
    for place in ("tools", "text_transforms", "transcript_filters"):
        for function in getattr(bot, place):
            try:
                pickle.dumps(function)
            except (pickle.PicklingError, AttributeError, TypeError) as error:
                what = getattr(function, "__qualname__", function)
                why = f"{what} must be a function of a module, by its own name ({error})"
                problems.append(f"{name}: {place}: {why}")
    return problems


@cache
def _warn(message: str) -> None:
    """Say it once: processes for calls are forked of one that has said it."""
    logger.warning(message)


def _check_agent(bot: Bot, settings: Settings) -> None:
    """Say of a bot that its agent cannot be made; the others are there nevertheless."""
    try:
        check_agent(bot, settings)
    except ServiceUnavailable as error:
        logger.warning("{} is refused calls: {}", agent_of(bot), error.message)


def _fixed(settings: Settings) -> dict[str, object]:
    """Return the settings that have to be as they were when the service started, by name."""
    return {
        "server": settings.server,
        "data_dir": settings.data_dir,
        "database_url": settings.database_url,
        "models_dir": settings.models_dir,
        "mcp": settings.mcp,
        "the offline models": find_local_files(settings),
        "voice.realtime.daily": settings.voice.realtime.daily,
        "voice.realtime.livekit": settings.voice.realtime.livekit,
        "voice.realtime.traces": settings.voice.realtime.traces,
        "voice.realtime.worker.port": settings.voice.realtime.worker.port,
        "voice.realtime.limits.lost_peer_timeout": settings.voice.realtime.limits.lost_peer_timeout,
    }


async def _study(
    settings: Settings, bots: Iterable[Bot], encoder: Encoder | None, local: LocalServices
) -> None:
    for bot in bots:
        if not agent_of(bot):
            await study_facts(bot, encoder, local)
        if "tts" in settings.kinds and settings.service("tts")[0] == "local":
            await study_sounds(bot, encoder, local.make_tts(bot.speed_in(settings)))


def _tell_of_failure(studying: asyncio.Task[None]) -> None:
    """Log it at once: calls go on without what was to be studied, and are slower."""
    if not studying.cancelled() and (error := studying.exception()):
        logger.opt(exception=error).error("facts and greetings are not read ahead")


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})
