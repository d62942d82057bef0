"""Pipecat's services on the offline models of this process."""

import asyncio
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from loguru import logger
from openai import APIStatusError, AsyncOpenAI, DefaultAsyncHttpxClient, OpenAIError
from pipecat.adapters.llm.services.open_ai_adapter import OpenAILLMInvocationParams
from pipecat.frames.frames import Frame
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.transcriptions.language import Language

from bots.local_models import LocalModels
from processors.rehearsal import Rehearsal

if TYPE_CHECKING:
    # Their packages are an extra: import them only where they are used.
    from processors.piper_tts import PiperTTS
    from processors.whisper_stt import WhisperSTT

REPLY_TIMEOUT_SECS = 60.0
"""How long llama.cpp may take for a reply; long prompts on slow machines need much of it."""


MAX_KEPT = 100
"""How many readings are kept on disk. With the 0.5B and the receptionist's instructions of 650
tokens, each takes 8 MB."""


class LocalLLM(OpenAILLMService):
    """Pipecat's OpenAI service on the server in this process.

    Args:
        client: Of that server; all sessions share it, because making one blocks for 20 to 155 ms.
        slot: Where that server keeps what this session has had read.
        release: Called when the session has no more use for the slot.
        kept: Directory where the server keeps what was read; None if it keeps nothing.
        **kwargs: Passed to `OpenAILLMService`.

    Attributes:
        rehearsal: Follows replies while they are held; None where nobody does.
    """

    # The chat templates of small models drop messages of a role that they do not know.
    supports_developer_role = False

    def __init__(
        self,
        client: AsyncOpenAI,
        *,
        slot: int,
        release: Callable[[int], None],
        kept: Path | None,
        **kwargs: Any,
    ) -> None:
        self._shared_client = client
        self._slot = slot
        self._release = release
        self._kept = kept
        self._recalled = ""
        self.rehearsal: Rehearsal | None = None
        super().__init__(**kwargs)

    def create_client(self, *args: Any, **kwargs: Any) -> AsyncOpenAI:
        """Return the shared client."""
        return self._shared_client

    def build_chat_completion_params(
        self, params_from_context: OpenAILLMInvocationParams
    ) -> dict[str, Any]:
        """Return what to ask the server: in the slot of this session."""
        params: dict[str, Any] = super().build_chat_completion_params(params_from_context)
        self._merge_extra_body(params, {"id_slot": self._slot})
        return params

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        """Push a frame, unless it waits for the end of the turn that it answers."""
        if self.rehearsal and self._speculation_gate.is_speculating:
            await self.rehearsal.follow(frame)
        await super().push_frame(frame, direction)

    async def cleanup(self) -> None:
        """Give the slot back."""
        await super().cleanup()
        self._release(self._slot)

    async def read(self, context: LLMContext) -> None:
        """Have the server read a conversation, while nobody waits for an answer to it.

        Where that fails, the log says so, and the answer comes later.
        """
        try:
            await self._read(await self._messages(context))
        except OpenAIError as error:
            logger.warning("the language model cannot read ahead: {}", error)

    async def recall(self, opening: LLMContext) -> None:
        """Have the server be as if it had just read `opening`.

        It is read once, and kept on disk, for all sessions: to load it takes some milliseconds.
        Where it cannot be kept, or `MAX_KEPT` others are, it is read each time.

        Args:
            opening: What many conversations begin with. The end of its last message may be another
                in these.
        """
        try:
            messages = await self._messages(opening)
            name = _name_of(messages)
            if name == self._recalled:
                return
            # A file that is missing must not be asked for: the slot would forget all it holds.
            if not (self._is_kept(name) and await self._slot_file("restore", name)):
                await self._learn(messages, name)
            self._recalled = name
        except OpenAIError as error:
            logger.warning("the language model cannot read ahead: {}", error)

    async def study(self, opening: LLMContext) -> None:
        """Have the server read `opening` for later, unless that is kept already; see `recall`."""
        try:
            messages = await self._messages(opening)
            if not self._is_kept(name := _name_of(messages)):
                await self._learn(messages, name)
        except OpenAIError as error:
            logger.warning("the language model cannot read ahead: {}", error)

    async def _learn(self, messages: Any, name: str) -> None:
        """Have the server read something, and keep it if there is room."""
        tokens = await self._read(messages)
        if not self._kept or len(os.listdir(self._kept)) >= MAX_KEPT:
            return
        saved = await self._slot_file("save", name)
        if saved and saved["n_saved"] != tokens:
            # Another session has the slot too, and its conversation must not stay on the disk.
            await self._forget(name)

    async def _messages(self, context: LLMContext) -> Any:
        settings: Any = self._settings
        request = await self.get_llm_adapter().get_llm_invocation_params(
            context,
            system_instruction=settings.system_instruction,
            convert_developer_to_user=True,
        )
        return request["messages"]

    async def _read(self, messages: Any) -> int:
        """Have the server read something; return how many tokens it is."""
        settings: Any = self._settings
        answer = await self._shared_client.chat.completions.create(
            model=settings.model,
            messages=messages,
            max_tokens=1,
            extra_body={"id_slot": self._slot},
        )
        return answer.usage.prompt_tokens if answer.usage else 0

    def _is_kept(self, name: str) -> bool:
        return self._kept is not None and (self._kept / name).exists()

    async def _slot_file(self, action: Literal["save", "restore"], name: str) -> Any:
        """Save what the slot holds to a file, or load it from there.

        Returns:
            What the server says of it; None if it fails, and then the file is deleted.
        """
        root = self._shared_client.with_options(base_url=self._shared_client.base_url.join("/"))
        try:
            return await root.post(
                f"/slots/{self._slot}",
                options={"params": {"action": action}},
                body={"filename": name},
                cast_to=object,
            )
        except APIStatusError:
            await self._forget(name)
            return None

    async def _forget(self, name: str) -> None:
        assert self._kept
        await asyncio.to_thread((self._kept / name).unlink, missing_ok=True)


