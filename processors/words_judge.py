"""Whether a caller's words are a whole sentence, as a language model sees it."""

import asyncio
import math
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, TypeAlias

from loguru import logger
from openai import AsyncOpenAI, OpenAIError
from pipecat.turns.user_stop import NormalizedMatch
from pipecat.utils.asyncio.task_manager import BaseTaskManager

LIKELIEST = 40
"""So many of the tokens that may come next are asked for; the others are none that end a sentence
with a probability that counts."""

PRECEDENCE_SECS = 0.2
"""How long others let the judging of words pass; beside nothing else it takes 60 to 130 ms."""

GIVING_WAY_SECS = 0.02
"""How long words are not judged that are answered at the same time, where the answer waits for the
language model: it is asked for 10 ms after them."""

_MARKS = re.compile(r"[\s.?!,…-]+$")
# No sentence ends with "Dr."
_SENTENCES = re.compile(r"(?<=\w{4}[.?!])\s+")

AskWords: TypeAlias = Callable[[str], Awaitable[float | None]]
"""Returns how probable it is that a sentence ends behind the words so far; None if unknown."""


def last_sentence(said: str) -> str:
    """Return the words of the sentence said last, without a mark behind them."""
    return _MARKS.sub("", _SENTENCES.split(_MARKS.sub("", said))[-1])


def end_probability(likeliest: Iterable[Mapping[str, Any]]) -> float:
    """Return how probable it is that a sentence ends here.

    Args:
        likeliest: Tokens that may come next, as llama.cpp tells of them.
    """
    return sum(math.exp(token["logprob"]) for token in likeliest if _ends(token["token"].strip()))


def _ends(token: str) -> bool:
    return token[:1] in (".", "?", "!") and token[:2] != ".."


class LlamaWords:
    """Asks a llama.cpp server how probable the end of a sentence is behind some words.

    The words alone are read, without a conversation or instructions before them: with these it is
    told no better, and reading them takes a language model on two cores its time.

    Args:
        client: Of the server.
        slot: Where the server keeps what it has read of them; used for nothing else.
    """

    def __init__(self, client: AsyncOpenAI, *, slot: int) -> None:
        self._client = client.with_options(base_url=client.base_url.join("/"))
        self._slot = slot
        self._asked = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def ask(self, said: str) -> float | None:
        """Return the probability; None where there are no words, or the server fails."""
        words = last_sentence(said)
        if not words:
            return None
        self._asked += 1
        self._idle.clear()
        try:
            answer: Any = await self._client.post(
                "/completion",
                body={
                    "prompt": words,
                    "n_predict": 1,
                    "n_probs": LIKELIEST,
                    "id_slot": self._slot,
                },
                cast_to=object,
            )
        except OpenAIError as error:
            logger.warning("the language model cannot judge the caller's words: {}", error)
            return None
        finally:
            self._asked -= 1
            if not self._asked:
                self._idle.set()
        told = answer["completion_probabilities"]
        # Nothing is told where the server takes all for said.
        return end_probability(told[0]["top_logprobs"]) if told else None

    async def let_pass(self) -> None:
        """Wait while words are judged, though not for long: before the server is asked for more.

        It reads all that it is asked at once, and is done with all of it at the same time.
        """
        with suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), PRECEDENCE_SECS)


class WordsJudge:
    """Has the words of one caller judged while they come, so that little is left to read at last.

    Args:
        ask: Judges them.
        gives_way: Whether their answer is to be asked for before that. A server that is asked both
            reads the answer's question first then, and the words with the answer's next word.
    """

    def __init__(self, ask: AskWords, *, gives_way: bool = False) -> None:
        self._ask = ask
        self._gives_way = gives_way
        self._match = NormalizedMatch()
        self._tasks: BaseTaskManager | None = None
        self._said = ""
        self._asking: asyncio.Task[float | None] | None = None

    def setup(self, tasks: BaseTaskManager) -> None:
        """Take what runs its tasks."""
        self._tasks = tasks

    def hear(self, said: str) -> None:
        """Have words judged that may not be the last, unless others are being judged."""
        if said != self._said and (not self._asking or self._asking.done()):
            self._start(said)

    async def hear_out(self, said: str) -> None:
        """Have words judged behind which the caller is silent."""
        if not self._asking or not self._match.matches(self._said, said):
            await self.stop()
            self._start(said, GIVING_WAY_SECS if self._gives_way else 0.0)

    async def judged(self, said: str, *, timeout_secs: float) -> float | None:
        """Return how probable it is that a sentence ends behind words; None if unknown in time."""
        await self.hear_out(said)
        asking = self._asking
        assert asking
        await asyncio.wait({asking}, timeout=timeout_secs)
        return asking.result() if asking.done() and not asking.cancelled() else None

    async def stop(self) -> None:
        """Stop judging, and forget what was said."""
        task, self._asking, self._said = self._asking, None, ""
        if task and self._tasks:
            await self._tasks.cancel_task(task)

    def _start(self, said: str, delay_secs: float = 0.0) -> None:
        assert self._tasks
        self._said = said

        async def ask() -> float | None:
            await asyncio.sleep(delay_secs)
            return await self._ask(said)

        self._asking = self._tasks.create_task(ask(), "judge of words")
