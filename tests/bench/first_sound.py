"""How soon the offline voice is heard: a clause made whole against one made in pieces.

.venv/bin/python tests/bench/first_sound.py [--rounds N]
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from bots.local_models import cpu_threads  # noqa: E402
from bots.models import ModelStore, default_models_dir, load_manifest  # noqa: E402
from engines.piper import EVEN, PiperEngine  # noqa: E402

RATE_HZ = 24_000
"""What a call asks for."""

CLAUSES = [
    "Sure,",
    "Of course,",
    "I'm sorry,",
    "We are open from Monday to Friday,",
    "There is free parking behind the building,",
    "If you are a new patient,",
    "The appointment costs forty five dollars,",
    "Hello, this is the reception of the practice,",
    "You can pay by card or in cash,",
    "The doctor will see you on Tuesday at half past ten,",
]


async def measure(engine: PiperEngine, text: str) -> tuple[float, float, float]:
    """Return the seconds to the first piece and to the last one, and those of sound."""
    began = time.perf_counter()
    first, size = 0.0, 0
    async for piece in engine.speak(text, rate_hz=RATE_HZ, trim=True):
        first = first or time.perf_counter() - began
        size += len(piece)
    return first, time.perf_counter() - began, size / 2 / RATE_HZ


def largest_difference(engine: PiperEngine) -> float:
    """Return how far a rendering in pieces of 20 frames is from one in a single pass."""
    vocoder, voice = engine._vocoder, engine._voice
    assert vocoder
    differences = []
    for clause in CLAUSES:
        (phonemes,) = voice.phonemize(clause)
        latents = np.asarray(voice.phoneme_ids_to_audio(voice.phonemes_to_ids(phonemes), EVEN))
        frames = latents.shape[1]
        pieces = [vocoder.render(latents, at, min(at + 20, frames)) for at in range(0, frames, 20)]
        differences.append(np.abs(np.concatenate(pieces) - vocoder.render(latents)).max())
    return float(max(differences))


async def compare(whole: PiperEngine, streamed: PiperEngine, rounds: int) -> None:
    print("first sound, ms         whole  in pieces")
    totals: dict[str, list[float]] = {"whole": [], "pieces": []}
    factors: dict[str, list[float]] = {"whole": [], "pieces": []}
    for clause in CLAUSES:
        took: dict[str, list[float]] = {"whole": [], "pieces": []}
        for number in range(rounds):
            pair = [("whole", whole), ("pieces", streamed)]
            for name, engine in pair if number % 2 else reversed(pair):
                first, last, sound = await measure(engine, clause)
                took[name].append(first * 1000)
                factors[name].append(last / sound)
        medians = {name: statistics.median(values) for name, values in took.items()}
        print(f"{clause[:22]:22} {medians['whole']:6.0f} {medians['pieces']:6.0f}")
        for name, median in medians.items():
            totals[name].append(median)
    print(f"{'median':22}", *(f"{statistics.median(v):6.0f}" for v in totals.values()))
    print(f"{'real-time factor':22}", *(f"{statistics.median(v):6.3f}" for v in factors.values()))
    print(f"largest difference to a single pass: {largest_difference(streamed):.1e}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    store = ModelStore(default_models_dir(), load_manifest())
    voice = store.file("piper-joe")
    with tempfile.TemporaryDirectory() as folder:
        # An empty second part of the graph keeps it from being cut, and changes nothing else.
        uncut = Path(folder) / "voice.onnx"
        uncut.write_bytes(voice.read_bytes() + b"\x3a\x00")
        Path(f"{uncut}.json").write_bytes(Path(f"{voice}.json").read_bytes())
        kept, threads = Path(folder) / "kept", cpu_threads()
        whole = PiperEngine(uncut, kept=kept, threads=threads)
        streamed = PiperEngine(voice, kept=kept, threads=threads)
        try:
            asyncio.run(compare(whole, streamed, rounds))
        finally:
            whole.close()
            streamed.close()


if __name__ == "__main__":
    main()
