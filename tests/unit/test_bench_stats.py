import math

import numpy as np
import pytest

from tests.bench.stats import median_ratio, percentile, ratio_of_medians


def test_percentiles_of_known_values() -> None:
    values = list(range(101))
    assert percentile(values, 50) == 50
    assert percentile(values, 95) == 95
    assert percentile([10.0, 20.0], 50) == 15


def test_there_is_no_percentile_of_nothing() -> None:
    assert math.isnan(percentile([], 50))


def test_values_that_are_all_alike_leave_no_doubt_about_their_ratio() -> None:
    ratio = ratio_of_medians([300.0] * 5, [600.0] * 9)
    assert (ratio.value, ratio.low, ratio.high) == (0.5, 0.5, 0.5)


def test_one_very_slow_turn_does_not_change_the_ratio() -> None:
    assert ratio_of_medians([1, 2, 3, 4, 99_999], [6, 6, 6]).value == 0.5


def test_the_interval_is_that_of_the_theory() -> None:
    # The median of n values of a normal distribution strays by sqrt(pi / 2n) of its width; here
    # 1000 and 100, so each by 6.3, the quotient by 0.0063 * sqrt(2), and 95 % are 1.96 of it.
    draws = np.random.default_rng(7)
    ratio = ratio_of_medians(draws.normal(1000, 100, 400), draws.normal(1000, 100, 400))
    assert ratio.high - ratio.low == pytest.approx(2 * 1.96 * 0.0063 * math.sqrt(2), rel=0.25)
    assert ratio.low < ratio.value < ratio.high


def test_95_of_100_intervals_hold_the_true_ratio() -> None:
    draws = np.random.default_rng(3)
    held = 0
    for _ in range(100):
        ratio = ratio_of_medians(draws.normal(500, 80, 30), draws.normal(1000, 160, 30))
        held += ratio.low <= 0.5 <= ratio.high
    assert 90 <= held <= 100


def test_pairs_that_differ_more_than_their_quotients_leave_little_doubt() -> None:
    draws = np.random.default_rng(5)
    times = draws.uniform(300, 3000, 30)
    pairs = [(time * draws.normal(1, 0.05), time) for time in times]
    ratio = median_ratio(pairs)
    assert ratio.value == pytest.approx(1, abs=0.05)
    assert ratio.high - ratio.low < 0.1
    of_medians = ratio_of_medians([a for a, _ in pairs], [b for _, b in pairs])
    assert of_medians.high - of_medians.low > 0.5


def test_the_same_times_give_the_same_interval() -> None:
    a, b = [5.0, 6.0, 9.0], [7.0, 8.0, 12.0]
    assert ratio_of_medians(a, b) == ratio_of_medians(a, b)


def test_nothing_is_not_compared() -> None:
    with pytest.raises(ValueError, match="nothing"):
        ratio_of_medians([], [1.0])
    with pytest.raises(ValueError, match="nothing"):
        median_ratio([])
