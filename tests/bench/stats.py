"""What a set of times says, and how sure it is."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

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


def median_ratio(pairs: Sequence[tuple[float, float]], *, seed: int = 1) -> Ratio:
    """Return the median of the quotients of pairs, such as the times of two bots for one question.

    Where questions differ more than bots, it is surer than the quotient of the medians. The
    interval is a percentile bootstrap over the pairs.

    Args:
        pairs: Times, in any unit, that of each pair's second not 0.
        seed: For the draws.

    Raises:
        ValueError: If there is no pair.
    """
    if not len(pairs):
        raise ValueError("there is no median of nothing")
    quotients = np.array([a / b for a, b in pairs])
    medians = _medians_of_draws(quotients, np.random.default_rng(seed))
    low, high = np.quantile(medians, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Ratio(float(np.median(quotients)), float(low), float(high))


def _medians_of_draws(values: npt.ArrayLike, draws: np.random.Generator) -> np.ndarray:
    values = np.asarray(values)
    return np.median(draws.choice(values, (RESAMPLES, len(values))), axis=1)
