"""What all calls of a process share: settings, models, stores. Opened once, closed last."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from bots import providers
from bots.config import KINDS
from bots.facts import read_knowledge
from bots.local import LocalServices
from bots.local_models import LocalModels
from bots.registry import load_bot
from bots.settings import Settings
from bots.tools.calendar import AppointmentStore
from processors.shared_vad import SpeechModels


@dataclass(frozen=True)
class Resources:
    """What calls share.

    Attributes:
        settings: The settings of the process.
        speech: Silero and Smart Turn.
        local: Makes services on the offline models that the profile has.
        appointments: The clinic's calendar.
    """

    settings: Settings
    speech: SpeechModels
    local: LocalServices
    appointments: AppointmentStore


@asynccontextmanager
async def open_resources(settings: Settings, models: LocalModels) -> AsyncIterator[Resources]:
    """Open what calls share, and close it at the end.

    Args:
        settings: The settings of the process.
        models: The offline models, loaded by the same settings; closed by their owner.

    Raises:
        ServiceUnavailable: If a key or a package is missing.
        ConfigError: If a profile has no provider that can be used.
        UnknownBot: If a bot of the settings cannot be loaded.
    """
    for kind in KINDS:
        providers.check(kind, *settings.service(kind))
    async with AsyncExitStack() as stack:
        local = LocalServices(models)
        stack.push_async_callback(local.close)
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        database = settings.data_dir.resolve() / "parlante.db"
        appointments = AppointmentStore(f"sqlite+aiosqlite:///{database}", clock=datetime.now)
        stack.push_async_callback(appointments.close)
        await appointments.open()
        speech = await asyncio.to_thread(SpeechModels)
        for name in settings.bots:
            # Their facts are indexed now, because it would hold up a call.
            await asyncio.to_thread(read_knowledge, load_bot(name, settings), models.encoder)
        yield Resources(settings, speech, local, appointments)
