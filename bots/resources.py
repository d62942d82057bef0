"""What all calls of a process share: settings, models, stores. Opened once, closed last."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from bots import providers
from bots.config import KINDS, Kind, ServiceConfig
from bots.errors import ServiceUnavailable
from bots.settings import Settings
from bots.tools.calendar import AppointmentStore
from processors.shared_vad import SpeechModels

if TYPE_CHECKING:
    # Its packages are an extra, and one of them is GPL-3.0: import it only where it is used.
    from bots.local import LocalModels


@dataclass(frozen=True)
class Resources:
    """What calls share.

    Attributes:
        settings: The settings of the process.
        speech: Silero and Smart Turn.
        local: The offline models; None if no service of the profile is local.
        appointments: The clinic's calendar.
    """

    settings: Settings
    speech: SpeechModels
    local: "LocalModels | None"
    appointments: AppointmentStore


@asynccontextmanager
async def open_resources(
    settings: Settings, progress: Callable[[str], None] = lambda _: None
) -> AsyncIterator[Resources]:
    """Load models and open stores; free them at the end.

    Args:
        settings: What to load.
        progress: Told what is being loaded.

    Raises:
        ServiceUnavailable: If a model, a key or a package is missing.
        ConfigError: If a profile has no provider that can be used.
    """
    chosen = {kind: settings.service(kind) for kind in KINDS}
    for kind, (provider, config) in chosen.items():
        providers.check(kind, provider, config)
    async with AsyncExitStack() as stack:
        local = await _load_local(settings, chosen, progress)
        if local:
            stack.push_async_callback(local.close)
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        database = settings.data_dir.resolve() / "parlante.db"
        appointments = AppointmentStore(f"sqlite+aiosqlite:///{database}", clock=datetime.now)
        stack.push_async_callback(appointments.close)
        await appointments.open()
        speech = await asyncio.to_thread(SpeechModels)
        yield Resources(settings, speech, local, appointments)


async def _load_local(
    settings: Settings,
    chosen: dict[Kind, tuple[str, ServiceConfig]],
    progress: Callable[[str], None],
) -> "LocalModels | None":
    wanted = {kind: config for kind, (provider, config) in chosen.items() if provider == "local"}
    if not wanted:
        return None
    try:
        from bots.local import load_local_models
    except ImportError as error:
        raise ServiceUnavailable(
            f"the offline models need packages that are not installed ({error.name}). "
            "Run: uv pip install -e '.[local]'"
        ) from error
    from bots.models import ModelStore, default_models_dir, load_manifest

    store = ModelStore(settings.models_dir or default_models_dir(), load_manifest())
    return await load_local_models(store, wanted, progress)
