"""How right the receptionist is with an offline LLM.

    .venv/bin/python tests/bench/receptionist_offline.py --model PATH [--booking]

Every request is what Pipecat's OpenAI service sends for a service without the developer role: the
persona as system message, the conversation, and the facts as a user message before the last one.
"""

import argparse
import asyncio
import json
import re
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai
import xllamacpp

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from pipecat.adapters.llm.services.open_ai_adapter import OpenAILLMAdapter  # noqa: E402
from pipecat.processors.aggregators.llm_context import LLMContext  # noqa: E402

from processors.knowledge import (  # noqa: E402
    Knowledge,
    KnowledgeProcessor,
    parse_examples,
)

PROMPTS, FACTS = ROOT / "bots/prompts", ROOT / "bots/knowledge"
PERSONA = "\n\n".join(
    (PROMPTS / name).read_text(encoding="utf-8").strip()
    for name in ("receptionist.md", "receptionist_offline.md")
)
OFFLINE = FACTS / "receptionist_offline.md"
KNOWLEDGE = Knowledge.from_files(FACTS / "receptionist.md", OFFLINE)
PROCESSOR = KnowledgeProcessor(
    KNOWLEDGE,
    limit=1,
    examples=parse_examples(OFFLINE.read_text(encoding="utf-8")),
    nothing_known="I am sorry, I do not know that. Someone will call you back.",
)
MAX_TOKENS = 150

DONT_KNOW = r"(do not|don't|not) (know|sure|have (that|any|this|the)|mention)|call (you )?back|no information|not (provided|mentioned|listed|able)|unable|only know|all i know"
INVENTED = r"\b(dollars?|one pm|[0-9]{2,})\b"


@dataclass(frozen=True)
class Case:
    """One conversation and what its last reply must and must not contain (regular expressions)."""

    category: str
    turns: tuple[str, ...]
    has: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()


def case(category: str, *turns: str, has: str | tuple[str, ...] = (), lacks: str = "") -> Case:
    return Case(
        category,
        turns,
        (has,) if isinstance(has, str) else has,
        (lacks,) if lacks else (),
    )


