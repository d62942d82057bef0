"""What tests say and how they judge what they hear."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import soxr

from bots.models import ModelStore, default_models_dir, load_manifest
from engines.piper import PiperEngine
from runner.peer import SAMPLE_RATE_HZ, Pcm

LOUD_RMS = 300
"""A voice in 16-bit samples is well above, a silent line well below."""

ALIKE = {"dr": "doctor", "ok": "okay", "saint": "st"}


class Speaker:
    """Says sentences with the offline voice, as 16-bit mono audio at 48 kHz."""

    def __init__(self, engine: PiperEngine) -> None:
        self._engine = engine

    async def say(self, text: str) -> Pcm:
        pcm = b"".join([piece async for piece in self._engine.speak(text)])
        samples = np.frombuffer(pcm, np.int16)
        voice: Pcm = soxr.resample(samples, self._engine.sample_rate_hz, SAMPLE_RATE_HZ)
        return voice


@contextmanager
def open_speaker() -> Iterator[Speaker]:
    store = ModelStore(default_models_dir(), load_manifest())
    engine = PiperEngine(store.file("piper-joe"), threads=1)
    engine.warm_up()
    try:
        yield Speaker(engine)
    finally:
        engine.close()


def silence(secs: float) -> Pcm:
    return np.zeros(int(secs * SAMPLE_RATE_HZ), np.int16)


def rms(pcm: Pcm) -> float:
    return float(np.sqrt(np.mean(np.square(pcm.astype(np.float64))))) if pcm.size else 0.0


def voiced_secs(pcm: Pcm) -> float:
    """Return for how long, in pieces of 20 ms, there is a voice."""
    size = SAMPLE_RATE_HZ // 50
    pieces = pcm[: len(pcm) // size * size].reshape(-1, size).astype(np.float64)
    return float(np.sum(np.sqrt(np.mean(np.square(pieces), axis=1)) > LOUD_RMS)) / 50


def words(text: str) -> list[str]:
    found = re.findall(r"[a-z0-9']+", text.lower().replace("-", " "))
    return [ALIKE.get(word, word) for word in found]


def words_wrong(said: str, heard: str) -> int:
    """Return how many words must be changed, added or left out to make one of the other."""
    a, b = words(said), words(heard)
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        previous, row[0] = row[:], i
        for j, y in enumerate(b, 1):
            row[j] = min(previous[j] + 1, row[j - 1] + 1, previous[j - 1] + (x != y))
    return row[-1]
