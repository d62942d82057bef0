"""Which signals tell the end of a turn from a pause, alone and together.

    python tests/bench/turn_signals.py TUNING.csv HELD_OUT.csv

reads what turn_features.py wrote, fits on the first and prints what comes of it on the second.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.bench.accuracy import Row, evaluate, read_rows  # noqa: E402

Values = npt.NDArray[np.float64]

SIGNALS: dict[str, Callable[[Row], float]] = {
    "Smart Turn after 100 ms": lambda row: _log_odds(row["smart_turn_100ms"]),
    "Smart Turn after 200 ms": lambda row: _log_odds(row["smart_turn_200ms"]),
    "Smart Turn after 400 ms": lambda row: _log_odds(row["smart_turn_400ms"]),
    "0.5B: sentence ends": lambda row: _ends(row, "qwen_bot"),
    "0.5B, not told the bot's words": lambda row: _ends(row, "qwen_bare"),
    "0.5B: comma follows": lambda row: _log_odds(row["p_comma_qwen_bot"]),
    "0.5B: over after punctuation": lambda row: _log_odds(row["p_over_qwen_kept"]),
    "135M: sentence ends": lambda row: _ends(row, "smol_bot"),
    "135M: over after punctuation": lambda row: _log_odds(row["p_over_smol_kept"]),
    "Whisper wrote . ? or !": lambda row: float(row["punctuation"] in (".", "?", "!")),
}

TOGETHER = {
    "0.5B + comma": ("0.5B: sentence ends", "0.5B: comma follows"),
    "0.5B + Smart Turn": ("0.5B: sentence ends", "Smart Turn after 200 ms"),
    "0.5B + comma + Smart Turn": (
        "0.5B: sentence ends",
        "0.5B: comma follows",
        "Smart Turn after 200 ms",
    ),
    "135M + Smart Turn": ("135M: sentence ends", "Smart Turn after 200 ms"),
    "0.5B + 135M + Smart Turn + Whisper": (
        "0.5B: sentence ends",
        "0.5B: comma follows",
        "135M: sentence ends",
        "Smart Turn after 200 ms",
        "Whisper wrote . ? or !",
    ),
}

SURE_MS, UNSURE_MS = 250, 800
"""Holds of the policy in the last tables: the first is about what the signals take to compute."""


def _log_odds(p: float | str) -> float:
    bounded = min(max(float(p), 1e-4), 1 - 1e-4)
    return float(np.log(bounded / (1 - bounded)))


def _ends(row: Row, asked: str) -> float:
    return _log_odds(float(row[f"p_over_{asked}"]) + float(row[f"p_stop_{asked}"]))


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


def print_policies(tuning: Moments, held_out: Moments, name: str) -> None:
    """Print what two holds reach: a short one above a score, a long one below it."""
    names = TOGETHER[name]
    weights = fit(tuning.signals(names), tuning.is_end)
    before, after = (score(m.signals(names), weights) for m in (tuning, held_out))
    print(f"\n{name}: {SURE_MS} ms if sure, else {UNSURE_MS} ms, on held out")
    print("allowed on   700 ms half-way   ends    hold of ends")
    print("tuning          all     hard   sure  p50, p95 in ms")
    for allowed in (0.0, 0.01, 0.03, 0.05, 0.1, 0.2):
        sure = float(np.quantile(before[~tuning.is_end], 1 - allowed))
        holds = np.where(after > sure, SURE_MS, UNSURE_MS)
        by_row = {id(row): float(hold) for row, hold in zip(held_out.rows, holds, strict=True)}
        verdict = evaluate(lambda row, by_row=by_row: by_row[id(row)], held_out.rows)
        ends_sure = float(np.mean(after[held_out.is_end] > sure))
        print(
            f"{allowed:7.0%}{verdict.half_way[700]:12.1%}{verdict.half_way_hard[700]:9.1%}"
            f"{ends_sure:7.0%}{verdict.hold_p50_ms:8.0f}{verdict.hold_p95_ms:6.0f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tuning", type=Path)
    parser.add_argument("held_out", type=Path)
    args = parser.parse_args()
    tuning, held_out = Moments(read_rows(args.tuning)), Moments(read_rows(args.held_out))
    print(f"{len(tuning.rows)} moments to tune on, {len(held_out.rows)} held out")
    print_signals(tuning, held_out)
    for name in TOGETHER:
        print_policies(tuning, held_out, name)


if __name__ == "__main__":
    main()