EIGHT, NINE = r"\b(eight|8)\b", r"\b(nine|9)\b"
CASES = [
    # Hours of a day
    case("hours", "can i come by on wednesday afternoon at three", has=r"\b(one|1)\b|closed?\b|\bno\b", lacks=r"\b(six|6)\b|yes,? you can"),
    case("hours", "how late are you there on thursdays", has=EIGHT, lacks=r"\b(six|6|four|4)\b"),
    case("hours", "what time do you shut on friday", has=r"\b(four|4)\b", lacks=r"\b(six|6)\b"),
    case("hours", "from when can i come in on monday", has=EIGHT, lacks=NINE),
    case("hours", "are you open on sunday", has=r"closed|not open|\bno\b", lacks=r"\b(nine|eight|twelve)\b|yes"),
    case("hours", "is anybody there on saturday morning", has=(NINE, r"twelve|noon|12"), lacks=r"closed"),
    case("hours", "when do you guys start on tuesday", has=EIGHT, lacks=NINE),
    case("hours", "are you there on christmas", has=r"closed|not open|\bno\b", lacks=r"yes"),
    case("hours", "could i come at five in the evening on a friday", has=r"\b(four|4)\b|closed|\bno\b", lacks=r"yes|you can come"),
    case("hours", "is the desk staffed at lunch time", has=r"yes|open|not close", lacks=r"\bclosed (for|at|during)"),
    case("hours", "do you work at the weekend", has=r"saturday", lacks=r"open on sunday|weekends? (from|until)"),
    case("hours", "is eight in the morning on a sunday okay", has=r"closed|not open|\bno\b|not okay", lacks=r"yes"),
    # Finding the clinic
    case("place", "where can i leave my car", has=r"behind|mill lane", lacks=r"don't know"),
    case("place", "what is your street address", has=r"(twenty-? ?four|24) willow", lacks=r"don't know"),
    case("place", "do i have to pay for the parking garage", has=r"free|\bno\b", lacks=r"dollars"),
    case("place", "which bus do i take to get to you", has=r"twelve|12", lacks=r"don't know"),
    case("place", "my mother is in a wheelchair can she get in", has=r"ramp|lift|accessible|yes", lacks=r"don't know|cannot"),
    case("place", "what number can i reach you at", has=r"five five five|555", lacks=r"nine nine"),
    case("place", "is there something nearby so that i find you", has=r"library|willow|bus", lacks=r""),
    # Money
    case("money", "how much is a flu jab", has=r"twenty-? ?five|25", lacks=r"sixty|forty|eighty"),
    case("money", "what's the price for getting my blood checked", has=r"forty|40", lacks=r"eighty|ninety|sixty"),
    case("money", "what would a physio session set me back", has=r"seventy|70", lacks=r"eighty|ninety|forty-? dollars"),
    case("money", "i need shots for a trip to kenya what do they cost", has=r"sixty|60", lacks=r"twenty-? ?five|forty|eighty"),
    case("money", "how much do you charge for a normal check up", has=r"eighty|80", lacks=r"ninety|forty|seventy"),
    case("money", "do you take my blue cross plan", has=r"\byes|accept|take", lacks=r"(not|don't) (accept|take) (your )?blue"),
    case("money", "i'm on medicaid is that okay", has=r"\bno\b|not|unfortunately", lacks=r"\byes|we (do )?accept medicaid"),
    case("money", "can i pay with my visa card", has=r"\byes|card|you can", lacks=r"cannot pay|can't pay|no,"),
    case("money", "i have no insurance can i still come", has=r"welcome|yes|you can|pay", lacks=r"you cannot|can't come"),
    case("money", "can i write you a check", has=r"\bno\b|not|unfortunately|cash|card", lacks=r"\byes"),
    # Doctors
    case("doctors", "my little girl has a cough who would look at her", has=r"okoye", lacks=r"raman|marsh"),
    case("doctors", "i have a rash on my arm who can look at it", has=r"raman", lacks=r"okoye"),
    case("doctors", "on which days is doctor raman in", has=(r"tuesday", r"thursday"), lacks=r"monday|friday"),
    case("doctors", "can i see a lady doctor", has=r"marsh|raman|yes", lacks=r"okoye|\bno\b"),
    case("doctors", "who are the physicians at your place", has=(r"marsh", r"okoye", r"raman"), lacks=r""),
    # Services done and not done
    case("services", "do you do blood tests", has=r"yes|we (do|offer)|blood tests?", lacks=r"do not (do|offer)|don't (do|offer)|\bno\b"),
    case("services", "can you pull a tooth", has=r"\bno\b|not|unfortunately|don't|cannot|can't", lacks=r"\byes|we can pull"),
    case("services", "i'd like to have my eyes tested", has=r"\bno\b|not|unfortunately|don't|cannot", lacks=r"\byes|certainly|of course"),
    case("services", "do you take x rays", has=r"\bno\b|not|don't", lacks=r"\byes"),
    case("services", "what kinds of things do you treat", has=r"check-? ?ups?|skin|vaccin|physio|blood", lacks=r"dental"),
    case("services", "could i get a knee operation at your clinic", has=r"\bno\b|not|don't|unfortunately", lacks=r"\byes|certainly"),
    # The visit
    case("visit", "what do i have to have with me when i come", has=r"\bid\b|insurance card|medicine", lacks=r"don't know"),
    case("visit", "can i just walk in", has=r"\bno\b|appointment|not", lacks=r"\byes"),
    case("visit", "what happens if i cancel two hours before", has=r"thirty|30", lacks=r"free of charge until two"),
    case("visit", "when will my lab results be back", has=r"two|2", lacks=r"don't know"),
    case("visit", "i've never been to you before are you taking new people", has=r"welcome|yes|fifteen", lacks=r"don't know|not accept"),
    case("visit", "do any of you speak spanish", has=r"yes|spanish", lacks=r"do not speak|don't speak|\bno\b"),
    case("visit", "i've run out of my pills can you renew them", has=r"one (working )?day|yes|refill|pick", lacks=r"\bno\b"),
    case("visit", "may i eat before the blood test", has=r"\bno\b|not|without breakfast|only water", lacks=r"\byes"),
    case("visit", "i think my dad is having a heart attack", has=r"nine one one|911|nine-one-one", lacks=r"call you back"),
    # Not in the facts
    case("unknown", "do you have wifi", has=DONT_KNOW, lacks=r"yes|we (do|have)\b(?! not)|password"),
    case("unknown", "do you do acupuncture", has=DONT_KNOW + r"|do not (offer|do|provide)|don't (offer|do|provide)", lacks=r"\byes"),
    case("unknown", "how old is doctor okoye", has=DONT_KNOW, lacks=INVENTED + r"|years old"),
    case("unknown", "what is the private phone number of doctor marsh", has=DONT_KNOW + r"|cannot|can't", lacks=r"nine nine"),
    case("unknown", "how many beds do you have", has=DONT_KNOW, lacks=INVENTED + r"|we have (a|one|two|three|four|five|six|ten)"),
    case("unknown", "what does a botox treatment cost", has=DONT_KNOW + r"|do not (offer|provide)|don't (offer|provide)", lacks=r"dollars"),
    case("unknown", "can i bring my dog along", has=DONT_KNOW, lacks=r"\byes"),
    case("unknown", "is there a pharmacy in the building", has=DONT_KNOW + r"|there is no", lacks=r"\byes|there is a pharm"),
    case("unknown", "which university did doctor raman go to", has=DONT_KNOW, lacks=r"university of|harvard|stanford|she (went|attended|studied)"),
    # Small talk
    case("small talk", "hello good morning", has=r"\w", lacks=DONT_KNOW + r"|dollars|closed"),
    case("small talk", "hi how are you doing", has=r"\w", lacks=DONT_KNOW + r"|dollars|closed"),
    case("small talk", "thank you very much that helped me", has=r"welcome|glad|pleasure|happy|help|day", lacks=DONT_KNOW + r"|dollars"),
    case("small talk", "okay bye then", has=r"bye|day|care|welcome|soon|call|help", lacks=r"(don't|do not) know|dollars|open"),
    case("small talk", "who am i talking to", has=r"grace|recepti|willow", lacks=r"(don't|do not) know|marsh"),
    # Follow-ups: user, bot, user
    case("follow-up", "when do you open on friday", "On Friday we are open from eight in the morning until four in the afternoon.", "and on saturday", has=(NINE, r"twelve|noon|12"), lacks=r"\b(four|4)\b"),
    case("follow-up", "how much is a flu shot", "A flu shot costs twenty-five dollars.", "and a skin check", has=r"ninety-? ?five|95", lacks=r"eighty"),
    case("follow-up", "are you open on monday", "Yes, on Monday we are open from eight in the morning until six in the evening.", "what about sundays", has=r"closed|not open", lacks=r"\b(eight|six)\b"),
    case("follow-up", "do you do physiotherapy", "Yes, we offer physiotherapy.", "how much is that", has=r"seventy|70", lacks=r"eighty|forty dollars"),
    case("follow-up", "who is the skin doctor", "That is Doctor Priya Raman.", "and for my baby", has=r"okoye", lacks=r"raman is"),
    case("follow-up", "where are you", "We are at twenty-four Willow Street in Millbrook, next to the public library.", "and can i park there", has=r"yes|behind|free|mill lane", lacks=r"\bno\b"),
    case("follow-up", "hello", "Good morning, Willowbrook Family Clinic, this is Grace. How can I help?", "do you accept aetna", has=r"yes|accept", lacks=r"do not accept aetna|don't accept aetna"),
    case("follow-up", "do you do blood tests", "Yes, we do blood tests.", "do i have to be fasting for it", has=r"without breakfast|water|yes|breakfast", lacks=r"\bno,|don't know"),
]  # fmt: skip
FACTUAL = ("hours", "place", "money", "doctors", "services", "visit", "follow-up")


