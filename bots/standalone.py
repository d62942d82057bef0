"""Bots under Pipecat's own runner, or on Pipecat Cloud, where there is no Parlante runner.

These import a module and call its `bot(runner_args)`; nobody hands over settings or models, so
they are loaded at the first call and kept for the life of the process.
"""

import asyncio
import uuid
from contextlib import AsyncExitStack
from pathlib import Path

from pipecat.runner.types import RunnerArguments

from bots.call import Conversation, make_call
from bots.listener import CallListener
from bots.local_models import loading_models
from bots.loopback import connect_over_loopback_when_alone
from bots.registry import load_bot
from bots.resources import Resources, open_resources
from bots.settings import load_settings

# Pipecat's runner answers an offer before it calls the bot.
connect_over_loopback_when_alone()

_lock = asyncio.Lock()
_lifetime = AsyncExitStack()
_resources: Resources | None = None


async def run_bot(file: str, runner_args: RunnerArguments) -> None:
    """Hold a call that a foreign runner has accepted.

    Args:
        file: `__file__` of the bot's module: the name of the bot is the file's.
        runner_args: What that runner knows of the session.

    Raises:
        ParlanteError: If the settings are wrong or a service cannot be made.
    """
    resources = await _shared_resources()
    bot = load_bot(Path(file).stem, resources.settings)
    session_id = runner_args.session_id or str(uuid.uuid4())
    call = await make_call(bot, session_id, runner_args, resources, CallListener())
    await Conversation(bot, call).hold()


async def _shared_resources() -> Resources:
    global _resources
    async with _lock:
        if _resources is None:
            settings = load_settings()
            models = await _lifetime.enter_async_context(loading_models(settings))
            _resources = await _lifetime.enter_async_context(open_resources(settings, models))
    return _resources
