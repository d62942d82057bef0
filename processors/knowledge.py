"""Facts for this turn: looked up with BM25, given to the LLM behind the user's last words.

`Knowledge` decides, without any I/O, which facts of a markdown file belong to a question.
`KnowledgeProcessor` stands between the user aggregator and the LLM and shows them to the LLM.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

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

_WORD = re.compile(r"[a-z0-9]+")
_stem = snowballstemmer.stemmer("english").stemWords
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
_HEADING = re.compile(r"^(?P<level>#+)\s+(?P<title>[^(]+)(?:\((?P<words>[^)]*)\))?\s*$")
_BULLET = re.compile(r"^\s*[-*+]\s+")


def terms(text: str) -> list[str]:
    """Return the stems of the words of `text` that carry meaning, in order, with repetitions."""
    words = _stem(_WORD.findall(text.lower()))
    return [word for word in words if word not in _STOPWORDS]


@dataclass(frozen=True)
class Fact:
    """One fact, and the headings it stands under with their search words.

    Attributes:
        text: What the LLM is shown, one paragraph or bullet of the file.
        about: The headings above it, outermost first, each with its words in brackets.
        title: The nearest heading without the words in brackets.
    """

    text: str
    about: tuple[str, ...] = ()
    title: str = ""

    def terms(self) -> list[str]:
        """Return the stems by which this fact is found: each once, those of its title twice."""
        all_terms = terms(" ".join((*self.about, self.text)))
        return [*dict.fromkeys(all_terms), *dict.fromkeys(terms(self.title))]


def parse_facts(markdown: str) -> list[Fact]:
    """Split a markdown text into facts: each paragraph or bullet under a second-level heading.

    `## Parking (car, garage)` gives every fact under it the search words car and garage, which are
    never shown. What stands before the first such heading is for the reader of the file.
    """
    facts: list[Fact] = []
    headings: dict[int, str] = {}
    lines: list[str] = []
    title = ""

    def end_fact() -> None:
        about = tuple(headings[level] for level in sorted(headings) if level > 1)
        if lines and about:
            facts.append(Fact(" ".join(lines), about, title))
        lines.clear()

    for line in markdown.splitlines():
        if heading := _HEADING.match(line):
            end_fact()
            level, title = len(heading["level"]), heading["title"].strip()
            headings = {above: text for above, text in headings.items() if above < level}
            headings[level] = f"{title} {heading['words'] or ''}".strip()
        elif not line.strip():
            end_fact()
        else:
            if _BULLET.match(line):
                end_fact()
            lines.append(_BULLET.sub("", line).strip())
    end_fact()
    return facts


@dataclass(frozen=True)
class Example:
    """A question and the answer a bot should give to it."""

    question: str
    answer: str


def parse_examples(markdown: str) -> list[Example]:
    """Return the examples of a markdown text: a quoted question, then a paragraph to answer it."""
    blocks = [" ".join(block.split()) for block in markdown.split("\n\n")]
    return [
        Example(question.removeprefix("> "), answer)
        for question, answer in pairwise(blocks)
        if question.startswith("> ")
    ]


class _Bm25(BM25Okapi):  # type: ignore[misc]
    """BM25 whose word weights are positive in small collections too (the weights of Lucene)."""

    def scores(self, words: list[str]) -> NDArray[np.float64]:
        """Return the score of each fact, in units of the weight of a word that one fact has."""
        return cast(NDArray[np.float64], self.get_scores(words) / self._weight(1))

    def _weight(self, count: int) -> float:
        return math.log(1 + (self.corpus_size - count + 0.5) / (count + 0.5))

    def _calc_idf(self, nd: dict[str, int]) -> None:
        for word, count in nd.items():
            self.idf[word] = self._weight(count)


class Knowledge:
    """Facts that can be asked for in plain words.

    Args:
        facts: What is known.
        min_score: A fact that matches a question less well than this is not given. 1 is about what
            it scores for sharing one word with the question that no other fact has.
        min_share: Nor is one whose score is below this share of the best fact's score.
    """

    def __init__(
        self, facts: Iterable[Fact], *, min_score: float = 0.55, min_share: float = 0.65
    ) -> None:
        self.facts = tuple(facts)
        self._min_score = min_score
        self._min_share = min_share
        self._index = _Bm25([fact.terms() for fact in self.facts], b=0.0) if self.facts else None

    @classmethod
    def from_files(cls, *paths: Path) -> "Knowledge":
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
        return cls(facts)

    def lookup(self, question: str, limit: int = 3, *, hint: str = "") -> list[str]:
        """Return the facts that answer `question` best, the best first.

        Args:
            question: What the user said.
            limit: How many facts at most.
            hint: What the user said before. It counts for a fraction, and only where the question
                itself is too short to stand alone, as in "and on Saturday?".

        Returns:
            The texts of the facts; an empty list if nothing matches well.
        """
        if self._index is None:
            return []
        asked = terms(question)
        scores = self._index.scores(asked)
        if len(asked) <= _SHORT_QUESTION_TERMS and hint:
            # What says nothing by itself, like a name or "at ten", is about what was said before.
            weight = _HINT_WEIGHT if scores.max() >= self._min_score else 1.0
            scores = scores + weight * self._index.scores(terms(hint))
        best = sorted(range(len(self.facts)), key=lambda i: -scores[i])[:limit]
        floor = max(self._min_score, self._min_share * scores[best[0]])
        return [self.facts[i].text for i in best if scores[i] >= floor]


_SHORT_QUESTION_TERMS = 2
_HINT_WEIGHT = 0.4


class KnowledgeProcessor(FrameProcessor):
    """Shows the LLM the facts for the user's last words, for this one reply.

    Stands between the user aggregator and the LLM. What it adds goes into a copy of the context, so
    the conversation itself never collects facts. The examples always stand first and the facts
    last, so the LLM's prefix cache holds all that comes before the user's last words.
    """

    def __init__(
        self,
        knowledge: Knowledge,
        *,
        limit: int = 3,
        examples: Iterable[Example] = (),
        nothing_known: str = "none",
    ) -> None:
        """Give the facts of `knowledge`.

        Args:
            knowledge: Where to look the user's words up.
            limit: How many facts at most are shown for one turn. Small models do best with one.
            examples: Turns that show a small model how facts become an answer. They are put before
                the conversation, each with the facts that are found for its question.
            nothing_known: What stands in the place of the facts where none are found. A small model
                says it as it stands.
        """
        super().__init__()
        self._knowledge = knowledge
        self._limit = limit
        self._nothing_known = nothing_known
        self._examples: list[LLMContextMessage] = []
        for example in examples:
            asked: LLMContextMessage = {"role": "user", "content": example.question}
            self._examples += [
                self._with_facts(asked, before=""),
                {"role": "assistant", "content": example.answer},
            ]

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Replace a context on its way to the LLM by one with facts; pass on everything else."""
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMContextFrame) and direction is FrameDirection.DOWNSTREAM:
            informed = LLMContextFrame(self.inform(frame.context), frame.speculation)
            informed.pts, informed.metadata = frame.pts, frame.metadata
            frame = informed
        await self.push_frame(frame, direction)

    def inform(self, context: LLMContext) -> LLMContext:
        """Return a copy of `context` with the examples, and with facts in its last user message."""
        messages = list(context.get_messages())
        asked = [i for i, message in enumerate(messages) if _is_from_user(message)]
        if asked:
            before = standard_message_text(messages[asked[-2]]) if len(asked) > 1 else ""
            messages[asked[-1]] = self._with_facts(messages[asked[-1]], before)
        return LLMContext([*self._examples, *messages], context.tools, context.tool_choice)

    def _with_facts(self, message: LLMContextMessage, before: str) -> LLMContextMessage:
        question = standard_message_text(message)
        if not terms(question):
            return message
        facts = self._knowledge.lookup(question, self._limit, hint=before)
        note = _FACTS.format("\n".join(facts) or self._nothing_known)
        content = cast(dict[str, Any], message)["content"]
        if isinstance(content, str):
            content = _QUESTION.format(content) + note
        else:
            content = [*content, {"type": "text", "text": note}]
        return cast(LLMContextMessage, {**cast(dict[str, Any], message), "content": content})


def _is_from_user(message: LLMContextMessage) -> bool:
    return not isinstance(message, LLMSpecificMessage) and message["role"] == "user"


# Measured with tests/bench/receptionist_offline.py: a small model uses facts best that are the last
# thing it reads, in one message with the question.
_QUESTION = "Caller: {}"
_FACTS = "\n\nFacts: {}"