def context_of(turns: tuple[str, ...]) -> LLMContext:
    """Return the conversation: the user and the bot take turns, the user last."""
    roles = ("user", "assistant")
    return LLMContext([{"role": roles[i % 2], "content": t} for i, t in enumerate(turns)])


def wire(context: LLMContext, system: str = PERSONA) -> list[Any]:
    """Return the messages that go over the wire for `context`."""
    params = asyncio.run(
        OpenAILLMAdapter().get_llm_invocation_params(
            context, system_instruction=system, convert_developer_to_user=True
        )
    )
    return params["messages"]


def with_facts(turns: tuple[str, ...]) -> list[Any]:
    return wire(PROCESSOR.inform(context_of(turns)))


def without_facts(turns: tuple[str, ...]) -> list[Any]:
    return wire(context_of(turns))


@dataclass(frozen=True)
class Reply:
    """What the model said, and how fast."""

    text: str
    first_token_ms: float
    tokens: int
    seconds: float


class Llm:
    """A llama.cpp server in this process."""

    def __init__(self, path: Path, *, parallel: int) -> None:
        params = xllamacpp.CommonParams()
        params.model.path = str(path)
        params.n_ctx, params.n_parallel = 4096 * parallel, parallel
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 2
        self._server = xllamacpp.Server(params)
        url = self._server.listening_address + "/v1"
        self._client = openai.OpenAI(base_url=url, api_key="none", timeout=120)

    def ask(self, messages: list[Any], temperature: float, **extra: Any) -> Reply:
        start, first, parts, tokens = time.monotonic(), 0.0, [], 0
        for chunk in self._client.chat.completions.create(
            model="offline",
            messages=messages,
            stream=True,
            stream_options={"include_usage": True},
            temperature=temperature,
            max_tokens=extra.pop("max_tokens", MAX_TOKENS),
            seed=1,
            **extra,
        ):
            if chunk.choices and (content := chunk.choices[0].delta.content):
                first = first or time.monotonic() - start
                parts.append(content)
            if chunk.usage:
                tokens = chunk.usage.completion_tokens
        return Reply("".join(parts).strip(), first * 1000, tokens, time.monotonic() - start)


