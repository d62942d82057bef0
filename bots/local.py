"""Pipecat's services on the offline models of this process."""

from typing import TYPE_CHECKING, Any

from openai import AsyncOpenAI, DefaultAsyncHttpxClient
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


class LocalLLM(OpenAILLMService):
    """Pipecat's OpenAI service on the server in this process.

    Args:
        client: Of that server; all sessions share it, because making one blocks for 20 to 155 ms.
        **kwargs: Passed to `OpenAILLMService`.

    Attributes:
        rehearsal: Follows replies while they are held; None where nobody does.
    """

    # The chat templates of small models drop messages of a role that they do not know.
    supports_developer_role = False

    def __init__(self, client: AsyncOpenAI, **kwargs: Any) -> None:
        self._shared_client = client
        self.rehearsal: Rehearsal | None = None
        super().__init__(**kwargs)

    def create_client(self, *args: Any, **kwargs: Any) -> AsyncOpenAI:
        """Return the shared client."""
        return self._shared_client

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        """Push a frame, unless it waits for the end of the turn that it answers."""
        if self.rehearsal and self._speculation_gate.is_speculating:
            await self.rehearsal.follow(frame)
        await super().push_frame(frame, direction)

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
        await self._shared_client.chat.completions.create(
            model=settings.model, messages=request["messages"], max_tokens=1
        )


class LocalServices:
    """Makes the services of a session.

    Args:
        models: What they run on; closed by its owner, after this.
    """

    def __init__(self, models: LocalModels) -> None:
        self._models = models
        self._client: AsyncOpenAI | None = None
        if models.llama:
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
        return LocalLLM(self._client, settings=LocalLLM.Settings(**settings))

    def make_tts(self, speed: float) -> "PiperTTS":
        """Make the voice of one session; 1.0 is its own pace."""
        from processors.piper_tts import PiperTTS

        assert self._models.piper
        return PiperTTS(self._models.piper, speed=speed)

    async def close(self) -> None:
        """Close the connections to the language model; sessions must have ended."""
        if self._client:
            await self._client.close()
