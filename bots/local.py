"""Pipecat's services on the offline models of this process."""

from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from openai import AsyncOpenAI, DefaultAsyncHttpxClient
from pipecat.transcriptions.language import Language

from bots.local_models import LocalModels
from bots.tools.desk import TOOL_SECS
from processors.local_llm import LocalLLM, Slot
from processors.words_judge import LlamaWords, WordsJudge

if TYPE_CHECKING:
    # Their packages are an extra: import them only where they are used.
    from processors.piper_tts import PiperTTS
    from processors.whisper_stt import WhisperSTT

REPLY_TIMEOUT_SECS = 60.0
"""How long llama.cpp may take for a reply; long prompts on slow machines need much of it."""


@dataclass(frozen=True)
class LlmServer:
    """Where the local language model answers to OpenAI's protocol.

    Attributes:
        url: As OpenAI's clients want it.
        key: What it asks for.
        model: The name to ask for.
        context_tokens: How much it can read at once, its reply included.
        http: Connections to it; closed by their owner.
    """

    url: str
    key: str
    model: str
    context_tokens: int
    http: DefaultAsyncHttpxClient


class LocalServices:
    """Makes the services of a session.

    Args:
        models: What they run on; closed by its owner, after this.
    """

    def __init__(self, models: LocalModels) -> None:
        self._models = models
        self._client: AsyncOpenAI | None = None
        self._http: DefaultAsyncHttpxClient | None = None
        self._words: LlamaWords | None = None
        self._slots: list[Slot] = []
        self._slot_of_call: Slot | None = None
        if models.llama:
            self._slots = [Slot(number) for number in range(models.llama.slots)]
            # A proxy of the environment must not come between this process and itself.
            self._http = DefaultAsyncHttpxClient(trust_env=False)
            self._client = AsyncOpenAI(
                base_url=models.llama.base_url,
                api_key=models.llama.key,
                max_retries=0,
                timeout=REPLY_TIMEOUT_SECS,
                http_client=self._http,
            )
            self._words = LlamaWords(self._client, slot=models.llama.words_slot)

    @property
    def llm_server(self) -> LlmServer:
        """Where the language model is, for who asks it without Pipecat."""
        llama = self._models.llama
        assert llama
        assert self._http
        return LlmServer(llama.base_url, llama.key, llama.model, llama.context_tokens, self._http)

    def for_one_call(self) -> "LocalServices":
        """Return the same, whose language models share what is kept: one at a time is asked."""
        services = copy(self)
        services._slot_of_call = self._least_used() if self._slots else None
        return services

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
        assert self._words
        settings["model"] = self._models.llama.model
        return LocalLLM(
            self._client,
            slot=self._slot_of_call or self._least_used(),
            kept=self._models.llama.read,
            context_tokens=self._models.llama.context_tokens,
            words=self._words,
            function_call_timeout_secs=TOOL_SECS,
            settings=LocalLLM.Settings(**settings),
        )

    def make_words_judge(self, *, gives_way: bool) -> WordsJudge | None:
        """Make what judges the words of one caller; None without a language model of its own."""
        return WordsJudge(self._words.ask, gives_way=gives_way) if self._words else None

    def make_tts(self, speed: float) -> "PiperTTS":
        """Make the voice of one session, at 1 as fast as it is."""
        from processors.piper_tts import PiperTTS

        assert self._models.piper
        return PiperTTS(self._models.piper, speed=speed)

    def _least_used(self) -> Slot:
        return min(self._slots, key=lambda slot: slot.users)

    async def close(self) -> None:
        """Close the connections to the language model; sessions must have ended."""
        if self._client:
            await self._client.close()