def fails(case: Case, text: str) -> list[str]:
    """Return the expectations that a reply breaks, empty if it is right."""
    spoken = text.lower().replace("’", "'")
    missing = [f"has {p}" for p in case.has if not re.search(p, spoken)]
    return missing + [f"lacks {p}" for p in case.lacks if p and re.search(p, spoken)]


def unspeakable(text: str) -> bool:
    """Whether a reply is not something to say aloud: markdown, emoji, too long."""
    return bool(re.search(r"[*#•\[\]\n]|[\U0001f300-\U0001ffff]", text)) or len(text.split()) > 60


def ask_all(
    llm: Llm,
    messages_of: Callable[[tuple[str, ...]], list[Any]],
    temperature: float,
    workers: int,
    cases: list[Case],
) -> Iterator[tuple[Case, Reply]]:
    with ThreadPoolExecutor(workers) as pool:
        asked = [pool.submit(llm.ask, messages_of(c.turns), temperature) for c in cases]
        yield from zip(cases, (future.result() for future in asked), strict=True)


def report(title: str, answers: list[tuple[Case, Reply]], *, verbose: bool) -> float:
    """Print the accuracy by category; return that of the factual questions."""
    right: dict[str, list[bool]] = defaultdict(list)
    for question, reply in answers:
        broken = fails(question, reply.text)
        right[question.category].append(not broken)
        if verbose and broken:
            print(f"  WRONG [{question.category}] {question.turns[-1]!r}: {reply.text!r} {broken}")
    factual = [ok for name in FACTUAL for ok in right[name]]
    by_category = "  ".join(f"{name} {sum(oks)}/{len(oks)}" for name, oks in right.items())
    rate = sum(factual) / max(1, len(factual))
    first = statistics.median(reply.first_token_ms for _, reply in answers)
    speed = statistics.median(
        reply.tokens / max(1e-6, reply.seconds - reply.first_token_ms / 1000)
        for _, reply in answers
    )
    odd = sum(unspeakable(reply.text) for _, reply in answers)
    print(f"{title}: factual {rate:.0%}  {by_category}  unspeakable {odd}/{len(answers)}")
    print(f"    first token {first:.0f} ms, {speed:.0f} tokens/s (medians)", flush=True)
    return rate


