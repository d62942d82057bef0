"""How often the running service answers callers who only pause in the middle of a sentence.

    .venv/bin/python tests/bench/half_way.py [--pause 700] [--preset balanced] [--count 80]

The sentences are those of corpus/fresh.toml, on which nothing is tuned, by synthetic voices in
turn, over WebRTC, each with one pause at a place where people hesitate. One is answered half-way if
its turn has ended, or the bot is heard, before the caller has. The bot answers with a few words and
has no facts: only when it answers is of interest.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import islice, product
from pathlib import Path
from typing import get_args

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from processors.eager_turn import Preset  # noqa: E402
from runner.clients.client import FRAME_SAMPLES, Pcm  # noqa: E402
from runner.peer import Peer, connect  # noqa: E402
from tests.bench.calling import REPLY_SECS, SPEECH_SECS, Ear  # noqa: E402
from tests.bench.speech_corpus import (  # noqa: E402
    CORPORA,
    TURN_VOICES,
    Studio,
    load,
    to_48_khz,
    with_pause,
)
from tests.bench.stats import percentile  # noqa: E402
from tests.service import run_service  # noqa: E402

BLOCK = 50
"""Sentences in one call."""

REST_SECS = 1.5
"""Silence between the bot's last words and the next sentence."""


@dataclass(frozen=True)
class Hesitation:
    """A sentence with a pause, at 48 kHz.

    Attributes:
        before: What is said up to the pause.
        hard: Whether that could be all.
        first: It, and all of the pause.
        rest: What is said then, to its last voiced sample.
        tail: How that dies away.
    """

    before: str
    hard: bool
    first: Pcm
    rest: Pcm
    tail: Pcm


@dataclass(frozen=True)
class Outcome:
    """What became of a sentence.

    Attributes:
        before: What was said before the pause.
        hard: Whether that could be all.
        ended_ms: From the last sound before the pause to the end of the turn; None if that did not
            come before the sentence's end.
        heard: Whether the bot was heard before the sentence's end.
        latency_ms: From its end to the bot's first sound; None where it was answered before, or
            not at all.
    """

    before: str
    hard: bool
    ended_ms: float | None
    heard: bool
    latency_ms: float | None


def hesitations(corpus: str, pause_ms: int) -> Iterator[Hesitation]:
    """Yield the sentences that can be cut, each by one voice and with one pause.

    When all have been said, they are said by the next voices, with the pause at the next place.
    """
    studio = Studio()
    utterances = [utterance for utterance in load(corpus) if utterance.places]
    rounds = product(range(len(TURN_VOICES)), enumerate(utterances))
    for shift, (number, utterance) in rounds:
        take = studio.take(utterance, TURN_VOICES[(number + shift) % len(TURN_VOICES)])
        which = (number + shift) % len(utterance.places)
        cut, place = take.cuts[which], utterance.places[which]
        if cut is None:
            continue
        pcm, _, goes_on = with_pause(take, cut, pause_ms)
        end = take.end + len(pcm) - len(take.pcm)
        parts = [to_48_khz(part) for part in (pcm[:goes_on], pcm[goes_on:end], pcm[end:])]
        yield Hesitation(place.before, place.hard, *map(_whole_packets, parts))


def _whole_packets(pcm: Pcm) -> Pcm:
    return np.pad(pcm, (-len(pcm) % FRAME_SAMPLES, 0))


async def attempt(peer: Peer, ear: Ear, said: Hesitation, pause_ms: int) -> Outcome:
    """Say a sentence, and hear out what the bot says."""
    heard_before = len(ear.voiced_at)
    ending = asyncio.create_task(_turn_end(peer, len(peer.messages)))
    await peer.microphone.say(said.first)
    paused_at = time.monotonic() - pause_ms / 1000
    await peer.microphone.say(said.rest)
    ended_at = time.monotonic()
    peer.microphone.hear(said.tail)
    ended_ms = (ending.result() - paused_at) * 1000 if ending.done() else None
    ending.cancel()
    if ended_ms is not None and ended_ms < 0:
        # The bot had not noticed yet that the sentence before this one was over.
        ended_ms = None
    heard = len(ear.voiced_at) > heard_before
    latency_ms = None
    with suppress(TimeoutError):
        await ear.voice(timeout=REPLY_SECS)
        if not heard:
            latency_ms = (ear.voiced_at[heard_before] - ended_at) * 1000
        async with asyncio.timeout(SPEECH_SECS):
            while True:
                await ear.voice(timeout=REST_SECS)
    return Outcome(said.before, said.hard, ended_ms, heard, latency_ms)


async def _turn_end(peer: Peer, after: int) -> float:
    """Return when the turn ended, by `time.monotonic()`."""
    await peer.wait_for(
        lambda message: message["type"] == "user-stopped-speaking",
        timeout=SPEECH_SECS,
        after=after,
    )
    return time.monotonic()


async def measure(url: str, corpus: str, pause_ms: int, count: int) -> list[Outcome]:
    """Say so many sentences, some in each call: the bot remembers, and its model not for ever."""
    outcomes: list[Outcome] = []
    sentences = islice(hesitations(corpus, pause_ms), count)
    while block := [*islice(sentences, BLOCK)]:
        async with connect(url, bot="brief") as peer:
            ear = Ear(peer)
            await peer.hear_out(timeout=SPEECH_SECS)
            for said in block:
                outcomes.append(await attempt(peer, ear, said, pause_ms))
                print(outcomes[-1], file=sys.stderr, flush=True)
    return outcomes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pause", type=int, default=700, metavar="MS", help="its length")
    parser.add_argument("--preset", choices=get_args(Preset), default="balanced")
    parser.add_argument("--corpus", choices=CORPORA, default="fresh")
    parser.add_argument("--count", type=int, default=80, help="sentences, at most")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write everything here, as JSON")
    args = parser.parse_args()
    environment = {
        "PARLANTE_VOICE__PROVIDERS__LOCAL__TURN_DETECTION__PRESET": args.preset,
        "PARLANTE_BOTS__BRIEF__MODULE": "tests.bench.plain_receptionist",
        "PARLANTE_BOTS__BRIEF__GREETING": "Hello.",
        "PARLANTE_BOTS__BRIEF__MAX_TOKENS": "4",
    }
    with (
        tempfile.TemporaryDirectory() as folder,
        run_service(Path(folder), "--profile", "offline", environment=environment) as service,
    ):
        outcomes = asyncio.run(measure(service.url, args.corpus, args.pause, args.count))
    half_way = [outcome for outcome in outcomes if outcome.ended_ms or outcome.heard]
    times = [outcome.latency_ms for outcome in outcomes if outcome.latency_ms is not None]
    print(
        f"{args.preset}, pauses of {args.pause} ms: answered half-way {len(half_way)} of "
        f"{len(outcomes)} sentences ({len(half_way) / len(outcomes):.1%}), "
        f"{sum(outcome.hard for outcome in half_way)} of them where it could have been all; "
        f"the others after p50 {percentile(times, 50):.0f} ms, p95 {percentile(times, 95):.0f} ms"
    )
    if args.out:
        args.out.write_text(json.dumps([asdict(outcome) for outcome in outcomes], indent=1))


if __name__ == "__main__":
    main()
