"""The offline models of this process: loaded once, warmed, and shared by all sessions.

Importing this brings neither Pipecat nor the engines, so that the models can load, in threads,
while Python imports the rest.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from bots.errors import ServiceUnavailable
from bots.local_files import LocalFiles, find_local_files
from bots.models import default_models_dir
from bots.settings import Settings

if TYPE_CHECKING:
    # Their packages are an extra, and one of them is GPL-3.0: import them only where they are used.
    from engines.llama import LlamaServer
    from engines.piper import PiperEngine
    from engines.whisper import WhisperEngine


class LocalModels:
    """The engines that the settings ask for; one that was not asked for is None.

    Args:
        kept: Directory for what takes long and is kept for the next start.
    """

    def __init__(self, kept: Path) -> None:
        self._kept = kept
        self.whisper: WhisperEngine | None = None
        self.llama: LlamaServer | None = None
        self.piper: PiperEngine | None = None

    async def load(self, files: LocalFiles, progress: Callable[[str], None]) -> "LocalModels":
        """Load and warm the models of the profile; `close` frees them, also after an error.

        That is done one after the other, in a thread: a core is left to whatever else starts.

        Args:
            files: Which models, and where they are.
            progress: Told what is being loaded.

        Returns:
            This object.

        Raises:
            ServiceUnavailable: If a file cannot be loaded.
        """
        try:
            for path, load in (
                (files.stt, self._load_stt),
                (files.llm, partial(self._load_llm, chat_template=files.chat_template)),
                (files.tts, self._load_tts),
            ):
                if path:
                    progress(path.stem)
                    await asyncio.to_thread(load, path)
        except (RuntimeError, ValueError, OSError) as error:
            raise ServiceUnavailable(f"an offline model cannot be loaded: {error}") from error
        return self

    def _load_stt(self, path: Path) -> None:
        from engines.whisper import WhisperEngine

        # Two threads are no faster on so small a model: leave the other core alone.
        self.whisper = WhisperEngine(path, threads=1)
        self.whisper.warm_up()

    def _load_llm(self, path: Path, *, chat_template: Path | None) -> None:
        from engines.llama import LlamaServer

        self.llama = LlamaServer(
            path, kept=self._kept, threads=cpu_threads(), chat_template=chat_template
        )
        self.llama.warm_up()

    def _load_tts(self, path: Path) -> None:
        from engines.piper import PiperEngine

        self.piper = PiperEngine(path, kept=self._kept, threads=cpu_threads())

    async def close(self) -> None:
        """Free the models; sessions that use them must have ended."""
        for engine in (self.whisper, self.piper, self.llama):
            if engine:
                await asyncio.to_thread(engine.close)
        self.whisper = self.piper = self.llama = None


@asynccontextmanager
async def loading_models(
    settings: Settings, progress: Callable[[str], None] = lambda _: None
) -> AsyncIterator["asyncio.Task[LocalModels]"]:
    """Load the models of the profile while something else is done; free them at the end.

    Args:
        settings: Which models, and where they are.
        progress: Told what is being loaded.

    Yields:
        What gives the models when they are loaded; see `LocalModels.load` for its errors.

    Raises:
        ServiceUnavailable: If a package is missing.
        ModelError: If models are not on this machine.
        ConfigError: If the profile has no provider that can be used.
    """
    files = find_local_files(settings)
    _import_engines(files)
    models = LocalModels(kept=(settings.models_dir or default_models_dir()) / "kept")
    loading = asyncio.create_task(models.load(files, progress))
    try:
        yield loading
    finally:
        # A thread cannot be stopped, and what it loads has to be freed.
        await asyncio.gather(loading, return_exceptions=True)
        await models.close()


def _import_engines(files: LocalFiles) -> None:
    """Import them before there are threads, which could meet in half-imported packages.

    Args:
        files: Those that are used.

    Raises:
        ServiceUnavailable: If one is not installed.
    """
    try:
        for path, engine in ((files.stt, "whisper"), (files.llm, "llama"), (files.tts, "piper")):
            if path:
                import_module(f"engines.{engine}")
    except ModuleNotFoundError as error:
        raise ServiceUnavailable(
            f"the offline models need packages that are not installed ({error.name}). "
            "Run: uv pip install -e '.[local]'"
        ) from error
    except ImportError as error:
        raise ServiceUnavailable(
            f"the offline models need a library of the system ({error}). "
            "Install it; Debian has libgomp.so.1 in the package libgomp1"
        ) from error


def cpu_threads() -> int:
    """Return the threads to give one inference: the cores this process may use, at most 8."""
    return min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2)
