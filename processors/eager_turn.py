"""How long to wait in a silence before a turn is taken for ended: the decision, without any I/O."""

import re
from dataclasses import dataclass
from typing import Literal

Preset = Literal["snappy", "balanced", "patient"]


@dataclass(frozen=True)
class Holds:
    """Silences after which a turn ends, in seconds, each counted from the last sound of the user.

    Attributes:
        sure: Where the turn very likely is over.
        likely: Where it may be.
        unsure: Where the words go on, but do not sound so.
        cut: Where the words go on, and sound so.
    """

    sure: float
    likely: float
    unsure: float
    cut: float


HOLDS: dict[Preset, Holds] = {
    "snappy": Holds(sure=0.25, likely=0.5, unsure=0.7, cut=1.0),
    "balanced": Holds(sure=0.35, likely=0.75, unsure=0.9, cut=1.5),
    "patient": Holds(sure=0.8, likely=1.2, unsure=1.5, cut=2.5),
}

FINISHED_SOUND = 0.5
"""Smart Turn's probability from which it takes a turn for complete."""

SURE_WORDS, OPEN_WORDS = 0.6, 0.05
"""Probabilities that a sentence ends, above which it very likely does, and below which it goes on;
between them nobody could tell. On the tuning set of tests/bench/corpus, with the 0.5B model, one
third of the ends and 3 % of the cuts are above the first, 11 % of the ends and 67 % of the cuts
below the second."""

# Words after which an English sentence goes on.
_OPEN_ENDS = frozenset(
    re.findall(
        r"\S+",
        """a about after also an and are as at be because before but by can could do does for from
        had has have he her his i if in into is it's its like my no. number of on or our she should
        since so than that the their then these they this those to um uh until was we were what
        when where which while who whose why will with would you your""",
    )
)
_WORD = re.compile(r"[\w'.]+")


def is_cut(text: str) -> bool:
    """Return whether `text` stops in the middle of a sentence, as far as its last word tells.

    Args:
        text: A transcript, with or without punctuation.
    """
    words = _WORD.findall(text.lower())
    if not words or text.rstrip().endswith(("...", "…", ",", "-")):
        return True
    # "Where are you?" ends with a word that others would have to follow.
    return words[-1].strip(".") in _OPEN_ENDS and not text.rstrip().endswith("?")


def is_sound_needed(words: float | None) -> bool:
    """Return whether `hold_secs` needs to know what the end sounds like.

    Judging it takes a core for 50 ms and more, while the answer is being made.

    Args:
        words: Probability that a sentence ends behind the words; None if that is not known.
    """
    return words is None or words < OPEN_WORDS


def hold_secs(
    holds: Holds, *, text: str, words: float | None = None, sound: float | None = None
) -> float:
    """Return how long a silence may last before the turn is taken for ended.

    Args:
        holds: What the user of the settings chose.
        text: What was said in the turn so far.
        words: Probability that a sentence ends behind it; None if that is not known.
        sound: Smart Turn's probability that the turn is complete; None if it did not say.
    """
    finished = sound is None or sound >= FINISHED_SOUND
    if words is None:
        if is_cut(text):
            return holds.unsure if finished else holds.cut
        return holds.sure if finished else holds.likely
    if words < OPEN_WORDS:
        return holds.unsure if finished else holds.cut
    return holds.sure if words >= SURE_WORDS else holds.likely
