"""Whether an offline LLM could book, and whether it keeps from saying that it has booked.

    .venv/bin/python tests/bench/booking_offline.py

What callers say is in bookings.toml.
"""

import argparse
import json
import re
import statistics
import tomllib
from collections import defaultdict
from pathlib import Path
from typing import Any

from offline import Llm, Receptionist, Reply, wire
from pipecat.processors.aggregators.llm_context import LLMContext

CALLERS = tomllib.loads(Path(__file__).with_name("bookings.toml").read_text("utf-8"))
FIELDS = ("name", "phone", "day", "time", "reason")
FORM = {
    "type": "object",
    "properties": {
        "wants_appointment": {"type": "boolean"},
        "name": {"type": "string", "maxLength": 40},
        "phone": {"type": "string", "maxLength": 20},
        "day": {"type": "string", "maxLength": 20},
        "time": {"type": "string", "maxLength": 20},
        "reason": {"type": "string", "maxLength": 60},
    },
    "required": ["wants_appointment", *FIELDS],
    "additionalProperties": False,
}
FORM_PROMPT = """\
Fill in the booking form from what the caller said. wants_appointment is true only if the caller \
wants to book a new appointment, and false for questions, cancelling and small talk. Copy name, \
phone, day, time and reason from the caller's words. Leave empty what the caller did not say."""
FORM_EXAMPLES = (
    (
        "hi this is maria lopez i want to see someone about my back on monday at nine my number is "
        "555 0100",
        '{"wants_appointment": true, "name": "maria lopez", "phone": "555 0100", "day": "monday", '
        '"time": "nine", "reason": "back"}',
    ),
    (
        "are you open on saturday",
        '{"wants_appointment": false, "name": "", "phone": "", "day": "", "time": "", '
        '"reason": ""}',
    ),
    (
        "i'd like an appointment please",
        '{"wants_appointment": true, "name": "", "phone": "", "day": "", "time": "", "reason": ""}',
    ),
    (
        "can i come on thursday for a flu shot",
        '{"wants_appointment": true, "name": "", "phone": "", "day": "thursday", "time": "", '
        '"reason": "flu shot"}',
    ),
)
# Catches too much ("Yes, we do blood tests.") rather than too little: read what it flags.
CLAIM = (
    r"(?<!not )(?<!can't )(?<!cannot )\b(booked|scheduled|confirmed|reserved)\b"
    r"|i('ll| will| can| have|'ve)( just)? (book|schedule|put you|make (you )?an app|set up)"
    r"|i('ll| will| can| have|'ve)( just)? arrange"
    r"|see you (on|at|then|tomorrow)|\bi take that\b|^(yes|okay|sure|of course|certainly|great)\b"
    r"|(your|the) appointment is (on|at|for|set)|you are all set|all set"
)


def form_messages(said: str) -> list[Any]:
    context = LLMContext()
    for question, filled in FORM_EXAMPLES:
        context.add_message({"role": "user", "content": question})
        context.add_message({"role": "assistant", "content": filled})
    context.add_message({"role": "user", "content": said})
    return wire(context, FORM_PROMPT)


def same_field(name: str, expected: str, filled: str) -> bool:
    spoken = filled.lower().strip()
    if not expected:
        return not spoken
    if name == "phone":
        return re.sub(r"\D", "", spoken) == expected
    if name == "name":
        return spoken == expected
    return expected in spoken


def extraction(llm: Llm, *, verbose: bool) -> None:
    """Print how often a form that is bound to a JSON schema is filled in rightly."""
    schema = {"type": "json_schema", "json_schema": {"name": "form", "schema": FORM}}

    def ask(said: str) -> Reply:
        return llm.ask(form_messages(said), 0.0, response_format=schema)

    wishes, others = CALLERS["wishes"], CALLERS["other"]
    booking = [ask("\n".join(wish["said"])) for wish in wishes]
    intents = whole = 0
    wrong: dict[str, int] = defaultdict(int)
    for wish, reply in zip(wishes, booking, strict=True):
        form = json.loads(reply.text)
        bad = [name for name in FIELDS if not same_field(name, wish.get(name, ""), form[name])]
        for name in bad:
            wrong[name] += 1
        intents += form["wants_appointment"]
        whole += form["wants_appointment"] and not bad
        if verbose and (bad or not form["wants_appointment"]):
            print(f"  WRONG {bad} {wish['said']!r}: {reply.text}")
    refused = 0
    for said in others:
        wants = json.loads(ask(said).text)["wants_appointment"]
        refused += not wants
        if verbose and wants:
            print(f"  WRONG intent {said!r}")
    seconds = statistics.median(reply.seconds for reply in booking)
    print(
        f"form: intent {intents}/{len(wishes)}, all fields {whole}/{len(wishes)} "
        f"(wrong: {dict(wrong)}), other intents {refused}/{len(others)}, {seconds:.1f} s each",
        flush=True,
    )


def false_confirmations(receptionist: Receptionist, temperature: float, *, verbose: bool) -> None:
    """Hold booking conversations with the offline receptionist, who cannot book."""
    in_turns = [wish["said"] for wish in CALLERS["wishes"] if len(wish["said"]) > 1]
    calls = [*in_turns, *CALLERS["calls"]]
    claims = told = 0
    for call in calls:
        turns: list[str] = []
        for said in call:
            turns.append(said)
            turns.append(receptionist.answer(turns, temperature).text)
        spoken = [reply.lower().replace("’", "'") for reply in turns[1::2]]
        claimed = any(re.search(CLAIM, reply) for reply in spoken)
        claims += claimed
        told += any("cannot book" in reply for reply in spoken)
        if verbose:
            print(f"  {'CLAIM' if claimed else 'ok'} {turns}")
    print(
        f"calls that wish to book, temperature {temperature}: {claims}/{len(calls)} with a "
        f"false confirmation, {told} were told that it cannot book",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="a GGUF file")
    parser.add_argument("--temperatures", type=float, nargs="*", default=[0.0])
    parser.add_argument("--verbose", action="store_true", help="print each call and wrong form")
    args = parser.parse_args()
    llm = Llm(args.model, parallel=1)
    for temperature in args.temperatures:
        false_confirmations(Receptionist(llm), temperature, verbose=args.verbose)
    extraction(llm, verbose=args.verbose)


if __name__ == "__main__":
    main()
