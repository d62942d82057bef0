"""How long the bot takes to answer, beside a vanilla Pipecat bot on the same models.

    .venv/bin/python tests/bench/latency.py [--turns 30] [--out FILE.json]
    .venv/bin/python tests/bench/latency.py --calls 2
    .venv/bin/python tests/bench/latency.py --profile tiny --itself

A caller asks both by WebRTC, as a browser does, but without a browser's jitter buffer; the facts
were not written for what it asks (`held_out_2` of questions.toml). A latency is the time from the
last voiced sample that the caller sends to the first one that it receives. Both answer the same
questions, in blocks in the order A-B-B-A, so that a machine that becomes slower makes both slower;
each block is a call of its own. The bot is measured against itself first, question by question:
where that ratio is not nearly 1, the machine is too restless for a comparison, and there is none.

The vanilla bot is compared with ours without its facts (plain_receptionist.py): both have the same
models, prompt and questions, and nothing else to go by.
"""

import argparse
import asyncio
import json
import os
import random
import re
import statistics
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from itertools import cycle, islice
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from bots.receptionist import BOT  # noqa: E402
from bots.registry import BOTS_DIR  # noqa: E402
from bots.settings import load_settings  # noqa: E402
from processors.facts import parse_facts  # noqa: E402
from runner.peer import connect  # noqa: E402
from tests.bench.calling import SPEECH_SECS, Ear, Turn, Utterance, ask, utter  # noqa: E402
from tests.bench.stats import Ratio, median_ratio, percentile, ratio_of_medians  # noqa: E402
from tests.bench.vanilla import run_vanilla  # noqa: E402
from tests.service import run_service  # noqa: E402
from tests.speech import open_speaker  # noqa: E402

BLOCK = 8
"""Questions in one call."""

MIN_TURNS = 16
MAX_STRAY = 0.05
"""A bot is so far from itself at most, or nothing is compared."""

WARM_UP = "Do you have a swimming pool?"
"""Asked first and not counted: a vanilla bot loads some things with its first answer."""

OF_FACTS = ("hours", "place", "money", "doctors", "services", "visit", "unknown")
"""Categories of questions that the language model answers itself: the others are emergencies,
wishes to book and small talk, for which the receptionist has fixed words."""


def held_out_questions() -> list[str]:
    """Return questions of one sentence that facts were not written for, in mixed order."""
    text = (Path(__file__).parent / "questions.toml").read_text("utf-8")
    of_facts = [
        entry["turns"][0]
        for entry in tomllib.loads(text)["held_out_2"]
        if entry["category"] in OF_FACTS and len(entry["turns"]) == 1
    ]
    short = [question for question in of_facts if len(re.findall("[.?!]", question)) == 1]
    return random.Random(1).sample(short, len(short))


@dataclass(frozen=True)
class Side:
    """One of the two that are compared.

    Attributes:
        name: For the reader.
        url: Where it is called.
        bot: Who is called; None for the default bot.
        calls: How many callers it has at once.
    """

    name: str
    url: str
    bot: str | None = None
    calls: int = 1


@dataclass
class Result:
    """What came of all turns of a side."""

    side: Side
    turns: list[Turn]

    @property
    def latencies_ms(self) -> list[float]:
        """Of the turns that the language model answered."""
        return [t.latency_ms for t in self.turns if t.latency_ms and not is_fixed(t)]

    def by_question(self) -> dict[str, float]:
        """The median latency of each question that the language model answered, in ms."""
        times: dict[str, list[float]] = {}
        for turn in self.turns:
            if turn.latency_ms and not is_fixed(turn):
                times.setdefault(turn.question, []).append(turn.latency_ms)
        return {question: statistics.median(some) for question, some in times.items()}

    @property
    def counts(self) -> dict[str, int]:
        """How many turns went otherwise than they should, by what was wrong."""
        return {
            "unanswered": sum(t.latency_ms is None and not t.early for t in self.turns),
            "too early": sum(t.early for t in self.turns),
            "answered twice": sum(t.answers > 1 for t in self.turns),
            "fixed words": sum(is_fixed(t) for t in self.turns),
        }

    def summary(self) -> dict:
        times = self.latencies_ms
        percentiles = {f"p{percent}_ms": percentile(times, percent) for percent in (50, 95)}
        return {"name": self.side.name, "n": len(times), **percentiles, **self.counts}


FIXED = frozenset(
    fact.text
    for file in (BOT.knowledge, BOT.offline_knowledge)
    if file
    for fact in parse_facts((BOTS_DIR / "knowledge" / file).read_text("utf-8"))
    if fact.fixed
)


def is_fixed(turn: Turn) -> bool:
    """Whether it was answered in fixed words: that takes no language model, and is not counted."""
    return turn.answer in FIXED


async def alternate(a: Side, b: Side, questions: Sequence[Utterance]) -> tuple[Result, Result]:
    """Ask both sides the same questions in blocks, in the order A-B-B-A and so on."""
    results = Result(a, []), Result(b, [])
    for number, start in enumerate(range(0, len(questions), BLOCK)):
        for result in results if number % 2 == 0 else reversed(results):
            turns = await ask_block(result.side, questions[start : start + BLOCK])
            result.turns += turns
            for turn in turns:
                print(_line(result.side, turn), file=sys.stderr, flush=True)
    return results


async def ask_block(side: Side, questions: Sequence[Utterance]) -> list[Turn]:
    """Call, wait for the greeting's end, ask all questions and hang up.

    With many calls at once, each asks all of them, and starts with another.
    """
    orders = [[*questions[i:], *questions[:i]] for i in range(side.calls)]
    turns = await asyncio.gather(*(_call(side, order) for order in orders))
    return [turn for call in turns for turn in call]


