"""How long to wait in a silence before a turn is taken for ended: the decision, without any I/O."""

import math
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
        cut: Where the user very likely goes on.
    """

    sure: float
    likely: float
    cut: float


HOLDS: dict[Preset, Holds] = {
    "snappy": Holds(sure=0.25, likely=0.5, cut=0.9),
    "balanced": Holds(sure=0.35, likely=0.75, cut=1.3),
    "patient": Holds(sure=0.8, likely=1.2, cut=2.5),
}

SURE, OPEN = 0.76, 0.1
"""Probabilities that a turn is over, from which it is taken for over, and below which for cut. On
the tuning set of tests/bench/corpus, with the receptionist's prompt and the 0.5B model, 2 % of the
cuts, 35 % of all ends and 55 % of the questions are above the first; 4 % of the ends and half of
the cuts below the second."""

WORDS_WEIGHT, SOUND_WEIGHT, BIAS = 0.43, 0.28, 0.1
"""Between two logistic regressions on the tuning set, of the log odds of both signals: one with
facts in the prompt and one without. How long somebody has spoken is left out, which tells more than
either there, and nothing elsewhere."""

CUT_WORDS, UNCUT_WORDS = 0.01, 0.8
"""What the last word alone says: the probabilities that stand for words that nobody judged."""

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


def over_probability(text: str, *, words: float | None, sound: float | None) -> float:
    """Return how probable it is that a turn is over.

    Args:
        text: What was said in it so far.
        words: Probability that a sentence ends behind that; None if it is not known.
        sound: Smart Turn's probability that the turn is complete; None if it did not say.
    """
    if words is None:
        words = CUT_WORDS if is_cut(text) else UNCUT_WORDS
    log_odds = WORDS_WEIGHT * _log_odds(words) + SOUND_WEIGHT * _log_odds(sound) + BIAS
    return 1 / (1 + math.exp(-log_odds))


def hold_secs(holds: Holds, over: float) -> float:
    """Return how long a silence may last before the turn is taken for ended.

    Args:
        holds: What the user of the settings chose.
        over: Probability that it is.
    """
    if over >= SURE:
        return holds.sure
    return holds.likely if over >= OPEN else holds.cut


def _log_odds(p: float | None) -> float:
    if p is None:
        return 0.0
    # No signal is so sure that another could not outweigh it.
    p = min(max(p, 1e-4), 1 - 1e-4)
    return math.log(p / (1 - p))
