"""How long to wait in a silence before a turn is taken for ended: the decision, without any I/O."""

import math
import re
from dataclasses import dataclass
from typing import Literal

from engines.reading import Ending

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
    "balanced": Holds(sure=0.3, likely=0.77, cut=1.3),
    "patient": Holds(sure=0.8, likely=1.2, cut=2.5),
}

SURE, OPEN = 0.8, 0.1
"""Probabilities that a turn is over, from which it is taken for over, and below which for cut. By
all signals together, 1.2 % of the 729 cuts of the first part of the tuning set of
tests/bench/corpus, 49 % of the 386 ends and 72 % of the questions are above the first."""

CUT = 0.05
"""A turn is over with no more than this where its last word says that it is cut, and more than that
is told of the words: so are 10 of those 386 ends, and 253 of the 729 cuts."""

WORTH_ASKING = 0.7
"""Probability that a turn is over, from which a model that is paid for is asked ahead: by the last
word and the sound, at 77 % of the ends of the tuning set, and at 28 % of the cuts for nothing."""


@dataclass(frozen=True)
class Weights:
    """Of a logistic regression on the tuning set, for signals that are told together.

    How long somebody has spoken is left out, which tells more than any of these there, and nothing
    elsewhere.

    Attributes:
        stops: Of the log odds that the speech recognition writes a full stop.
        trails: Of the log probability that it writes an ellipsis.
        words: Of the square root of the probability that a language model ends a sentence behind
            the words: unlike its logarithm, that tells little of what is most improbable anyway.
        sound: Of Smart Turn's log odds.
        bias: What is added.
    """

    stops: float
    trails: float
    words: float
    sound: float
    bias: float


BY_ALL = Weights(stops=0.23, trails=-0.75, words=4.22, sound=0.29, bias=-5.5)
BY_HEARING = Weights(stops=0.46, trails=-0.77, words=0.0, sound=0.25, bias=-4.2)
BY_WORDS = Weights(stops=0.0, trails=0.0, words=5.83, sound=0.39, bias=-2.61)

TEMPERATURE = 1.2
"""A running service is surer than what that was fitted on, whose lines and levels are not its own:
of 70 cuts that it heard, 3 were above `SURE`, not 1 in 100. It divides the log odds (Guo et al.,
On Calibration of Modern Neural Networks, 2017)."""

SOUND_WEIGHT = 0.25
CUT_LOG_ODDS, UNCUT_LOG_ODDS = -1.7, 0.93
"""What the last word says, beside the sound, where nothing else is told of the words. By these, 3 %
of the cuts, 29 % of all ends and 35 % of the questions of the tuning set are sure."""

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
    text: str, *, ending: Ending | None, words: float | None, sound: float | None
) -> float:
    """Return how probable it is that a turn is over.

    Where the last word is one that others have to follow, it is hardly over, however much it sounds
    so.

    Args:
        text: What was said in it so far.
        ending: How the speech recognition would go on behind that; None if it does not say.
        words: A language model's probability that a sentence ends there; None if there is none.
        sound: Smart Turn's probability that the turn is complete; None if it does not say.
    """
    cut = is_cut(text)
    if ending is None and words is None:
        log_odds = CUT_LOG_ODDS if cut else UNCUT_LOG_ODDS
        return _probability(log_odds + SOUND_WEIGHT * _log_odds(sound))
    weights = BY_WORDS if ending is None else BY_HEARING if words is None else BY_ALL
    log_odds = weights.words * math.sqrt(words or 0.0) + weights.sound * _log_odds(sound)
    log_odds += weights.bias
    if ending:
        log_odds += weights.stops * _log_odds(ending.stops)
        log_odds += weights.trails * math.log(max(ending.trails, LEAST))
    over = _probability(log_odds / TEMPERATURE)
    return min(over, CUT) if cut else over


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
    """Return the log odds; None tells neither way."""
    if p is None:
        return 0.0
    p = min(max(p, LEAST), 1 - LEAST)
    return math.log(p / (1 - p))


def _probability(log_odds: float) -> float:
    return 1 / (1 + math.exp(-log_odds))
