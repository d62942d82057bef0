"""How long to wait in a silence before a turn is taken for ended: the decision, without any I/O."""

import math
import re
from dataclasses import dataclass
from typing import Literal

Preset = Literal["snappy", "balanced", "patient"]


SURE, OPEN = 0.85, 0.1
"""Probabilities that a turn is over, from which it is taken for over, and below which for cut. By
all signals together, 0.9 % of the 1,641 cuts of the tuning set of tests/bench/corpus, 44 % of the
842 ends and 71 % of the questions are above the first."""

SURE_FOR_SNAPPY = 0.7
"""The same for who would rather be answered soon: 2.9 % of those cuts, 65 % of the ends and 84 % of
the questions are above."""


@dataclass(frozen=True)
class Holds:
    """Silences after which a turn ends, in seconds, each counted from the last sound of the user.

    Attributes:
        sure: Where the turn very likely is over.
        likely: Where it may be.
        cut: Where the user very likely goes on.
        sure_from: The probability that the turn is over from which it very likely is.
    """

    sure: float
    likely: float
    cut: float
    sure_from: float = SURE


HOLDS: dict[Preset, Holds] = {
    "snappy": Holds(sure=0.25, likely=0.5, cut=0.9, sure_from=SURE_FOR_SNAPPY),
    "balanced": Holds(sure=0.3, likely=0.77, cut=1.3),
    "patient": Holds(sure=0.8, likely=1.2, cut=2.5),
}

WORTH_ASKING = 0.65
"""Probability that a turn is over, from which a model that is paid for is asked ahead: by the last
word and the sound, at 70 % of the ends of the tuning set, and at 26 % of the cuts for nothing."""


@dataclass(frozen=True)
class Weights:
    """Of a logistic regression on the tuning set, for signals that are told together.

    How long somebody has spoken is left out, which tells more than any of these there, and nothing
    elsewhere.

    Attributes:
        trails: Of the log probability that the speech recognition writes an ellipsis. Beside that,
            the one of a full stop tells nothing.
        words: Of the square root of the probability that a language model ends a sentence behind
            the words: unlike its logarithm, that tells little of what is most improbable anyway.
        sound: Of Smart Turn's log odds.
        open: Added where the last word is one that others have to follow; beside what speech
            recognition would write, that tells nothing.
        bias: What is added.
    """

    trails: float = 0.0
    words: float = 0.0
    sound: float = 0.0
    open: float = 0.0
    bias: float = 0.0


BY_ALL = Weights(trails=-0.81, words=4.42, sound=0.28, bias=-6.0)
BY_HEARING = Weights(trails=-1.05, sound=0.27, bias=-5.5)
BY_WORDS = Weights(words=5.78, sound=0.34, open=-0.9, bias=-2.61)
BY_LAST_WORD = Weights(sound=0.39, open=-3.25, bias=0.72)
"""Its bias is not that of the regression, by which no turn would be sure. With this, 3 % of the
cuts, 32 % of all ends and of the questions of the tuning set are."""

TEMPERATURE = 1.2
"""A running service is surer than what that was fitted on, whose lines and levels are not its own:
of 70 cuts that it heard, 3 were above 0.8, not 1 in 100. It divides the log odds (Guo et al.,
On Calibration of Modern Neural Networks, 2017)."""

LEAST = 1e-4
"""A probability counts as no less, and as no more than 1 less this: no signal is so sure that
another could not outweigh it."""

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


def over_probability(
    text: str, *, trails: float | None, words: float | None, sound: float | None
) -> float:
    """Return how probable it is that a turn is over.

    Args:
        text: What was said in it so far.
        trails: How likely the speech recognition would write an ellipsis behind that; None if it
            does not say.
        words: A language model's probability that a sentence ends there; None if there is none.
        sound: Smart Turn's probability that the turn is complete; None if it does not say.
    """
    weights = _weights(trails, words)
    log_odds = weights.bias + weights.sound * _log_odds(sound)
    if trails is not None:
        log_odds += weights.trails * math.log(max(trails, LEAST))
    if words is not None:
        log_odds += weights.words * math.sqrt(words)
    if is_cut(text):
        log_odds += weights.open
    return 1 / (1 + math.exp(-log_odds / TEMPERATURE))


def _weights(trails: float | None, words: float | None) -> Weights:
    if trails is None:
        return BY_LAST_WORD if words is None else BY_WORDS
    return BY_HEARING if words is None else BY_ALL


def hold_secs(holds: Holds, over: float) -> float:
    """Return how long a silence may last before the turn is taken for ended.

    Args:
        holds: What the user of the settings chose.
        over: Probability that it is.
    """
    if over >= holds.sure_from:
        return holds.sure
    return holds.likely if over >= OPEN else holds.cut


def _log_odds(p: float | None) -> float:
    """Return the log odds; None tells neither way."""
    if p is None:
        return 0.0
    p = min(max(p, LEAST), 1 - LEAST)
    return math.log(p / (1 - p))