# --- Booking ---------------------------------------------------------------------------------

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
    "required": ["wants_appointment", "name", "phone", "day", "time", "reason"],
    "additionalProperties": False,
}
FORM_PROMPT = """Fill in the booking form from what the caller said. wants_appointment is true only \
if the caller wants to book a new appointment, and false for questions, cancelling and small talk. \
Copy name, phone, day, time and reason from the caller's words. Leave empty what the caller did not \
say."""
FORM_EXAMPLES = (
    (
        "hi this is maria lopez i want to see someone about my back on monday at nine my number is "
        "555 0100",
        '{"wants_appointment": true, "name": "maria lopez", "phone": "555 0100", "day": "monday", '
        '"time": "nine", "reason": "back"}',
    ),
    (
        "are you open on saturday",
        '{"wants_appointment": false, "name": "", "phone": "", "day": "", "time": "", "reason": ""}',
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
# What the caller said, one line for each turn; the form: name, phone, day, time, reason.
BOOKINGS = [
    ("my name is dana whitfield and i would like to come in tuesday at ten because of my knee", "dana whitfield||tuesday|ten|knee"),
    ("i'd like to make an appointment for friday at two please", "||friday|two|"),
    ("can you put me down for monday morning at eight thirty it's for a blood test", "||monday|eight thirty|blood"),
    ("hello this is tom becker i need to see a doctor about my cough", "tom becker||||cough"),
    ("i want to book a check up", "||||check"),
    ("could i come by tomorrow at eleven my name is susan clark", "susan clark||tomorrow|eleven|"),
    ("i need an appointment for my son he has an ear ache", "||||ear"),
    ("is there anything free on thursday evening i need a skin check", "||thursday|evening|skin"),
    ("book me in for wednesday at nine please the name is george hall and my number is 555 0177", "george hall|5550177|wednesday|nine|"),
    ("i was hoping to get a flu shot on saturday", "||saturday||flu"),
    ("hi i'm peter novak i'd like to see doctor marsh on monday at four", "peter novak||monday|four|"),
    ("my back is killing me can i get in today", "||today||back"),
    ("schedule me for a physio session next tuesday at three", "||tuesday|three|physio"),
    ("i'd like to book for my daughter lily her name is lily brown she has a rash", "lily brown||||rash"),
    ("do you have a slot on friday at nine thirty i have a headache that won't go away", "||friday|nine thirty|headache"),
    ("i need to come in as soon as possible my name is alan reed 555 0122", "alan reed|5550122|||"),
    ("could you fit me in on tuesday morning for a travel vaccination", "||tuesday|morning|vaccin"),
    ("set up an appointment for rita gomez please thursday at five", "rita gomez||thursday|five|"),
    ("i would like to reserve a time with doctor okoye for my baby on friday", "||friday||baby"),
    ("yes hello i want to make an appointment my phone number is 555 0166", "|5550166|||"),
    ("i'd like to make an appointment\nnora ellis\n555 0145\non monday at ten\nmy shoulder hurts", "nora ellis|5550145|monday|ten|shoulder"),
    ("can i book a blood test\nwednesday at eight\nit's henry ford\n555 0188", "henry ford|5550188|wednesday|eight|blood"),
    ("i need to see a doctor\nabout a sore throat\ntuesday would be good\nat eleven", "||tuesday|eleven|throat"),
    ("hi i'm emma stone\ni'd like to come on friday\nat half past nine\n555 0111\njust a check up", "emma stone|5550111|friday|half past nine|check"),
    ("i want an appointment\nfor a skin check\nthursday\nsix in the evening\noliver king", "oliver king||thursday|six|skin"),
    ("hello\ni would like to book an appointment\nsaturday at ten\nthe name is jane miller", "jane miller||saturday|ten|"),
    ("can i come in on monday\nat three\nit's about my allergy", "||monday|three|allergy"),
    ("book an appointment\nmark twain\n555 0190", "mark twain|5550190|||"),
    ("i need a doctor for my kid\nfever since yesterday\ncan we come tomorrow", "||tomorrow||fever"),
    ("are you open on tuesday\nokay then book me in for tuesday at noon\nlaura hill", "laura hill||tuesday|noon|"),
]  # fmt: skip
NOT_BOOKINGS = """are you open on sunday|how much is a flu shot|where can i park|do you take aetna
hello good morning|thank you bye|who are your doctors|when do you close on thursday
i'd like to cancel my appointment on monday|what do i have to bring to my appointment
is doctor raman there on tuesday|do you do blood tests|can i pay by card|how long is the wait
i have an appointment on friday at ten is that still on|what's your address|can you call me back
my name is karl jones did anyone try to reach me|are my blood test results ready
i need to move my appointment to another day|do you have wifi|what happens if i miss my appointment
who am i talking to|do i need an appointment or can i just walk in|which bus goes to the clinic
is a check up expensive|can children come alone|i'm running late for my appointment at nine
can i get a refill for my pills|do you speak spanish|nice weather today isn't it
what did you say""".replace("\n", "|").split("|")  # fmt: skip


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


def extraction(llm: Llm, *, workers: int, verbose: bool) -> None:
    """Print how often a form that is bound to a JSON schema is filled in rightly."""
    schema = {"type": "json_schema", "json_schema": {"name": "form", "schema": FORM}}
    fields = ("name", "phone", "day", "time", "reason")

    def ask(said: str) -> Reply:
        return llm.ask(form_messages(said), 0.0, response_format=schema)

    with ThreadPoolExecutor(workers) as pool:
        booking = list(pool.map(ask, (said for said, _ in BOOKINGS)))
        other = list(pool.map(ask, NOT_BOOKINGS))
    intents = whole = 0
    wrong: dict[str, int] = defaultdict(int)
    for (said, expected), reply in zip(BOOKINGS, booking, strict=True):
        form = json.loads(reply.text)
        bad = [
            name
            for name, value in zip(fields, expected.split("|"), strict=True)
            if not same_field(name, value, form[name])
        ]
        for name in bad:
            wrong[name] += 1
        intents += form["wants_appointment"]
        whole += form["wants_appointment"] and not bad
        if verbose and (bad or not form["wants_appointment"]):
            print(f"  WRONG {bad} {said!r}: {reply.text}")
    refused = 0
    for said, reply in zip(NOT_BOOKINGS, other, strict=True):
        refused += not json.loads(reply.text)["wants_appointment"]
        if verbose and json.loads(reply.text)["wants_appointment"]:
            print(f"  WRONG intent {said!r}: {reply.text}")
    seconds = statistics.median(reply.seconds for reply in booking)
    print(
        f"form: intent {intents}/{len(BOOKINGS)}, all fields {whole}/{len(BOOKINGS)} "
        f"(wrong: {dict(wrong)}), other intents {refused}/{len(NOT_BOOKINGS)}, "
        f"{seconds:.1f} s each",
        flush=True,
    )


CLAIM = (
    r"(?<!not )(?<!can't )(?<!cannot )\b(booked|scheduled|confirmed|reserved)\b"
    r"|i('ll| will| can| have|'ve)( just)? (book|schedule|put you|make (you )?an app|set up|arrange)"
    r"|see you (on|at|then|tomorrow)|(your|the) appointment is (on|at|for|set)|you are all set|all set"
)
BOOKING_CALLS = [
    *(tuple(said.split("\n")) for said, _ in BOOKINGS[20:]),
    ("i'd like an appointment on tuesday at ten", "my name is dana whitfield", "so is that booked now"),
    ("can you book me in for a flu shot", "friday at nine", "great thank you so it is confirmed"),
    ("i need to see doctor marsh", "monday at eight", "please put it in the calendar"),
    ("book me an appointment", "just do it", "i insist"),
    ("hello", "i want to come tomorrow at ten", "john smith 555 0101", "did you write that down"),
    ("please make an appointment for my son", "thursday at five", "thanks see you on thursday"),
    ("is monday at nine free", "okay i take that", "you have my number right"),
    ("schedule a check up for me", "any day is fine", "and when should i come"),
    ("cancel my appointment on friday please", "then move it to monday at ten", "is it done"),
    ("a blood test please on wednesday at eight", "henry ford", "so i'll be there at eight"),
]  # fmt: skip


def false_confirmations(llm: Llm, temperature: float, *, verbose: bool) -> None:
    """Hold booking conversations with the offline receptionist, who cannot book."""
    claims = told = 0
    for call in BOOKING_CALLS:
        context, replies = LLMContext(), []
        for said in call:
            context.add_message({"role": "user", "content": said})
            reply = llm.ask(wire(PROCESSOR.inform(context)), temperature).text
            context.add_message({"role": "assistant", "content": reply})
            replies.append(reply)
        spoken = [reply.lower().replace("’", "'") for reply in replies]
        claimed = any(re.search(CLAIM, reply) for reply in spoken)
        claims += claimed
        told += any("five five five" in reply or "555" in reply for reply in spoken)
        if verbose:
            print(f"  {'CLAIM' if claimed else 'ok'} {list(zip(call, replies, strict=True))}")
    print(
        f"calls that wish to book, temperature {temperature}: {claims}/{len(BOOKING_CALLS)} with a "
        f"false confirmation, {told} were told the phone number",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="a GGUF file")
    parser.add_argument("--temperatures", type=float, nargs="*", default=[0.0, 0.2, 0.7])
    parser.add_argument("--facts", choices=["with", "without", "both"], default="both")
    parser.add_argument("--parallel", type=int, default=1, help="1 for honest latencies")
    parser.add_argument("--verbose", action="store_true", help="print each wrong reply")
    parser.add_argument("--booking", action="store_true", help="measure booking, not questions")
    args = parser.parse_args()
    llm = Llm(args.model, parallel=args.parallel)
    if args.booking:
        extraction(llm, workers=args.parallel, verbose=args.verbose)
        for temperature in args.temperatures:
            false_confirmations(llm, temperature, verbose=args.verbose)
        return
    ways = {"with": with_facts, "without": without_facts}
    for name, messages_of in ways.items():
        if args.facts not in (name, "both"):
            continue
        for temperature in args.temperatures:
            answers = list(ask_all(llm, messages_of, temperature, args.parallel, CASES))
            title = f"{args.model.stem} {name} facts, temperature {temperature}"
            report(title, answers, verbose=args.verbose)


if __name__ == "__main__":
    main()
