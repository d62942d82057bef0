"""How long the bot goes on speaking when the caller speaks over it.

    .venv/bin/python tests/bench/barge_in.py [--times 50] [--out FILE.json]

From the first voiced sample that the caller sends to the last one of the interrupted answer that
it receives. The bot answers only when the caller has ended, so whatever is heard while the caller
speaks is still the old answer.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from runner.clients.client import FRAME_SAMPLES  # noqa: E402
from runner.peer import Peer, connect  # noqa: E402
from tests.bench.calling import REPLY_SECS, SPEECH_SECS, Ear, Utterance, say, utter  # noqa: E402
from tests.bench.stats import percentile  # noqa: E402
from tests.service import run_service  # noqa: E402
from tests.speech import open_speaker  # noqa: E402

QUESTION = "What are your opening hours?"
"""The answer takes more than ten seconds."""

OBJECTION = "I only want to know whether you are open on Sunday morning."
"""Without a pause, in which the bot might answer."""

PAUSE_SECS = 0.2
"""Between sentences the bot is silent for so long: who then speaks interrupts nothing."""


@dataclass(frozen=True)
class BargeIn:
    """What became of an attempt.

    Attributes:
        outcome: "silent", "not silent" when the bot spoke on until the caller had ended, "pause"
            when it said nothing at that moment anyway, "unanswered" when there was no answer that
            could be interrupted.
        took_ms: Until it was silent.
    """

    outcome: str
    took_ms: float | None = None

    @property
    def met_speech(self) -> bool:
        return self.outcome in ("silent", "not silent")


async def barge_in(
    peer: Peer, ear: Ear, question: Utterance, objection: Utterance, *, after_secs: float
) -> BargeIn:
    """Ask, let the bot speak for some time, interrupt it, and hear the second answer out."""
    await say(peer, question)
    try:
        await ear.voice(timeout=REPLY_SECS)
    except TimeoutError:
        return BargeIn("unanswered")
    await asyncio.sleep(after_secs)
    after, spoken_before = len(peer.messages), len(ear.voiced_at)
    is_speaking = time.monotonic() - ear.voiced_at[-1] < PAUSE_SECS
    await peer.microphone.say(objection.pcm[:FRAME_SAMPLES])
    began = time.monotonic()
    ended = await say(peer, replace(objection, pcm=objection.pcm[FRAME_SAMPLES:]))
    spoken = ear.voiced_at[spoken_before:]
    await peer.hear_out(timeout=SPEECH_SECS, after=after)
    if not is_speaking or not spoken:
        return BargeIn("pause")
    if ended - spoken[-1] < PAUSE_SECS:
        return BargeIn("not silent")
    return BargeIn("silent", (spoken[-1] - began) * 1000)


async def measure(url: str, times: int) -> list[BargeIn]:
    """Speak over the bot so many times, in one call, at moments that differ.

    What meets no speech is tried again, at most as often as was asked for.
    """
    with open_speaker() as speaker:
        question, objection = [await utter(speaker, text) for text in (QUESTION, OBJECTION)]
    moments = random.Random(1)
    attempts: list[BargeIn] = []
    async with connect(url) as peer:
        ear = Ear(peer)
        await peer.hear_out(timeout=SPEECH_SECS)
        for _ in range(2 * times):
            if sum(attempt.met_speech for attempt in attempts) == times:
                break
            after_secs = moments.uniform(1, 3)
            attempts.append(await barge_in(peer, ear, question, objection, after_secs=after_secs))
            print(attempts[-1], file=sys.stderr, flush=True)
    return attempts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=50, help="how often it is spoken over")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write everything here, as JSON")
    args = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        run_service(Path(folder), "--profile", "offline") as service,
    ):
        attempts = asyncio.run(measure(service.url, args.times))
    took_ms = [attempt.took_ms for attempt in attempts if attempt.took_ms is not None]
    outcomes = [attempt.outcome for attempt in attempts]
    result = {
        "n": len(took_ms),
        **{f"p{percent}_ms": percentile(took_ms, percent) for percent in (50, 95)},
        **{name: outcomes.count(name) for name in ("not silent", "pause", "unanswered")},
    }
    print(
        "silent after p50 {p50_ms:.0f} ms, p95 {p95_ms:.0f} ms (n = {n}); not silent {not silent}, "
        "in a pause {pause}, unanswered {unanswered}".format_map(result)
    )
    if args.out:
        args.out.write_text(json.dumps({**result, "took_ms": took_ms}, indent=1))


if __name__ == "__main__":
    main()
