"""What can be known when a caller falls silent: at ends of turns, and at pauses within them.

    python tests/bench/turn_features.py tuning OUT.csv

writes one line for each such moment of the corpus, with the signals that could tell one from the
other. Policies are tuned on these lines and measured on those of `held_out`.
"""

import argparse
import csv
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from bots.models import ModelStore, default_models_dir, load_manifest  # noqa: E402
from engines.llama import LlamaServer  # noqa: E402
from engines.whisper import Samples, WhisperEngine, pcm_to_samples  # noqa: E402
from processors.shared_vad import SpeechModels  # noqa: E402
from tests.bench.speech_corpus import (  # noqa: E402
    LEAD_SECS,
    SAMPLE_RATE_HZ,
    TURN_VOICES,
    Pcm,
    Studio,
    Utterance,
    Voice,
    load,
    room_tone,
    with_pause,
)

SYSTEM = "You are a friendly receptionist on the phone."

MODELS = {"qwen": "qwen2.5-coder-0.5b", "smol": "smollm2-135m"}

VOICES_EACH = 2
"""How many voices say each utterance."""

WAYS = {"qwen": ("bare", "bot", "kept"), "smol": ("bot", "kept")}
"""How each model is asked: with the bare words; after what the bot said; and with the punctuation
of the transcript too."""

PROBABILITIES = 60
"""How many of the next token's probabilities are looked at: the rest are next to nothing."""


@dataclass(frozen=True)
class Moment:
    """A caller falls silent: at the end of the turn, or within it.

    Attributes:
        pcm: What is heard, and a second of silence.
        silent_at: The sample after the last voiced one.
        text_said: What was said.
        is_end: Whether that was all.
        hard: Whether it could have been all.
        bot: What the bot said before.
    """

    voice: Voice
    pcm: Pcm
    silent_at: int
    text_said: str
    is_end: bool
    hard: bool
    bot: str

    def heard(self, silence_secs: float) -> Samples:
        """Return what is heard until it has been silent for so long."""
        until = self.silent_at + round(silence_secs * SAMPLE_RATE_HZ)
        return pcm_to_samples(self.pcm[:until].tobytes())


def moments(studio: Studio, utterances: Sequence[Utterance]) -> Iterator[Moment]:
    """Have each utterance said by some of the voices, all of them in turn."""
    for i, utterance in enumerate(utterances):
        for j in range(VOICES_EACH):
            voice = TURN_VOICES[(i * VOICES_EACH + j) % len(TURN_VOICES)]
            take = studio.take(utterance, voice)
            for place, cut in zip(utterance.places, take.cuts, strict=True):
                if cut is not None:
                    pcm, begins, _ = with_pause(take, cut, 1000)
                    yield Moment(voice, pcm, begins, place.before, False, place.hard, utterance.bot)
            pcm = np.concatenate([take.pcm, room_tone(1)])
            yield Moment(voice, pcm, take.end, utterance.text, True, False, utterance.bot)


class NextToken:
    """A language model's opinion on what comes after a user's words."""

    def __init__(self, path: Path) -> None:
        self._server = LlamaServer(path, kept=default_models_dir() / "kept", threads=1)
        self._client = httpx.Client(
            base_url=self._server.base_url.removesuffix("/v1"),
            headers={"Authorization": f"Bearer {self._server.key}"},
            timeout=600,
        )
        self.probabilities = cache(self._probabilities)

    def _probabilities(self, text: str, bot: str, slot: int) -> dict[str, float]:
        """Return the probability that the message ends here, that the sentence does, and that a
        comma follows."""
        before = f"<|im_start|>assistant\n{bot}<|im_end|>\n" if bot else ""
        prompt = f"<|im_start|>system\n{SYSTEM}<|im_end|>\n{before}<|im_start|>user\n{text}"
        reply: Any = self._client.post(
            "/completion",
            json={
                "prompt": prompt,
                "n_predict": 1,
                "n_probs": PROBABILITIES,
                "temperature": 0,
                "id_slot": slot,
            },
        )
        reply.raise_for_status()
        found = {"over": 0.0, "stop": 0.0, "comma": 0.0}
        for token in reply.json()["completion_probabilities"][0]["top_logprobs"]:
            name = _kind(token["token"])
            if name:
                found[name] += float(np.exp(token["logprob"]))
        return found


def _kind(token: str) -> str | None:
    # llama.cpp gives no text for the token that ends a message.
    if token in ("", "<|im_end|>") or token.startswith("\n"):
        return "over"
    if re.match(r"\s?[.?!]+(?<!\.\.)(\n|$)", token):
        return "stop"
    return "comma" if re.match(r"\s?(,|\.\.|…)", token) else None


class Signals:
    """Computes what a predictor could go by."""

    def __init__(self) -> None:
        store = ModelStore(default_models_dir(), load_manifest())
        self._whisper = WhisperEngine(store.path("whisper-tiny.en"), threads=1)
        self._smart_turn = SpeechModels().smart_turn()
        self._models = {name: NextToken(store.file(model)) for name, model in MODELS.items()}

    def row(self, corpus: str, moment: Moment) -> dict[str, Any]:
        text = self._whisper._transcribe(moment.heard(0.2), "en")
        bare = text.rstrip(" .?!,…-")
        row: dict[str, Any] = {
            "set": corpus,
            "voice": moment.voice.name,
            "speed": moment.voice.speed,
            "kind": "end" if moment.is_end else "cut",
            "hard": int(moment.hard),
            "secs": round(moment.silent_at / SAMPLE_RATE_HZ - LEAD_SECS, 2),
            "bot": moment.bot,
            "text_said": moment.text_said,
            "whisper_text": text,
            "punctuation": text[len(bare) :].strip(),
            "smart_turn_100ms": self._turn(moment.heard(0.1)),
            "smart_turn_200ms": self._turn(moment.heard(0.2)),
            "smart_turn_400ms": self._turn(moment.heard(0.4)),
        }
        asked = {
            "bare": (bare, ""),
            "bot": (bare, moment.bot),
            "kept": (text, moment.bot),
        }
        for name, model in self._models.items():
            for slot, way in enumerate(WAYS[name]):
                for what, p in model.probabilities(*asked[way], slot).items():
                    row[f"p_{what}_{name}_{way}"] = round(p, 5)
        return row

    def _turn(self, samples: Samples) -> float:
        return round(float(self._smart_turn._predict_endpoint(samples)["probability"]), 4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", choices=["tuning", "held_out"])
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    signals = Signals()
    with args.out.open("w", newline="") as file:
        writer = None
        for moment in moments(Studio(), load(args.corpus)):
            row = signals.row(args.corpus, moment)
            writer = writer or csv.DictWriter(file, list(row))
            if file.tell() == 0:
                writer.writeheader()
            writer.writerow(row)
            file.flush()


if __name__ == "__main__":
    main()
