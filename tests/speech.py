"""What tests say and how they judge what they hear."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import soxr
from piper import PiperVoice, SynthesisConfig

from bots.models import ModelStore, default_models_dir, load_manifest
from engines.whisper import SAMPLE_RATE_HZ as WHISPER_RATE_HZ
from engines.whisper import WhisperEngine, pcm_to_samples
from runner.clients.client import SAMPLE_RATE_HZ, Pcm

LOUD_RMS = 300
"""A voice in 16-bit samples is well above, a silent line well below."""

GREETING_VOICED_SECS = 1.5
"""The receptionist's greeting lasts 3.5 s, of which 2.0 to 2.2 s are loud: chance has a part."""

COUNT = "one two three four five six seven eight nine ten eleven twelve"
ALIKE = {
    "dr": "doctor",
    "ok": "okay",
    "saint": "st",
    **{str(number): word for number, word in enumerate(COUNT.split(), 1)},
}

EVEN = SynthesisConfig(noise_scale=0.0, noise_w_scale=0.0)
"""Nothing left to chance: by default, one of some ten sentences has a word that is mumbled."""


class Speaker:
    """Says sentences with the offline voice, as 16-bit mono audio at 48 kHz."""

    def __init__(self, voice: PiperVoice) -> None:
        self._voice = voice

    async def say(self, text: str) -> Pcm:
        chunks = await asyncio.to_thread(lambda: list(self._voice.synthesize(text, EVEN)))
        samples = np.frombuffer(b"".join(c.audio_int16_bytes for c in chunks), np.int16)
        said: Pcm = soxr.resample(samples, self._voice.config.sample_rate, SAMPLE_RATE_HZ)
        return said


@contextmanager
def open_speaker() -> Iterator[Speaker]:
    store = ModelStore(default_models_dir(), load_manifest())
    yield Speaker(PiperVoice.load(store.file("piper-joe")))


class Listener:
    """Writes down what is said, with the offline model."""

    def __init__(self, engine: WhisperEngine) -> None:
        self._engine = engine

    async def hear(self, pcm: Pcm) -> str:
        """Return the words in at most 28 s of 16-bit mono audio at 48 kHz, in small letters."""
        samples = soxr.resample(pcm, SAMPLE_RATE_HZ, WHISPER_RATE_HZ)
        reading = await self._engine.transcribe(pcm_to_samples(samples.tobytes()), "en")
        return reading.text.lower()


@contextmanager
def open_listener() -> Iterator[Listener]:
    store = ModelStore(default_models_dir(), load_manifest())
    engine = WhisperEngine(store.path("whisper-tiny.en"), threads=1)
    engine.warm_up()
    try:
        yield Listener(engine)
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
