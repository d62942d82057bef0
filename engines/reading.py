"""What speech recognition reads, and how it would go on: without any package of an engine."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Reading:
    """What was read in a piece of speech.

    Attributes:
        text: The words, with punctuation; "" where there are none.
        trails: Probability of an ellipsis behind the last of them, by what a model of speech has
            heard; None where that is not known.
    """

    text: str
    trails: float | None = None
