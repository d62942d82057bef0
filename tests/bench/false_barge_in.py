"""What a bot that speaks makes of sounds that are no interruption.

    .venv/bin/python tests/bench/false_barge_in.py [--times 10] [--out FILE.json]

While the bot answers, the caller coughs, lets a door fall shut, listens ("mhm", "okay"), or its
microphone hears the bot again, 20 dB fainter and 100 ms later, for the whole answer: a telephone
without echo cancellation. An answer is interrupted when the client is told so; how long the bot
paused for it is the longest silence that the sound brought into its speech.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import soxr

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from runner.clients.client import FRAME_SAMPLES, SAMPLE_RATE_HZ, Pcm  # noqa: E402
from runner.peer import Peer, connect  # noqa: E402
from tests.bench import sounds, speech_corpus  # noqa: E402
from tests.bench.calling import REPLY_SECS, SPEECH_SECS, Ear, Utterance, say, utter  # noqa: E402
from tests.bench.stats import percentile  # noqa: E402
from tests.service import run_service  # noqa: E402
from tests.speech import open_speaker  # noqa: E402

QUESTION = "What are your opening hours?"
"""The answer takes more than ten seconds."""

AGREEMENTS = ("Okay.", "I see.", "Uh-huh.", "Right.", "Yeah.")

ECHO_SECS = 0.1
"""From the loudspeaker through the room, and what a client buffers."""

LOOK_SECS = 2.0
"""The pause for a sound is looked for in so much time from its beginning."""

Sound = Callable[[int], Pcm]
"""Gives the sound of the n-th time, 16-bit mono at 48 kHz."""


@dataclass(frozen=True)
class Alarm:
    """What became of one sound.

    Attributes:
        sound: Which.
        interrupted: How often the answer was interrupted.
        paused_ms: The longest silence in the bot's speech from the sound on; None where it was
            interrupted. Between two sentences it is silent for some 200 ms anyway.
    """

    sound: str
    interrupted: int
    paused_ms: float | None


def sounds_to_make() -> dict[str, Sound]:
    """Return the sounds, by name."""
    studio, voices = speech_corpus.Studio(), speech_corpus.VOICES
    return {
        "cough": lambda n: _wide(sounds.cough(n)),
        "door": lambda n: _wide(sounds.door(n)),
        "mhm": lambda n: _wide(sounds.mhm(n)),
        "okay": lambda n: _wide(
            studio.say(AGREEMENTS[n % len(AGREEMENTS)], voices[n % len(voices)])
        ),
    }


async def make(peer: Peer, ear: Ear, question: Utterance, sound: Pcm, after_secs: float) -> int:
    """Ask, make a sound into the answer; return how many messages there were before the sound."""
    await say(peer, question)
    await ear.voice(timeout=REPLY_SECS)
    await asyncio.sleep(after_secs)
    before = len(peer.messages)
    await peer.microphone.say(sound)
    return before


async def attempt(
    peer: Peer, ear: Ear, name: str, question: Utterance, sound: Pcm, after_secs: float
) -> Alarm:
    """Make a sound into an answer, and hear that out."""
    asked = len(peer.messages)
    before = await make(peer, ear, question, sound, after_secs)
    began = time.monotonic() - len(sound) / SAMPLE_RATE_HZ
    await peer.hear_out(timeout=SPEECH_SECS, after=asked)
    interrupted = _interruptions(peer, before)
    voiced = [at for at in ear.voiced_at if began - 0.1 < at < began + LOOK_SECS]
    gaps = [later - earlier for earlier, later in pairwise(voiced)]
    return Alarm(name, interrupted, None if interrupted else max(gaps, default=0.0) * 1000)


@contextmanager
def echoing(peer: Peer) -> Iterator[None]:
    """Let the microphone hear what comes out of the loudspeaker, fainter and later."""
    hear = peer.on_heard
    late = [np.zeros(FRAME_SAMPLES, np.int16)] * round(ECHO_SECS * SAMPLE_RATE_HZ / FRAME_SAMPLES)

    def hear_and_echo(pcm: Pcm) -> None:
        hear(pcm)
        late.append(sounds.echo(pcm))
        peer.microphone.hear(late.pop(0))

    peer.on_heard = hear_and_echo
    try:
        yield
    finally:
        peer.on_heard = hear


async def echoed(peer: Peer, ear: Ear, question: Utterance) -> Alarm:
    """Hear an answer out that is echoed into the microphone."""
    asked = len(peer.messages)
    await say(peer, question)
    await ear.voice(timeout=REPLY_SECS)
    began = time.monotonic()
    before = len(peer.messages)
    with echoing(peer):
        await peer.hear_out(timeout=SPEECH_SECS, after=asked)
    voiced = [at for at in ear.voiced_at if at > began]
    gaps = [later - earlier for earlier, later in pairwise(voiced)]
    interrupted = _interruptions(peer, before)
    return Alarm("echo", interrupted, None if interrupted else max(gaps, default=0.0) * 1000)


def _interruptions(peer: Peer, after: int) -> int:
    return sum(message["type"] == "bot-interrupted" for message in peer.messages[after:])


def _wide(pcm: Pcm) -> Pcm:
    wide = soxr.resample(pcm.astype(np.float32), speech_corpus.SAMPLE_RATE_HZ, SAMPLE_RATE_HZ)
    return np.clip(wide, -32768, 32767).astype(np.int16)


async def measure(url: str, times: int) -> list[Alarm]:
    """Make each sound so many times, in a call of its own."""
    moments = random.Random(1)
    alarms = []
    with open_speaker() as speaker:
        question = await utter(speaker, QUESTION)
    for name, sound in sounds_to_make().items():
        async with connect(url) as peer:
            ear = Ear(peer)
            await peer.hear_out(timeout=SPEECH_SECS)
            for n in range(times):
                after_secs = moments.uniform(1, 3)
                alarms.append(await attempt(peer, ear, name, question, sound(n), after_secs))
                print(alarms[-1], file=sys.stderr, flush=True)
    async with connect(url) as peer:
        ear = Ear(peer)
        await peer.hear_out(timeout=SPEECH_SECS)
        for _ in range(times):
            alarms.append(await echoed(peer, ear, question))
            print(alarms[-1], file=sys.stderr, flush=True)
    return alarms


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=10, help="how often each sound is made")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write everything here, as JSON")
    args = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        run_service(Path(folder), "--profile", "offline") as service,
    ):
        alarms = asyncio.run(measure(service.url, args.times))
    for name in dict.fromkeys(alarm.sound for alarm in alarms):
        of_it = [alarm for alarm in alarms if alarm.sound == name]
        interrupted = sum(alarm.interrupted > 0 for alarm in of_it)
        paused_ms = [alarm.paused_ms for alarm in of_it if alarm.paused_ms is not None]
        print(
            f"{name:8} interrupted {interrupted} of {len(of_it)} answers, "
            f"paused for p50 {percentile(paused_ms, 50):.0f} ms, "
            f"most {max(paused_ms, default=float('nan')):.0f} ms"
        )
    if args.out:
        args.out.write_text(json.dumps([asdict(alarm) for alarm in alarms], indent=1))


if __name__ == "__main__":
    main()
