"""How right the speed is: words misheard, and turns that end too early or too late.

    python tests/bench/accuracy.py

prints the word error rate of our use of Whisper and of Pipecat's own, on the same audio. The
turns are judged by `evaluate`, which takes any policy and the moments that turn_features.py writes.
"""

import csv
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from faster_whisper import WhisperModel  # noqa: E402

from bots.models import ModelStore, default_models_dir, load_manifest  # noqa: E402
from engines.whisper import WhisperEngine, pcm_to_samples  # noqa: E402
from tests.bench import sounds  # noqa: E402
from tests.bench.speech_corpus import (  # noqa: E402
    VOICES,
    Pcm,
    Studio,
    load_words,
    room_tone,
)
from tests.speech import words, words_wrong  # noqa: E402

PAUSES_MS = (400, 700, 1000)

RESAMPLES = 4_000

Errors = npt.NDArray[np.int64]
"""Words misheard by us and by the vanilla one, and in which sentence."""

Row = Mapping[str, float | str]
"""A line of turn_features.py: what is known at a moment, and what it was."""


@dataclass(frozen=True)
class Verdict:
    """How a policy did.

    Attributes:
        half_way: For a length of pause in ms, the share of pauses that were answered into.
        half_way_hard: The same of the hard places only.
        hold_p50_ms: From the last word of a turn to its end being decided, half of the turns.
        hold_p95_ms: The same, 19 of 20 turns.
    """

    half_way: dict[int, float]
    half_way_hard: dict[int, float]
    hold_p50_ms: float
    hold_p95_ms: float


def evaluate(hold_ms: Callable[[Row], float], rows: Sequence[Row]) -> Verdict:
    """Judge a policy.

    Args:
        hold_ms: How long it would wait after the last voiced sample, given what is known at the
            beginning of the silence; a pause that is not shorter is answered into.
        rows: Moments, of both kinds.
    """
    ends = [hold_ms(row) for row in rows if row["kind"] == "end"]
    cuts = [(hold_ms(row), row["hard"]) for row in rows if row["kind"] == "cut"]
    everywhere = np.array([hold for hold, _ in cuts])
    hard = np.array([hold for hold, is_hard in cuts if is_hard])
    return Verdict(
        {pause: float(np.mean(everywhere <= pause)) for pause in PAUSES_MS},
        {pause: float(np.mean(hard <= pause)) for pause in PAUSES_MS},
        float(np.percentile(ends, 50)),
        float(np.percentile(ends, 95)),
    )


def read_rows(path: Path) -> list[Row]:
    """Read what turn_features.py wrote."""
    with path.open(newline="") as file:
        return [
            {key: _value(key, text) for key, text in row.items()} for row in csv.DictReader(file)
        ]


def _value(key: str, text: str) -> float | str:
    is_number = key in ("speed", "hard", "secs", "trails", "words") or key.startswith("smart_turn")
    return float(text) if is_number else text


# fmt: off
_ONES = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
]
# fmt: on
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_ORDINALS = {"1st": "first", "2nd": "second", "3rd": "third", "4th": "fourth", "5th": "fifth"}


def spelled(text: str) -> str:
    """Write numbers as they are said: $4 as "four dollars", 9:30 as "nine thirty", 2 as "two"."""
    text = re.sub(r"\$(\d+)", r"\1 dollars", text)
    text = re.sub(r"\b(\d{1,2})[:.](\d\d)\b", r"\1 \2", text)
    text = re.sub("|".join(_ORDINALS), lambda m: _ORDINALS[m[0]], text)
    return re.sub(r"\b\d{1,2}\b", lambda m: _spell(int(m[0])), text)


def _spell(number: int) -> str:
    if number < len(_ONES):
        return _ONES[number]
    tens, ones = divmod(number, 10)
    return f"{_TENS[tens - 2]} {_ONES[ones]}" if ones else _TENS[tens - 2]


class Ours:
    def __init__(self, model: Path) -> None:
        self._engine = WhisperEngine(model, threads=2)

    def transcribe(self, pcm: Pcm) -> str:
        return self._engine._transcribe(pcm_to_samples(pcm.tobytes()), "en").text


class Vanilla:
    """Whisper as `WhisperSTTService` of Pipecat 1.14 runs it by default."""

    def __init__(self, model: Path) -> None:
        self._model = WhisperModel(str(model), device="auto", compute_type="default")

    def transcribe(self, pcm: Pcm) -> str:
        segments, _ = self._model.transcribe(
            pcm_to_samples(pcm.tobytes()), language="en", hotwords=None, initial_prompt=None
        )
        return " ".join(s.text for s in segments if s.no_speech_prob < 0.4)


def conditions(studio: Studio, sentences: Sequence[str]) -> dict[str, list[Pcm]]:
    """Return the sentences, each by one of the voices in turn, as lines and rooms change them."""
    clean = [studio.say(sentence, VOICES[i % len(VOICES)]) for i, sentence in enumerate(sentences)]
    longest = max(len(pcm) for pcm in clean)
    pink = sounds.pink(longest)
    babble = sounds.babble(studio, list(sentences[:12]), VOICES[:4], longest)
    made = {"clean": clean, "Opus": [sounds.through_opus(pcm) for pcm in clean]}
    for name, noise in (("pink", pink), ("babble", babble)):
        for snr_db in (20, 10):
            made[f"{name} {snr_db} dB"] = [sounds.with_noise(p, noise, snr_db) for p in clean]
    return made


def bootstrap(
    differences: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]
) -> tuple[float, float]:
    """Return the 95 % interval of the difference of two word error rates, over the sentences."""
    picks = np.random.default_rng(1).integers(len(lengths), size=(RESAMPLES, len(lengths)))
    rates = differences[picks].sum(axis=1) / lengths[picks].sum(axis=1)
    low, high = np.percentile(rates, [2.5, 97.5])
    return float(low), float(high)


def line(name: str, wrong: Errors, lengths: npt.NDArray[np.int64]) -> str:
    """Return what came of a condition, for the reader."""
    rates = wrong.sum(axis=1) / lengths.sum()
    low, high = bootstrap(wrong[0] - wrong[1], lengths)
    return (
        f"{name:14}{rates[0]:8.1%}{rates[1]:9.1%}"
        f"  {rates[0] - rates[1]:+.1%} ({low:+.1%} to {high:+.1%})"
    )


def main() -> None:
    sentences = load_words()
    model = ModelStore(default_models_dir(), load_manifest()).path("whisper-tiny.en")
    ours, vanilla = Ours(model), Vanilla(model)
    lengths = np.array([len(words(spelled(sentence))) for sentence in sentences])
    everywhere: list[Errors] = []
    print(f"Word error rate, {len(sentences)} sentences, {len(VOICES)} voices")
    print(f"{'':14}{'ours':>8}{'vanilla':>9}  difference (95 %)")
    for name, takes in conditions(Studio(), sentences).items():
        wrong: Errors = np.zeros((2, len(sentences)), np.int64)
        for i, (sentence, pcm) in enumerate(zip(sentences, takes, strict=True)):
            heard = np.concatenate([room_tone(0.3), pcm, room_tone(0.3)])
            for j, engine in enumerate((ours, vanilla)):
                wrong[j, i] = words_wrong(spelled(sentence), spelled(engine.transcribe(heard)))
        print(line(name, wrong, lengths), flush=True)
        everywhere.append(wrong)
    print(line("all", np.sum(everywhere, axis=0), len(everywhere) * lengths))


if __name__ == "__main__":
    main()