def _name_of(messages: Any) -> str:
    """Return the name of the file of what was read."""
    return hashlib.sha256(json.dumps(messages).encode()).hexdigest()


class LocalServices:
    """Makes the services of a session.

    Args:
        models: What they run on; closed by its owner, after this.
    """

    def __init__(self, models: LocalModels) -> None:
        self._models = models
        self._client: AsyncOpenAI | None = None
        self._sessions: list[int] = []
        if models.llama:
            self._sessions = [0] * models.llama.slots
            self._client = AsyncOpenAI(
                base_url=models.llama.base_url,
                api_key=models.llama.key,
                max_retries=0,
                timeout=REPLY_TIMEOUT_SECS,
                # A proxy of the environment must not come between this process and itself.
                http_client=DefaultAsyncHttpxClient(trust_env=False),
            )

    def make_stt(self, language: Language | None) -> "WhisperSTT":
        """Make the speech recognition of one session; English if `language` is None."""
        from processors.whisper_stt import WhisperSTT

        assert self._models.whisper
        return WhisperSTT(self._models.whisper, language=language or Language.EN)

    def make_llm(self, **settings: Any) -> LocalLLM:
        """Make the language model of one session.

        Args:
            **settings: Fields of `LocalLLM.Settings`.
        """
        assert self._models.llama
        assert self._client
        settings["model"] = self._models.llama.model
        slot = self._sessions.index(min(self._sessions))
        self._sessions[slot] += 1
        return LocalLLM(
            self._client,
            slot=slot,
            release=self._release,
            kept=self._models.llama.read,
            settings=LocalLLM.Settings(**settings),
        )

    def make_tts(self, speed: float) -> "PiperTTS":
        """Make the voice of one session; 1.0 is its own pace."""
        from processors.piper_tts import PiperTTS

        assert self._models.piper
        return PiperTTS(self._models.piper, speed=speed)

    def _release(self, slot: int) -> None:
        self._sessions[slot] -= 1

    async def close(self) -> None:
        """Close the connections to the language model; sessions must have ended."""
        if self._client:
            await self._client.close()
