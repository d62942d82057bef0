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
import uuid
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from runner.clients.client import SAMPLE_RATE_HZ, Pcm  # noqa: E402
from runner.clients.dial import PROTOCOLS, dial  # noqa: E402
from tests.bench.calling import Utterance, utter, voiced  # noqa: E402
from tests.bench.stats import percentile  # noqa: E402
from tests.phone_caller import calling, environment  # noqa: E402
from tests.service import run_service, until_no_session  # noqa: E402
from tests.speech import Listener, open_listener, open_speaker  # noqa: E402
from tests.standins.phone import TwilioCall  # noqa: E402

BOT = "receptionist"
QUESTION = "Are you open on Saturday?"
REPLY_SECS = 60
FREE_SECS = 20
UNUSED_PORT = 9
"""Where Twilio's API would be, which is asked for nothing here."""


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


class Heard(list[Pcm]):
    """What the bot says, piece by piece, and when those with a voice in them came."""

    def __init__(self) -> None:
        super().__init__()
        self.voiced_at: list[float] = []

    def append(self, pcm: Pcm) -> None:
        super().append(pcm)
        if voiced(pcm).size:
            self.voiced_at.append(time.monotonic())


async def ask_by_phone(_: str, url: str, question: Utterance, listener: Listener) -> Answer:
    """Call the bot by way of Twilio, ask, and hear the whole answer."""
    async with calling(url, TwilioCall(f"CA{uuid.uuid4().hex}"), f"?bot={BOT}") as caller:
        await caller.hear_out()
        caller.heard = heard = Heard()
        await caller.microphone.say(np.concatenate([question.pcm, question.tail]))
        asked_at = time.monotonic() - len(question.tail) / SAMPLE_RATE_HZ
        words = await listener.hear(await caller.hear_out())
    async with aiohttp.ClientSession(url) as http:
        sessions = await (await http.get("/voice/realtime/sessions")).json()
        name = sessions["sessions"][0]["session_id"]
        told = await (await http.get(f"/voice/realtime/session/{name}/transcript")).json()
    said = [it["heard"] for it in told["entries"] if it["speaker"] == "user"]
    return Answer(" ".join(said), words, (heard.voiced_at[0] - asked_at) * 1000)


async def ask(protocol: str, url: str, question: Utterance, listener: Listener) -> Answer:
    """Call the bot, ask, and hear the whole answer."""
    async with dial(protocol, url, bot=BOT) as client:
        if client.is_greeted:
            await client.hear_out(timeout=REPLY_SECS)
        heard = Heard()
        client.on_heard = heard.append
        asked = len(client.messages)
        await client.say(np.concatenate([question.pcm, question.tail]))
        asked_at = time.monotonic() - len(question.tail) / SAMPLE_RATE_HZ
        await client.hear_out(timeout=REPLY_SECS, after=asked)
        told = " ".join(filter(None, map(client.user_words, client.messages[asked:])))
    words = await listener.hear(np.concatenate(heard))
    return Answer(told, words, (heard.voiced_at[0] - asked_at) * 1000)


WAYS = {**dict.fromkeys(PROTOCOLS, ask), "twilio": ask_by_phone}


async def measure(rounds: int, folder: Path) -> dict[str, list[Answer]]:
    """Ask over each protocol, again and again."""
    answers: dict[str, list[Answer]] = {protocol: [] for protocol in WAYS}
    with (
        run_service(folder, environment=environment(UNUSED_PORT)) as service,
        open_speaker() as speaker,
        open_listener() as listener,
    ):
        question = await utter(speaker, QUESTION)
        await ask(PROTOCOLS[0], service.url, question, listener)
        for _ in range(rounds):
            for protocol, of_protocol in answers.items():
                await until_no_session(service.url, FREE_SECS)
                answer = await WAYS[protocol](protocol, service.url, question, listener)
                of_protocol.append(answer)
                print(protocol, answer, file=sys.stderr, flush=True)
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
