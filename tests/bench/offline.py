"""The offline receptionist without speech: the LLM, its facts, and how to ask it."""

import asyncio
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai
import xllamacpp

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from pipecat.adapters.llm.services.open_ai_adapter import OpenAILLMAdapter  # noqa: E402
from pipecat.processors.aggregators.llm_context import LLMContext  # noqa: E402

from bots.facts import make_knowledge  # noqa: E402
from bots.local_files import ENCODER  # noqa: E402
from bots.models import ModelStore, default_models_dir, load_manifest  # noqa: E402
from bots.receptionist import BOT  # noqa: E402
from engines.fast_weights import fast_weights  # noqa: E402
from engines.minilm import MiniLM  # noqa: E402
from processors.first_clause import draft_of  # noqa: E402
from processors.offline_knowledge import OfflineKnowledgeProcessor  # noqa: E402

PERSONA = BOT.system_instruction(small=True)
STORE = ModelStore(default_models_dir(), load_manifest())
KEPT = default_models_dir() / "kept"
MAX_TOKENS = 150


@dataclass(frozen=True)
class Reply:
    """What was said, and how fast; a fixed fact is said without the model, at once."""

    text: str
    first_token_ms: float = 0.0
    tokens: int = 0
    seconds: float = 0.0


class Llm:
    """A llama.cpp server in this process.

    Args:
        path: A GGUF file; None for the one of the offline profile.
        parallel: How many requests it takes at once.
    """

    def __init__(self, path: Path | None, *, parallel: int) -> None:
        params = xllamacpp.CommonParams()
        params.model.path = str(fast_weights(path or STORE.file("qwen2.5-coder-0.5b"), KEPT))
        params.n_ctx, params.n_parallel = 4096 * parallel, parallel
        params.verbosity = 0
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 2
        self._server = xllamacpp.Server(params)
        url = self._server.listening_address + "/v1"
        self._client = openai.OpenAI(base_url=url, api_key="none", timeout=120)

    def ask(
        self, messages: list[Any], temperature: float, *, begun: str = "", **extra: Any
    ) -> Reply:
        """Have the last message answered, with a reply that has `begun`."""
        start, first, parts, tokens = time.monotonic(), 0.0, [begun], 0
        if begun:
            messages = [*messages, {"role": "assistant", "content": begun}]
        for chunk in self._client.chat.completions.create(
            model="offline",
            messages=messages,
            stream=True,
            stream_options={"include_usage": True},
            temperature=temperature,
            max_tokens=MAX_TOKENS,
            seed=1,
            **extra,
        ):
            if chunk.choices and (content := chunk.choices[0].delta.content):
                first = first or time.monotonic() - start
                parts.append(content)
            if chunk.usage:
                tokens = chunk.usage.completion_tokens
        return Reply("".join(parts).strip(), first * 1000, tokens, time.monotonic() - start)


class Receptionist:
    """The receptionist as the offline profile makes it.

    Args:
        llm: Its language model.
        facts: Whether it has its facts, or only the model's own knowledge.
    """

    def __init__(self, llm: Llm, *, facts: bool = True) -> None:
        self._llm = llm
        self._knowledge: OfflineKnowledgeProcessor | None = None
        if facts:
            knowledge = make_knowledge(
                BOT, MiniLM(STORE.path(ENCODER), kept=ROOT / "data" / ENCODER, threads=1)
            )
            assert isinstance(knowledge, OfflineKnowledgeProcessor)
            self._knowledge = knowledge

    def answer(self, turns: Sequence[str], temperature: float) -> Reply:
        """Answer the last of the caller's and the bot's turns; the greeting came before them."""
        said = zip(("user", "assistant") * len(turns), turns, strict=False)
        begun = ""
        context = LLMContext([{"role": "assistant", "content": BOT.greeting}])
        for role, text in said:
            context.add_message({"role": role, "content": text})
        if self._knowledge:
            fact = self._knowledge.find(context)
            if fact and fact.fixed:
                return Reply(fact.text)
            beginning = self._knowledge.beginning(context, fact)
            begun = asyncio.run(draft_of(beginning))
            if begun == beginning:
                return Reply(begun)
            context = self._knowledge.shorten(context, fact)
        return self._llm.ask(wire(context, PERSONA), temperature, begun=begun)


def wire(context: LLMContext, system: str) -> list[Any]:
    """Return the messages that Pipecat's OpenAI service sends for a service without the developer
    role."""
    params = asyncio.run(
        OpenAILLMAdapter().get_llm_invocation_params(
            context, system_instruction=system, convert_developer_to_user=True
        )
    )
    return params["messages"]
