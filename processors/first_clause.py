"""A reply is spoken from its first clause on, while the rest is still being written.

The first piece of a reply is its first clause, if it has a place at which people pause too; what
follows goes by whole sentences. Any TTS service can use it: `FirstClauseAggregator` is a text
aggregator of Pipecat's. A place is judged by what stands before it and at most two words after it,
and only once: a reply is cut in the same way however its text arrives.

Commas are enough: said apart, with Piper, the two parts of 10 sentences took 0.98 to 1.07 of the
time of the whole, and the pause between them was 0.2 to 0.3 s, where the whole had 0.2 to 0.4 s;
that goes for "Sure," too. Where no comma stands the whole has no pause and two parts have one of
0.12 to 0.18 s, so that only a conjunction with a clause of its own is such a place.
"""

import re
from typing import Any

from pipecat.utils.text.base_text_aggregator import Aggregation, TextType
from pipecat.utils.text.simple_text_aggregator import SimpleTextAggregator

MIN_WORDS_BEFORE_CONJUNCTION = 5
"""Where no comma stands, people pause only after some words."""

_PAUSE = re.compile(
    r"""
    (?P<mark> [,;] | :(?=\s) | \s?— | \s[\u2013-](?=\s) )
    | (?P<conjunction> \s+ (?: (?:and|so|or) \s+ (?:{subject})(?:['\u2019]\w+)?
                             | which \s+ (?:{verb})
                             | (?:but|because|although|whereas|unless|while) ) (?=\s) )
    """.format(
        # What begins a clause, and not just another noun ("Tuesday and Thursday").
        subject="I|we|you|he|she|they|it|there|please|then",
        verb="is|are|was|were|has|have|can|will|would|means|we|you|it",
    ),
    re.VERBOSE,
)
"""Places where a clause may end: at the end of `mark`, or at the beginning of `conjunction`."""

_WORD = re.compile(r"[^\W_](?:[\w'\u2019.:-]*\w)?")

_GOES_ON = re.compile(
    r"""
    a | an | the | this | that | these | those | some | any | no | each | every
    | my | your | his | her | its | our | their
    | of | in | on | at | by | for | from | to | with | without | about | between | into | over
    | under | per | than | as | via
    | and | or | but | so | nor | not | if | when | whether | because
    | is | are | was | were | be | been | am | very | too
    | one | two | three | four | five | six | seven | eight | nine | ten | eleven | twelve
    | \w+teen | (?:twen|thir|for|fif|six|seven|eigh|nine)ty | hundred | thousand | million
    """,
    re.VERBOSE | re.IGNORECASE,
)
"""Words that no pause follows without a comma: they belong to what comes next, as numbers may."""

_ABBREVIATION = re.compile(
    r"""
    \b (?: a\.m | p\.m | e\.g | i\.e | approx | dept | est | ext | apt | min | max | incl
         | mon | tue | tues | wed | thu | thur | thurs | fri | sat | sun
         | jan | feb | mar | apr | jun | jul | aug | sep | sept | oct | nov | dec ) \.
    | (?:^|\n) \s* \d+ \.
    """,
    re.VERBOSE | re.IGNORECASE,
)
"""Periods, also of a numbered list, that Pipecat takes for the end of a sentence."""


def first_clause_end(text: str) -> int:
    """Return where the first clause of a reply ends; 0 if it is not known yet, or nowhere.

    Args:
        text: The reply so far, from its beginning. More text does not move the place.
    """
    for pause in _PAUSE.finditer(text):
        end = pause.end() if pause["mark"] else pause.start()
        if _is_natural(text[:end], at_mark=bool(pause["mark"])):
            return end
    return 0


def _is_natural(clause: str, *, at_mark: bool) -> bool:
    """Whether a clause can be said before anything is known of what follows."""
    words = _WORD.findall(clause)
    if not words or words[-1][-1].isdigit() or _is_open(clause):
        # A number may go on: "5, 2026", "2, 3 and 4", "one hundred and five".
        return False
    if at_mark:
        adjective = len(words) > 1 and words[-2].lower() in ("a", "an")  # "a big, bright room"
        span = clause[-1] in "\u2013-" and words[-1][0].isupper()  # "Monday - Friday"
        return len(words[-1]) > 1 and not adjective and not span
    return len(words) >= MIN_WORDS_BEFORE_CONJUNCTION and not _GOES_ON.fullmatch(words[-1])


def _is_open(clause: str) -> bool:
    """Whether a quotation or bracket has begun that has not ended."""
    return clause.count('"') % 2 == 1 or any(
        clause.count(opening) > clause.count(closing) for opening, closing in ("()", "[]", "“”")
    )


class FirstClauseAggregator(SimpleTextAggregator):
    """Gives out the first clause of a reply, then whole sentences.

    Args:
        **kwargs: Passed to `SimpleTextAggregator`.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._begun = False

    async def flush(self) -> Aggregation | None:
        """Return what is left of a reply that has ended."""
        self._begun = False
        return await super().flush()

    async def handle_interruption(self) -> None:
        """Forget the reply."""
        self._begun = False
        await super().handle_interruption()

    async def reset(self) -> None:
        """Forget the reply."""
        self._begun = False
        await super().reset()

    async def _check_sentence_with_lookahead(
        self, char: str, *, protected_end: int = 0
    ) -> Aggregation | None:
        for abbreviation in _ABBREVIATION.finditer(self._text):
            protected_end = abbreviation.end()
        piece = await super()._check_sentence_with_lookahead(char, protected_end=protected_end)
        if piece is None and not self._begun and (end := first_clause_end(self._text)):
            piece = Aggregation(self._text[:end].strip(), TextType.SENTENCE)
            self._text = self._text[end:]
        self._begun = self._begun or piece is not None
        return piece


async def first_clause_of(reply: str) -> str:
    """Return the first piece that is spoken of a whole reply: its first clause, or all of it."""
    aggregator = FirstClauseAggregator()
    async for clause in aggregator.aggregate(reply):
        return clause.text.strip()
    return reply.strip()


async def draft_of(reply: str) -> str:
    """Return the words of a reply that must be known for its first clause to be given out."""
    aggregator = FirstClauseAggregator()
    for word in re.finditer(r"\s*\S+", reply):
        async for _ in aggregator.aggregate(word[0]):
            return reply[: word.end()].strip()
    return reply.strip()
