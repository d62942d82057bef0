"""What a set of times says, and how sure it is."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 10_000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Ratio:
    """The quotient of two medians, and between which values it lies in 95 of 100 cases."""

    value: float
    low: float
    high: float


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the value below which `percent` of 100 lie, interpolated; NaN where there is none."""
    return float(np.percentile(values, percent)) if len(values) else float("nan")


def ratio_of_medians(a: Sequence[float], b: Sequence[float], *, seed: int = 1) -> Ratio:
    """Return the median of `a` over that of `b`.

    The interval is a percentile bootstrap (Efron 1979): both sets are drawn again, with
    replacement, each for itself, and the quotient is taken anew.

    Args:
        a: Times, in any unit.
        b: Times in the same unit.
        seed: For the draws.

    Raises:
        ValueError: If one of the sets is empty.
    """
    if not len(a) or not len(b):
        raise ValueError("there is no median of nothing")
    draws = np.random.default_rng(seed)
    ratios = _medians_of_draws(a, draws) / _medians_of_draws(b, draws)
    low, high = np.quantile(ratios, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Ratio(float(np.median(a) / np.median(b)), float(low), float(high))


def _medians_of_draws(values: Sequence[float], draws: np.random.Generator) -> np.ndarray:
    return np.median(draws.choice(values, (RESAMPLES, len(values))), axis=1)
