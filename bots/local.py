"""The offline models of this process: loaded once, warmed, and shared by all sessions."""

import asyncio
import os
import secrets
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import xllamacpp
from openai import AsyncOpenAI
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.transcriptions.language import Language

from bots.config import Kind, ServiceConfig
from bots.errors import ServiceUnavailable
from bots.models import ModelStore
from processors.piper_tts import PiperEngine, PiperTTS
from processors.whisper_stt import WhisperEngine, WhisperSTT

CONTEXT_TOKENS = 4096
"""Longest conversation of one session; older turns must be left out or summarised before."""

PARALLEL_SESSIONS = 4
"""Sessions whose prompt cache is kept; more of them still work, with a slower first word."""


class LlamaServer:
    """llama.cpp's own OpenAI-compatible server, in this process, on a loopback port.

    Other users of the machine cannot use it: it asks for a key that only this object knows.

    Args:
        path: Any GGUF file.
        threads: CPU threads for reading a prompt; one less writes the reply.

    Raises:
        RuntimeError: If llama.cpp cannot load the file.
    """

    def __init__(self, path: Path, *, threads: int) -> None:
        key = secrets.token_urlsafe()
        params = xllamacpp.CommonParams()
        params.model.path = str(path)
        params.n_ctx = CONTEXT_TOKENS * PARALLEL_SESSIONS
        params.n_parallel = PARALLEL_SESSIONS
        # Threads that write a word together wait for each other: with one for every core, any
        # other work brings 40 words a second down to one. Reading a prompt can bear it.
        params.cpuparams.n_threads = max(1, threads - 1)
        params.cpuparams_batch.n_threads = threads
        params.api_keys = [key]
        params.verbosity = 0
        self._server: Any = xllamacpp.Server(params)
        self.model = path.stem
        self._address = f"{self._server.listening_address}/v1"
        self._key = key
        self.client = AsyncOpenAI(base_url=self._address, api_key=key, max_retries=0, timeout=60)

    def close(self) -> None:
        """Stop the server and free the model."""
        self._server = None

    async def warm_up(self) -> None:
        """Answer once, so that the first user does not wait for lazy set-up."""
        await self.client.chat.completions.create(
            model=self.model, messages=[{"role": "user", "content": "Hello"}], max_tokens=1
        )


class LocalLLM(OpenAILLMService):
    """Pipecat's OpenAI service on the server in this process.

    Args:
        server: The model; shared, and closed by its owner.
        **kwargs: Passed to `OpenAILLMService`.
    """

    # The chat templates of small models drop messages of a role that they do not know.
    supports_developer_role = False

    def __init__(self, server: LlamaServer, **kwargs: Any) -> None:
        self._server = server
        super().__init__(**kwargs)

    def create_client(self, *args: Any, **kwargs: Any) -> AsyncOpenAI:
        """Return the client that all sessions share: making one blocks for 20 to 155 ms."""
        return self._server.client

    async def prefill(self, context: LLMContext) -> None:
        """Have the server read what all replies start from, while nobody waits for one.

        Args:
            context: What stands before the user's first words.

        Raises:
            OpenAIError: If the server fails.
        """
        settings: Any = self._settings
        request = await self.get_llm_adapter().get_llm_invocation_params(
            context,
            system_instruction=settings.system_instruction,
            convert_developer_to_user=True,
        )
        await self._server.client.chat.completions.create(
            model=self._server.model, messages=request["messages"], max_tokens=1
        )


class LocalModels:
    """The engines that the settings ask for, and the services that run on them.

    Use `load_local_models` to make one. An engine that was not asked for is None.
    """

    def __init__(self) -> None:
        self.whisper: WhisperEngine | None = None
        self.llama: LlamaServer | None = None
        self.piper: PiperEngine | None = None

    async def load(self, kind: Kind, path: Path) -> None:
        """Load and warm one model.

        Raises:
            RuntimeError: If the engine cannot load it.
            OSError: If a file is missing.
        """
        match kind:
            case "stt":
                # Two threads are no faster on so small a model: leave the other core alone.
                self.whisper = await asyncio.to_thread(WhisperEngine, path, threads=1)
                await asyncio.to_thread(self.whisper.warm_up)
            case "llm":
                self.llama = await asyncio.to_thread(LlamaServer, path, threads=cpu_threads())
                await self.llama.warm_up()
            case "tts":
                self.piper = await asyncio.to_thread(PiperEngine, path, threads=cpu_threads())
                await asyncio.to_thread(self.piper.warm_up)

    def make_stt(self, language: Language | None) -> WhisperSTT:
        """Make the speech recognition of one session; English if `language` is None."""
        assert self.whisper
        return WhisperSTT(self.whisper, language=language or Language.EN)

    def make_llm(self, **settings: Any) -> LocalLLM:
        """Make the language model of one session.

        Args:
            **settings: Fields of `LocalLLM.Settings`.
        """
        assert self.llama
        return LocalLLM(self.llama, settings=LocalLLM.Settings(model=self.llama.model, **settings))

    def make_tts(self, speed: float) -> PiperTTS:
        """Make the voice of one session; 1.0 is its own pace."""
        assert self.piper
        return PiperTTS(self.piper, speed=speed)

    async def close(self) -> None:
        """Free the models; sessions that use them must have ended."""
        if self.whisper:
            await asyncio.to_thread(self.whisper.close)
        if self.piper:
            await asyncio.to_thread(self.piper.close)
        if self.llama:
            await self.llama.client.close()
            await asyncio.to_thread(self.llama.close)
        self.whisper = self.piper = self.llama = None


def cpu_threads() -> int:
    """Return the threads to give one inference: the cores this process may use, at most 8."""
    return min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2)


async def load_local_models(
    store: ModelStore,
    wanted: Mapping[Kind, ServiceConfig],
    progress: Callable[[str], None] = lambda _: None,
) -> LocalModels:
    """Load and warm the models that are asked for, off the event loop.

    Args:
        store: Where the files of named models are.
        wanted: What is asked for.
        progress: Told what is being loaded.

    Raises:
        ServiceUnavailable: If a file cannot be loaded.
        ModelError: If a model is not on this machine.
    """
    paths = {kind: locate(kind, config, store) for kind, config in wanted.items()}
    progress(", ".join(path.stem for path in paths.values()))
    models = LocalModels()
    async with AsyncExitStack() as undo:
        undo.push_async_callback(models.close)
        try:
            async with asyncio.TaskGroup() as group:
                for kind, path in paths.items():
                    group.create_task(models.load(kind, path))
        except* (RuntimeError, OSError) as errors:
            reasons = "; ".join(str(error) for error in errors.exceptions)
            raise ServiceUnavailable(f"an offline model cannot be loaded: {reasons}") from errors
        undo.pop_all()
    return models


def locate(kind: Kind, config: ServiceConfig, store: ModelStore) -> Path:
    """Find the files of a model by its path or its name in the manifest.

    Returns:
        A directory for speech recognition, else the one file to open.

    Raises:
        ServiceUnavailable: If the settings name no model, or a path with nothing there.
        ModelError: If a named model is unknown or not on this machine.
    """
    key = "voice" if kind == "tts" else "model"
    setting = f"voice.providers.local.{kind}.{key}"
    name: str | None = getattr(config, key)
    if not name:
        raise ServiceUnavailable(f"{setting} is not set: give a model's name or path")
    if os.sep in name or name.startswith("~"):
        path = Path(name).expanduser()
        if not path.exists():
            raise ServiceUnavailable(f"{setting}: there is no file {path}")
        return path
    return store.path(name) if kind == "stt" else store.file(name)
