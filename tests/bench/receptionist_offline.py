"""How right the receptionist answers with an offline LLM.

    .venv/bin/python tests/bench/receptionist_offline.py

The questions are in questions.toml; booking has a bench of its own, booking_offline.py.
"""

import argparse
import re
import statistics
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from offline import Llm, Receptionist, Reply

SETS = {
    "tuned": "written beside the facts",
    "dev": "written to tune on",
    "held_out_1": "held out, of the first version",
    "held_out_2": "held out, of the second",
    "held_out_3": "held out",
}
FACTUAL = ("hours", "place", "money", "doctors", "services", "visit", "follow-up")
DONT_KNOW = (
    r"(do not|don't|not) (know|sure|offer|do|provide|have (that|any|this|the)|mention)"
    r"|no information|not (provided|mentioned|listed|able)|unable|cannot|can't"
)
# What all replies to questions of a category must have and lack, beside what the question says.
EXPECTED = {
    "unknown": (DONT_KNOW, r"dollars|^yes"),
    "small talk": (r"\w", r"dollars|closed|(do not|don't) know|cannot book"),
    "emergency": (r"nine one one|911", r"dollars"),
    "booking": (r"cannot book", r"^yes"),
}


@dataclass(frozen=True)
class Case:
    """One conversation and what its last reply must and must not contain (regular expressions)."""

    category: str
    turns: tuple[str, ...]
    has: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()

    def broken_by(self, reply: str) -> list[str]:
        """Return the expectations that a reply breaks, empty if it is right."""
        spoken = reply.lower().replace("’", "'")
        has, lacks = EXPECTED.get(self.category, ("", "$^"))
        missing = [f"has {p}" for p in (*self.has, has) if not re.search(p, spoken)]
        return missing + [f"lacks {p}" for p in (*self.lacks, lacks) if re.search(p, spoken)]


def read_questions() -> dict[str, list[Case]]:
    """Return the sets of questions by name."""
    tables = tomllib.loads(Path(__file__).with_name("questions.toml").read_text("utf-8"))
    return {
        name: [
            Case(
                row["category"],
                tuple(row["turns"]),
                tuple(row.get("has", ())),
                tuple(row.get("lacks", ())),
            )
            for row in rows
        ]
        for name, rows in tables.items()
    }


def unspeakable(text: str) -> bool:
    """Whether a reply is not something to say aloud: markdown, emoji, too long."""
    return bool(re.search(r"[*#•\[\]\n]|[\U0001f300-\U0001ffff]", text)) or len(text.split()) > 60


def ask_all(
    receptionist: Receptionist, temperature: float, workers: int, cases: list[Case]
) -> Iterator[tuple[Case, Reply]]:
    with ThreadPoolExecutor(workers) as pool:
        replies = pool.map(lambda case: receptionist.answer(case.turns, temperature), cases)
        yield from zip(cases, replies, strict=True)


def report(title: str, answers: list[tuple[Case, Reply]], *, verbose: bool) -> None:
    """Print how many were right, by category, and how fast the model was."""
    right: dict[str, list[bool]] = defaultdict(list)
    fixed: list[bool] = []
    for case, reply in answers:
        broken = case.broken_by(reply.text)
        fixed += [] if reply.tokens else [not broken]
        right[case.category].append(not broken)
        if verbose and broken:
            print(f"  WRONG [{case.category}] {case.turns[-1]!r}: {reply.text!r} {broken}")
    factual = [ok for name in FACTUAL for ok in right[name]]
    by_category = "  ".join(f"{name} {sum(oks)}/{len(oks)}" for name, oks in right.items() if oks)
    odd = sum(unspeakable(reply.text) for _, reply in answers)
    share = sum(factual) / len(factual)
    print(f"{title}: factual {share:.0%}  {by_category}  unspeakable {odd}/{len(answers)}")
    first = statistics.median(reply.first_token_ms for _, reply in answers if reply.tokens)
    print(
        f"    {len(fixed)} said as they stand, {fixed.count(False)} of them wrongly; "
        f"first token of the others {first:.0f} ms (median)",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="a GGUF file")
    parser.add_argument("--temperatures", type=float, nargs="*", default=[0.0])
    parser.add_argument("--facts", choices=["with", "without", "both"], default="both")
    parser.add_argument("--only", choices=SETS, help="one of the sets")
    parser.add_argument("--parallel", type=int, default=1, help="1 for honest latencies")
    parser.add_argument("--verbose", action="store_true", help="print each wrong reply")
    args = parser.parse_args()
    llm = Llm(args.model, parallel=args.parallel)
    for facts in ("with", "without"):
        if args.facts not in (facts, "both"):
            continue
        receptionist = Receptionist(llm, facts=facts == "with")
        for temperature in args.temperatures:
            for name, cases in read_questions().items():
                if args.only in (None, name):
                    answers = list(ask_all(receptionist, temperature, args.parallel, cases))
                    title = f"{facts} facts, temperature {temperature}, {SETS[name]}"
                    report(title, answers, verbose=args.verbose)


if __name__ == "__main__":
    main()
