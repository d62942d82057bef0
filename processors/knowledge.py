"""Facts for this turn: looked up, and given to the LLM behind the user's last words.

`Knowledge` decides, without any I/O, which facts of a markdown file belong to a question.
`KnowledgeProcessor` stands between the user aggregator and the LLM and shows them to the LLM.
"""

import math
import re
from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import snowballstemmer
from numpy.typing import NDArray
from pipecat.frames.frames import Frame, LLMContextFrame
from pipecat.processors.aggregators.llm_context import (
    LLMContext,
    LLMContextMessage,
    LLMSpecificMessage,
    standard_message_text,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from rank_bm25 import BM25Okapi

from processors.facts import Fact, parse_facts

_WORD = re.compile(r"[a-z0-9]+")


def _stem(words: list[str]) -> list[str]:
    # A stemmer keeps the word that it is at, and facts are read in threads: each has its own.
    return cast(list[str], snowballstemmer.stemmer("english").stemWords(words))


# Words that say nothing about the subject: grammar, politeness, small talk.
_STOPWORDS = frozenset(
    _stem(
        _WORD.findall(
            """a about actually afternoon ah all also am an and any anybody anyone are as at be been
        but by bye can clinic come could d day did do does doing don evening for from get give
        go going good goodbye got great guys had has have hello help hey hi how i if in is it
        its just know let like ll look looking lot m make may maybe me might mine morning my
        need needed nice no not of oh ok okay on one only or our out place please re really right s
        say see should so some somebody someone something sorry sure t take talk talking tell
        thank thanks that the their them then there these they thing think thinking this those
        to today too try trying uh um us ve very want was we well were what which while who will
        with wondering would yeah yes yet you your"""
        )
    )
)


def terms(text: str) -> list[str]:
    """Return the stems of the words of `text` that carry meaning, in order, with repetitions."""
    words = _stem(_WORD.findall(text.lower()))
    return [word for word in words if word not in _STOPWORDS]


class Encoder(Hashable, Protocol):
    """Turns sentences into vectors that lie close together when the sentences mean the same."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return a vector of length 1 for each text, one a row."""


class _Bm25(BM25Okapi):  # type: ignore[misc]
    """BM25 whose word weights are positive in small collections too (the weights of Lucene).

    Each word of a fact counts once, those of its title twice.
    """

    def __init__(self, facts: Sequence[Fact]) -> None:
        super().__init__([self._terms(fact) for fact in facts], b=0.0)

    def scores(self, question: str) -> NDArray[np.float64]:
        """Return the score of each fact, in units of the weight of a word that one fact has."""
        scores = self.get_scores(terms(question)) / self._weight(1)
        return cast(NDArray[np.float64], scores)

    def _terms(self, fact: Fact) -> list[str]:
        all_terms = terms(" ".join((*fact.about, fact.text)))
        return [*dict.fromkeys(all_terms), *dict.fromkeys(terms(fact.title))]

    def _weight(self, count: int) -> float:
        return math.log(1 + (self.corpus_size - count + 0.5) / (count + 0.5))

    def _calc_idf(self, nd: dict[str, int]) -> None:
        for word, count in nd.items():
            self.idf[word] = self._weight(count)


class _Meanings:
    """The sentences by which facts are asked for, and the facts themselves, as vectors."""

    def __init__(self, facts: Sequence[Fact], encoder: Encoder) -> None:
        texts = [(*fact.asked, fact.text, ". ".join((*fact.about, fact.text))) for fact in facts]
        self._facts = np.repeat(np.arange(len(facts)), [len(some) for some in texts])
        self._vectors = encoder.encode([text for some in texts for text in some])
        self._encoder = encoder
        self._count = len(facts)

    def scores(self, question: str) -> NDArray[np.float64]:
        """Return, for each fact, the cosine of the question and the nearest of its sentences."""
        scores = np.full(self._count, -1.0)
        np.maximum.at(scores, self._facts, self._vectors @ self._encoder.encode([question])[0])
        return scores


class Knowledge:
    """Facts that can be asked for in plain words.

    Args:
        facts: What is known.
        encoder: Finds facts by the meaning of the question too; None: by its words only.
    """

    def __init__(self, facts: Iterable[Fact], encoder: Encoder | None = None) -> None:
        self.facts = tuple(facts)
        self._words = _Bm25(self.facts) if self.facts else None
        self._meanings = _Meanings(self.facts, encoder) if self.facts and encoder else None
        self._min_score = _MIN_MEANING_SCORE if encoder else _MIN_WORD_SCORE

    @classmethod
    def from_files(cls, *paths: Path, encoder: Encoder | None = None) -> "Knowledge":
        """Read the facts of markdown files; see `parse_facts` for their form.

        Raises:
            OSError: A file cannot be read.
            ValueError: A file holds no fact.
        """
        facts: list[Fact] = []
        for path in paths:
            found = parse_facts(path.read_text(encoding="utf-8"))
            if not found:
                raise ValueError(f"{path}: no facts; write them as bullets under '## ' headings")
            facts += found
        return cls(facts, encoder)

    def lookup(self, question: str, limit: int = 3, *, hint: str = "") -> list[Fact]:
        """Return the facts that answer `question` best, the best first.

        Args:
            question: What the user said.
            limit: How many facts at most.
            hint: What the user said before. It counts for a fraction, and only where the question
                itself is too short to stand alone, as in "and on Saturday?".

        Returns:
            The facts; an empty list if nothing matches well.
        """
        if self._words is None:
            return []
        scores = self.scores(question)
        if hint and len(terms(question)) <= _SHORT_QUESTION_TERMS:
            scores = scores + self._hint_weight(scores) * self._hint_scores(hint)
        best = sorted(range(len(self.facts)), key=lambda i: -scores[i])[:limit]
        floor = max(self._min_score, _MIN_SHARE * scores[best[0]])
        return [self.facts[i] for i in best if scores[i] >= floor]

    def scores(self, text: str) -> NDArray[np.float64]:
        """Return how well each fact, of which there must be one, matches a text.

        1 is about the score of a sentence that the file quotes, or, by words only, of a word that
        no other fact has.
        """
        assert self._words
        words = self._words.scores(text)
        return self._meanings.scores(text) + _WORD_WEIGHT * words if self._meanings else words

    def _hint_scores(self, hint: str) -> NDArray[np.float64]:
        """Return the scores of what was said before, where it may be gone on with.

        What is said as it stands, such as to call an ambulance, must be meant by the user: only if
        the hint was about it already, the next words may be too.
        """
        scores = self.scores(hint)
        fixed = np.array([fact.fixed for fact in self.facts])
        fixed[scores.argmax()] = False
        return np.where(fixed, 0.0, scores)

    def _hint_weight(self, scores: NDArray[np.float64]) -> float:
        if self._meanings:
            return _HINT_WEIGHT
        # What says nothing by itself, like a name or "at ten", is about what was said before.
        return _HINT_WEIGHT if scores.max() >= self._min_score else 1.0


# Measured with tests/bench/receptionist_offline.py on the questions that are there to tune on.
_MIN_WORD_SCORE = 0.55
"""A fact that matches less well than this is not given, by words only. 1 is about what a fact
scores for sharing one word with the question that no other fact has."""

_MIN_MEANING_SCORE = 0.45
"""The same with an encoder, where 1 is about the score of a sentence that the file quotes."""

_WORD_WEIGHT = 0.1
"""What words count for beside meaning: an encoder confuses names and days, words do not."""

_MIN_SHARE = 0.65
"""Nor is a fact given whose score is below this share of the best fact's score."""

_SHORT_QUESTION_TERMS = 2
_HINT_WEIGHT = 0.3


class KnowledgeProcessor(FrameProcessor):
    """Shows the LLM the facts for the user's last words, for this one reply.

    Stands between the user aggregator and the LLM. What it adds goes into a copy of the context, so
    the conversation itself never collects facts.

    Args:
        knowledge: Where to look the user's words up.
    """

    def __init__(self, knowledge: Knowledge) -> None:
        super().__init__()
        self._knowledge = knowledge

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Replace a context on its way to the LLM by one with facts; pass on everything else."""
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMContextFrame) and direction is FrameDirection.DOWNSTREAM:
            frame = with_context(frame, self.inform(frame.context))
        await self.push_frame(frame, direction)

    def inform(self, context: LLMContext) -> LLMContext:
        """Return a copy of `context` with facts in its last user message."""
        messages = list(context.get_messages())
        if asked := asked_in(messages):
            question = standard_message_text(messages[asked[-1]])
            before = standard_message_text(messages[asked[-2]]) if len(asked) > 1 else ""
            if terms(question):
                facts = self._knowledge.lookup(question, hint=before)
                text = "\n".join(fact.text for fact in facts) or "none"
                messages[asked[-1]] = _with_facts(messages[asked[-1]], text)
        return LLMContext(messages, context.tools, context.tool_choice)


def with_context(
    frame: LLMContextFrame, context: LLMContext, speculation: bool | None = None
) -> LLMContextFrame:
    """Return a copy of a frame that carries another context.

    It has the number of the frame: who withdraws that, withdraws it.

    Args:
        frame: To be copied.
        context: That it is to carry.
        speculation: Whether the turn may still go on that is answered; None keeps that.
    """
    changed = LLMContextFrame(context, frame.speculation if speculation is None else speculation)
    changed.id, changed.pts, changed.metadata = frame.id, frame.pts, frame.metadata
    return changed


def asked_in(messages: Sequence[LLMContextMessage]) -> list[int]:
    """Return where in a conversation the user speaks."""
    return [
        i
        for i, message in enumerate(messages)
        if not isinstance(message, LLMSpecificMessage) and message["role"] == "user"
    ]


def _with_facts(message: LLMContextMessage, facts: str) -> LLMContextMessage:
    """Return a copy of the user's message with facts behind what it says.

    They are in one message, and the facts are the last thing that the LLM reads: so a small model
    uses them best.
    """
    note = f"\n\nFacts: {facts}"
    content = cast(dict[str, Any], message)["content"]
    if isinstance(content, str):
        content = f"Caller: {content}{note}"
    else:
        content = [*content, {"type": "text", "text": note}]
    return cast(LLMContextMessage, {**cast(dict[str, Any], message), "content": content})
