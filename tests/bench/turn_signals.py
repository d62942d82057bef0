"""Which signals tell the end of a turn from a pause, alone and together.

    python tests/bench/turn_signals.py TUNING.csv HELD_OUT.csv

reads what turn_features.py wrote, fits on the first and prints what comes of it on the second, and
what the product's presets do there.
"""

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from processors.eager_turn import (  # noqa: E402
    HOLDS,
    LEAST,
    Holds,
    hold_secs,
    is_cut,
    over_probability,
)
from tests.bench.accuracy import PAUSES_MS, Row, evaluate, read_rows  # noqa: E402

Values = npt.NDArray[np.float64]

SIGNALS: dict[str, Callable[[Row], float]] = {
    "Smart Turn after 100 ms": lambda row: _log_odds(row["smart_turn_100ms"]),
    "Smart Turn after 200 ms": lambda row: _log_odds(row["smart_turn_200ms"]),
    "Smart Turn after 400 ms": lambda row: _log_odds(row["smart_turn_400ms"]),
    "Whisper: ellipsis": lambda row: math.log(max(float(row["trails"]), LEAST)),
    "language model: words end": lambda row: math.sqrt(float(row["words"])),
    "the last word": lambda row: -float(is_cut(str(row["whisper_text"]))),
}

TOGETHER = {
    "the last word + Smart Turn": ("the last word", "Smart Turn after 100 ms"),
    "words + Smart Turn": ("language model: words end", "Smart Turn after 100 ms"),
    "Whisper + Smart Turn": ("Whisper: ellipsis", "Smart Turn after 100 ms"),
    "Whisper + Smart Turn + words": (
        "Whisper: ellipsis",
        "Smart Turn after 100 ms",
        "language model: words end",
    ),
}


def _log_odds(p: float | str) -> float:
    bounded = min(max(float(p), LEAST), 1 - LEAST)
    return math.log(bounded / (1 - bounded))


def auc(scores: Values, is_end: npt.NDArray[np.bool_]) -> float:
    """Return how often an end scores above a pause (half for a tie): 0.5 knows nothing."""
    above = scores[is_end][:, None] - scores[~is_end][None, :]
    return float(np.mean((above > 0) + 0.5 * (above == 0)))


def fit(values: Values, is_end: npt.NDArray[np.bool_]) -> Values:
    """Return the weights of a logistic regression by Newton's method; the last is the constant."""
    x = _with_constant(values)
    weights = np.zeros(x.shape[1])
    for _ in range(30):
        p = 1 / (1 + np.exp(-x @ weights))
        # A little ridge keeps it solvable where a signal separates all.
        hessian = (x * (p * (1 - p))[:, None]).T @ x + 1e-3 * np.eye(x.shape[1])
        weights += np.linalg.solve(hessian, x.T @ (is_end - p) - 1e-3 * weights)
    return weights


def score(values: Values, weights: Values) -> Values:
    scores: Values = _with_constant(values) @ weights
    return scores


def _with_constant(values: Values) -> Values:
    return np.hstack([values, np.ones((len(values), 1))])


class Moments:
    """The rows of a file, as arrays."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows
        self.is_end = np.array([row["kind"] == "end" for row in rows])
        self.is_hard = np.array([row["hard"] == 1 for row in rows])

    def signal(self, name: str) -> Values:
        return np.array([SIGNALS[name](row) for row in self.rows])

    def signals(self, names: Sequence[str]) -> Values:
        return np.stack([self.signal(name) for name in names], axis=1)

    def describe(self, scores: Values) -> str:
        """Return the AUC over all pauses, the easy and the hard ones."""
        chosen = (np.ones_like(self.is_end), ~self.is_hard, self.is_end | self.is_hard)
        return "".join(f"{auc(scores[some], self.is_end[some]):8.3f}" for some in chosen)


def print_signals(tuning: Moments, held_out: Moments) -> None:
    columns = f"{'all':>8}{'easy':>8}{'hard':>8}"
    print(f"\n{'AUC: tuning, then held out':36}{columns}   {columns}")
    for name in SIGNALS:
        parts = [moments.describe(moments.signal(name)) for moments in (tuning, held_out)]
        print(f"{name:36}{'   '.join(parts)}")
    for name, names in TOGETHER.items():
        weights = fit(tuning.signals(names), tuning.is_end)
        parts = [m.describe(score(m.signals(names), weights)) for m in (tuning, held_out)]
        print(f"{name:36}{'   '.join(parts)}   weights {np.round(weights, 2)}")


def print_presets(moments: Moments) -> None:
    """Print what the product does with its presets."""
    pauses = "".join(f"{pause:>8} ms" for pause in PAUSES_MS)
    print(f"\n{'answered half-way, held out':28}{pauses}  700 ms, hard   hold of ends: p50, p95")
    for name, holds in HOLDS.items():
        verdict = evaluate(lambda row, holds=holds: 1000 * _hold_secs(row, holds), moments.rows)
        shares = "".join(f"{verdict.half_way[pause]:11.1%}" for pause in PAUSES_MS)
        print(
            f"{name:28}{shares}{verdict.half_way_hard[700]:14.1%}"
            f"{verdict.hold_p50_ms:11.0f}{verdict.hold_p95_ms:6.0f} ms"
        )


def _hold_secs(row: Row, holds: Holds) -> float:
    over = over_probability(
        str(row["whisper_text"]),
        trails=float(row["trails"]),
        words=float(row["words"]),
        sound=float(row["smart_turn_100ms"]),
    )
    return hold_secs(holds, over)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tuning", type=Path)
    parser.add_argument("held_out", type=Path)
    args = parser.parse_args()
    tuning, held_out = Moments(read_rows(args.tuning)), Moments(read_rows(args.held_out))
    print(f"{len(tuning.rows)} moments to tune on, {len(held_out.rows)} held out")
    print_signals(tuning, held_out)
    print_presets(held_out)


if __name__ == "__main__":
    main()
