"""A process that thinks for one bot of other processes, until it is told to stop."""

import asyncio
import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from loguru import logger
from rich.console import Console

from bots.local_models import loading_models
from bots.settings import Settings, load_settings
from runner.process import quick_start, setup_logging, spare_the_collector


def serve(name: str, config: Path | None, overrides: Mapping[str, Any]) -> int:
    """Answer until the process is told to stop, and then what was begun.

    Args:
        name: The bot.
        config: The settings file; None for the default one.
        overrides: Settings that replace those of the file.

    Returns:
        The exit code.

    Raises:
        ParlanteError: If it cannot be started.
    """
    settings = load_settings(config, overrides)
    setup_logging(settings.voice.realtime.logging)
    with quick_start():
        from bots.specialist import only

        settings = only(name, settings)
    with suppress(asyncio.CancelledError):
        asyncio.run(_serve(name, settings))
    return 0


async def _serve(name: str, settings: Settings) -> None:
    from bots.resources import open_resources
    from bots.specialist import serving

    stop = asyncio.Event()
    me = asyncio.current_task()
    assert me
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        # Nothing is to be ended well before there is something, and at the second time.
        loop.add_signal_handler(number, me.cancel)
    async with (
        loading_models(settings) as models,
        open_resources(settings, models) as resources,
        serving(name, resources),
    ):
        spare_the_collector()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, lambda: me.cancel() if stop.is_set() else stop.set())
        Console(stderr=True, highlight=False).print(f"Parlante's {name} is ready", soft_wrap=True)
        await stop.wait()
        logger.info("ends when what was begun is answered")
