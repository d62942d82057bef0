"""What speech recognition reads, and how it would go on: without any package of an engine."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Ending:
    """What a model of speech writes behind the last word, by what it has heard.

    Attributes:
        stops: Probability of a full stop, a question mark or an exclamation mark.
        trails: Probability of an ellipsis.
    """

    stops: float
    trails: float


@dataclass(frozen=True)
class Reading:
    """What was read in a piece of speech.

    Attributes:
        text: The words, with punctuation; "" where there are none.
        ending: What was likely to come behind them; None where that is not known.
    """

    text: str
    ending: Ending | None = None
