"""What can be known when a caller falls silent: at ends of turns, and at pauses within them.

    python tests/bench/turn_features.py tuning OUT.csv

writes one line for each such moment of the corpus, with the signals that could tell one from the
other. Policies are tuned on these lines and measured on those of `held_out`.
"""

import argparse
import asyncio
import csv
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from openai import AsyncOpenAI

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from bots.models import ModelStore, default_models_dir, load_manifest  # noqa: E402
from engines.llama import LlamaServer  # noqa: E402
from engines.whisper import Samples, WhisperEngine, pcm_to_samples  # noqa: E402
from processors.shared_vad import SpeechModels  # noqa: E402
from processors.speech_pause import PAUSE_SECS  # noqa: E402
from processors.words_judge import LlamaWords  # noqa: E402
from tests.bench.speech_corpus import (  # noqa: E402
    CORPORA,
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

LLM = "qwen2.5-coder-0.5b"
"""Which language model judges the words: that of the offline profile."""

VOICES_EACH = 2
"""How many voices say each utterance."""


@dataclass(frozen=True)
class Moment:
    """A caller falls silent: at the end of the turn, or within it.

    Attributes:
        pcm: What is heard, and a second of silence.
        silent_at: The sample after the last voiced one.
        text_said: What was said.
        is_end: Whether that was all.
        hard: Whether it could have been all.
    """

    voice: Voice
    pcm: Pcm
    silent_at: int
    text_said: str
    is_end: bool
    hard: bool

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
                    yield Moment(voice, pcm, begins, place.before, False, place.hard)
            pcm = np.concatenate([take.pcm, room_tone(1)])
            yield Moment(voice, pcm, take.end, utterance.text, True, False)


class Signals:
    """Computes what a predictor could go by."""

    def __init__(self) -> None:
        store, models_dir = ModelStore(default_models_dir(), load_manifest()), default_models_dir()
        self._whisper = WhisperEngine(store.path("whisper-tiny.en"), threads=1)
        self._smart_turn = SpeechModels().smart_turn()
        self._llama = LlamaServer(store.file(LLM), kept=models_dir / "kept", threads=2)
        client = AsyncOpenAI(base_url=self._llama.base_url, api_key=self._llama.key)
        self._words = LlamaWords(client, slot=self._llama.words_slot)

    async def row(self, corpus: str, moment: Moment) -> dict[str, Any]:
        reading = self._whisper._transcribe(moment.heard(PAUSE_SECS), "en")
        return {
            "set": corpus,
            "voice": moment.voice.name,
            "speed": moment.voice.speed,
            "kind": "end" if moment.is_end else "cut",
            "hard": int(moment.hard),
            "secs": round(moment.silent_at / SAMPLE_RATE_HZ - LEAD_SECS, 2),
            "text_said": moment.text_said,
            "whisper_text": reading.text,
            # Where there are no words, nothing has ended.
            "trails": round(1.0 if reading.trails is None else reading.trails, 6),
            "words": round(await self._words.ask(reading.text) or 0.0, 6),
            "smart_turn_100ms": self._turn(moment.heard(0.1)),
            "smart_turn_200ms": self._turn(moment.heard(0.2)),
            "smart_turn_400ms": self._turn(moment.heard(0.4)),
        }

    def _turn(self, samples: Samples) -> float:
        return round(float(self._smart_turn._predict_endpoint(samples)["probability"]), 4)


async def write(corpus: str, out: Path) -> None:
    """Write a line for each moment of a corpus."""
    signals = Signals()
    with out.open("w", newline="") as file:
        writer = None
        for moment in moments(Studio(), load(corpus)):
            row = await signals.row(corpus, moment)
            writer = writer or csv.DictWriter(file, list(row))
            if file.tell() == 0:
                writer.writeheader()
            writer.writerow(row)
            file.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", choices=CORPORA)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    asyncio.run(write(args.corpus, args.out))


if __name__ == "__main__":
    main()