async def _call(side: Side, questions: Sequence[Utterance]) -> list[Turn]:
    async with connect(side.url, bot=side.bot) as peer:
        ear = Ear(peer)
        await peer.hear_out(timeout=SPEECH_SECS)
        return [await ask(peer, ear, question) for question in questions]


def _line(side: Side, turn: Turn) -> str:
    took = "  none" if turn.latency_ms is None else f"{turn.latency_ms:6.0f}"
    return f"{side.name:16} {took} ms  {turn.heard} -> {turn.answer}"


def table(results: Sequence[Result]) -> str:
    """Return the results as text, a line for each side."""
    names = [*results[0].counts]
    lines = [f"{'':16}{'n':>5}{'p50 ms':>9}{'p95 ms':>9}  " + "  ".join(names)]
    for result in results:
        row = result.summary()
        counts = "  ".join(f"{row[name]:>{len(name)}}" for name in names)
        times = f"{row['n']:5}{row['p50_ms']:9.0f}{row['p95_ms']:9.0f}"
        lines.append(f"{row['name']:16}{times}  {counts}")
    return "\n".join(lines)


def stage_table(result: Result) -> str:
    """Return what a side's waits went into, as its pipeline sees them; "" if it does not tell."""
    told = [t.stages_ms for t in result.turns if t.stages_ms and not is_fixed(t)]
    stages = dict.fromkeys(stage for stages_ms in told for stage in stages_ms)
    if not stages:
        return ""
    lines = [f"{result.side.name}, by stage:"]
    for stage in stages:
        times = [stages_ms.get(stage, 0.0) for stages_ms in told]
        lines.append(f"  {stage:22}{percentile(times, 50):7.0f}{percentile(times, 95):9.0f}")
    return "\n".join(lines)


def report(a: Result, b: Result) -> Ratio:
    """Print how two sides compare; return the ratio of the first to the second, by question."""
    times, others = a.by_question(), b.by_question()
    ratio = median_ratio([(times[q], others[q]) for q in times if q in others])
    print(table([a, b]))
    print(*filter(None, map(stage_table, (a, b))), sep="\n")
    for what, value in (
        ("of medians", ratio_of_medians(a.latencies_ms, b.latencies_ms)),
        ("by question", ratio),
    ):
        print(f"ratio {what:11} {value.value:.3f} [{value.low:.3f}, {value.high:.3f}]", flush=True)
    return ratio


async def measure(
    ours: Side, compared: tuple[Side, Side] | None, turns: int
) -> tuple[list[Result], bool]:
    """Compare our bot with itself, and if that comes out right, two sides with each other.

    Returns:
        The results of all sides, two or four, and whether the machine was at rest.
    """
    with open_speaker() as speaker:
        asked = [await utter(speaker, text) for text in islice(cycle(held_out_questions()), turns)]
        warm_up = [await utter(speaker, WARM_UP)]
    for side in compared or [ours]:
        await ask_block(side, warm_up)
    itself = await alternate(ours, replace(ours, name=f"{ours.name} again"), asked)
    if abs(report(*itself).value - 1) > MAX_STRAY:
        print(f"The bot is more than {MAX_STRAY:.0%} from itself: there is no comparison.")
        return [*itself], False
    if not compared:
        return [*itself], True
    print()
    results = await alternate(*compared, asked)
    report(*results)
    return [*itself, *results], True


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=30, help="questions to each side")
    parser.add_argument("--profile", default="offline", help="of voice.yaml, on offline models")
    parser.add_argument(
        "--calls", type=int, default=1, help="compare so many at once with one, all of ours"
    )
    parser.add_argument("--itself", action="store_true", help="compare the bot only with itself")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write everything here, as JSON")
    args = parser.parse_args()
    if args.turns < MIN_TURNS:
        parser.error(f"--turns: from fewer than {MIN_TURNS}, a median tells nothing")
    began, load = datetime.now(), os.getloadavg()
    _, llm = load_settings(overrides={"profile": args.profile}).service("llm")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        environment = {
            "PARLANTE_BOTS__PLAIN__MODULE": "tests.bench.plain_receptionist",
            # The calls of the block before may not have ended yet.
            "PARLANTE_VOICE__REALTIME__LIMITS__SESSIONS": str(2 * args.calls),
        }
        service = stack.enter_context(
            run_service(folder, "--profile", args.profile, environment=environment)
        )
        ours = Side("ours", service.url)
        compared: tuple[Side, Side] | None
        if args.itself:
            compared = None
        elif args.calls > 1:
            compared = Side(f"ours, {args.calls} calls", service.url, calls=args.calls), ours
        else:
            vanilla = stack.enter_context(run_vanilla(folder, str(llm.model)))
            compared = Side("ours, no facts", service.url, "plain"), Side("vanilla", vanilla)
        results, is_at_rest = asyncio.run(measure(ours, compared, args.turns))
    loads = [load, os.getloadavg()]
    print("load of the machine before and after: {:.1f} {:.1f}".format(*(one for one, *_ in loads)))
    if args.out:
        sides = [{**r.summary(), "turns": [asdict(turn) for turn in r.turns]} for r in results]
        about = {
            "began": began.isoformat(timespec="seconds"),
            "profile": args.profile,
            "processors": os.cpu_count(),
            "load_averages": loads,
            "at_rest": is_at_rest,
        }
        args.out.write_text(json.dumps({**about, "sides": sides}, indent=1))
    return 0 if is_at_rest else 1


if __name__ == "__main__":
    sys.exit(main())
