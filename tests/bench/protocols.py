"""How long the bot takes to answer the same spoken question over each protocol.

    .venv/bin/python tests/bench/protocols.py [--rounds 5]

The wait is from the last voiced sample that the caller sends to the first one that it gets. Each
round asks once over every protocol, in a call of its own; so a machine that becomes slower makes
all of them slower. What is printed is the table of docs/protocols.md.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from runner.clients.client import SAMPLE_RATE_HZ, Pcm  # noqa: E402
from runner.clients.dial import PROTOCOLS, dial  # noqa: E402
from tests.bench.calling import Utterance, utter, voiced  # noqa: E402
from tests.bench.stats import percentile  # noqa: E402
from tests.service import run_service, until_no_session  # noqa: E402
from tests.speech import Listener, open_listener, open_speaker  # noqa: E402

BOT = "receptionist"
QUESTION = "Are you open on Saturday?"
REPLY_SECS = 60
FREE_SECS = 20


@dataclass(frozen=True)
class Answer:
    """What came of a question.

    Attributes:
        heard: What the bot understood.
        words: What it said, as somebody else heard it.
        wait_ms: Until then.
    """

    heard: str
    words: str
    wait_ms: float


async def ask(protocol: str, url: str, question: Utterance, listener: Listener) -> Answer:
    """Call the bot, ask, and hear the whole answer."""
    async with dial(protocol, url, bot=BOT) as client:
        if client.is_greeted:
            await client.hear_out(timeout=REPLY_SECS)
        heard: list[Pcm] = []
        voiced_at: list[float] = []

        def hear(pcm: Pcm) -> None:
            heard.append(pcm)
            if voiced(pcm).size:
                voiced_at.append(time.monotonic())

        client.on_heard = hear
        asked = len(client.messages)
        await client.say(np.concatenate([question.pcm, question.tail]))
        asked_at = time.monotonic() - len(question.tail) / SAMPLE_RATE_HZ
        await client.hear_out(timeout=REPLY_SECS, after=asked)
        told = " ".join(filter(None, map(client.user_words, client.messages[asked:])))
    words = await listener.hear(np.concatenate(heard))
    return Answer(told, words, (voiced_at[0] - asked_at) * 1000)


async def measure(rounds: int, folder: Path) -> dict[str, list[Answer]]:
    """Ask over each protocol, again and again."""
    answers: dict[str, list[Answer]] = {protocol: [] for protocol in PROTOCOLS}
    with (
        run_service(folder) as service,
        open_speaker() as speaker,
        open_listener() as listener,
    ):
        question = await utter(speaker, QUESTION)
        await ask(PROTOCOLS[0], service.url, question, listener)
        for _ in range(rounds):
            for protocol, of_protocol in answers.items():
                await until_no_session(service.url, FREE_SECS)
                of_protocol.append(await ask(protocol, service.url, question, listener))
                print(protocol, of_protocol[-1], file=sys.stderr, flush=True)
    return answers


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        answers = asyncio.run(measure(args.rounds, Path(folder)))
    print("| protocol | heard | answered | median wait | from | to |")
    print("| --- | --- | --- | --- | --- | --- |")
    for protocol, some in answers.items():
        waits = [answer.wait_ms for answer in some]
        heard = " / ".join(sorted({answer.heard for answer in some}))
        said = sum(bool(answer.words) for answer in some)
        median = f"{percentile(waits, 50):.0f} ms | {min(waits):.0f} ms | {max(waits):.0f} ms"
        print(f"| `{protocol}` | {heard} | {said} of {len(some)} | {median} |")


if __name__ == "__main__":
    main()
