# ruff: noqa: E501 (tables of questions: one a line)
"""How right the receptionist is with an offline LLM.

    .venv/bin/python tests/bench/receptionist_offline.py --model PATH [--booking]

Every request is what Pipecat's OpenAI service sends for a service without the developer role: the
persona as system message, the examples, the conversation, and the facts inside the last message.
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


def processor(limit: int) -> KnowledgeProcessor:
    """Return the receptionist's processor as the offline profile makes it."""
    return KnowledgeProcessor(
        KNOWLEDGE,
        limit=limit,
        examples=parse_examples(OFFLINE.read_text(encoding="utf-8")),
        nothing_known="I am sorry, I do not know that. Someone will call you back.",
    )


MAX_TOKENS = 150

DONT_KNOW = r"(do not|don't|not) (know|sure|have (that|any|this|the)|mention)|call (you )?back|no information|not (provided|mentioned|listed|able)|unable"
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
# The first 47 were held out in the first round: 27 of 38 factual ones right with Qwen 0.5B, where the
# ones above gave 56 of 57. Their misses have been mended since; the rest were written beside the
# search words in the facts. So they flatter too.
SEEN = [
    case("hours", "is the clinic open wednesday evenings", has=r"\b(one|1)\b|closed|\bno\b", lacks=r"yes"),
    case("hours", "what's the latest i can show up on a thursday", has=EIGHT, lacks=r"\b(six|four)\b"),
    case("hours", "do you open before nine on tuesdays", has=EIGHT, lacks=r"\bno\b"),
    case("hours", "i get off work at five can i still make it on friday", has=r"\b(four|4)\b|closed|\bno\b", lacks=r"yes"),
    case("hours", "are you working on new year's day", has=r"closed|not open|\bno\b", lacks=r"yes"),
    case("hours", "is there someone around at noon on a tuesday", has=r"six|yes|open", lacks=r"closed"),
    case("place", "how do i get to you without a car", has=r"bus|twelve|12", lacks=r"don't know"),
    case("place", "what town are you in", has=r"millbrook", lacks=r"don't know"),
    case("place", "do you have an elevator", has=r"lift|elevator|yes", lacks=r"\bno\b|don't know"),
    case("place", "where is the entrance to the lot", has=r"mill lane|behind", lacks=r"don't know"),
    case("place", "can i send you an email", has=r"hello at|yes", lacks=r"don't know"),
    case("money", "what will a mole examination run me", has=r"ninety-? ?five|95", lacks=r"eighty|forty"),
    case("money", "how expensive is a cholesterol test", has=r"forty|40", lacks=r"eighty|ninety|seventy"),
    case("money", "i have cigna coverage does that work", has=r"yes|accept", lacks=r"do not accept cigna|\bno\b"),
    case("money", "is cash fine", has=r"yes|cash", lacks=r"\bno\b|don't know"),
    case("money", "what would you bill me for a physical", has=r"eighty|80", lacks=r"forty|ninety"),
    case("money", "do i get charged if i don't turn up", has=r"thirty|30", lacks=r"don't know"),
    case("doctors", "which doctor treats acne", has=r"raman", lacks=r"okoye"),
    case("doctors", "who would i see for high blood pressure i'm fifty", has=r"marsh", lacks=r"okoye is our"),
    case("doctors", "is doctor raman there on thursdays", has=r"thursday|yes", lacks=r"\bno\b|monday"),
    case("doctors", "how many doctors are there", has=r"three|3|(marsh.*okoye.*raman)", lacks=r"don't know"),
    case("services", "do you give vaccinations", has=r"yes|vaccinat|shot", lacks=r"\bno\b"),
    case("services", "i broke a filling can someone look at it", has=r"\bno\b|not|dental", lacks=r"\byes"),
    case("services", "i think i need new glasses", has=r"\bno\b|not offer", lacks=r"\byes"),
    case("services", "can you scan my ankle", has=r"\bno\b|not offer|do not", lacks=r"\byes"),
    case("services", "do you have physical therapy", has=r"yes|physio", lacks=r"\bno\b"),
    case("visit", "do i need my insurance card", has=r"insurance card|bring|yes", lacks=r"\bno\b"),
    case("visit", "how long does it take to get the blood work back", has=r"two|2", lacks=r"don't know"),
    case("visit", "will i have to wait long", has=r"ten|10", lacks=r"don't know"),
    case("visit", "my boss wants a doctor's note", has=r"sick note|note", lacks=r"don't know"),
    case("visit", "can my fifteen year old come by herself", has=r"\bno\b|parent|guardian", lacks=r"\byes"),
    case("visit", "i need someone who speaks spanish", has=r"spanish", lacks=r"don't know"),
    case("visit", "she fainted and isn't breathing", has=r"nine one one|911", lacks=r"call you back"),
    case("unknown", "do you sell vitamins", has=DONT_KNOW, lacks=r"\byes"),
    case("unknown", "is doctor marsh married", has=DONT_KNOW, lacks=r"\byes|she is married"),
    case("unknown", "do you have a play area for children", has=DONT_KNOW, lacks=r"\byes"),
    case("unknown", "what does laser hair removal cost", has=DONT_KNOW, lacks=r"dollars"),
    case("unknown", "when was the clinic founded", has=DONT_KNOW, lacks=INVENTED),
    case("unknown", "do you accept bitcoin", has=DONT_KNOW, lacks=r"\byes"),
    case("small talk", "hey there", has=r"\w", lacks=DONT_KNOW + r"|dollars|closed"),
    case("small talk", "great that's all i wanted to know", has=r"\w", lacks=DONT_KNOW + r"|dollars|closed"),
    case("small talk", "have a nice day", has=r"\w", lacks=DONT_KNOW + r"|dollars|closed"),
    case("follow-up", "how much is a check up", "A general check-up costs eighty dollars and takes thirty minutes.", "and the blood test", has=r"forty|40", lacks=r"eighty"),
    case("follow-up", "when are you open on monday", "On Monday we are open from eight in the morning until six in the evening.", "and wednesday", has=r"\b(one|1)\b", lacks=r"\b(six|6)\b"),
    case("follow-up", "is parking free", "Parking is free behind the building.", "and where do i drive in", has=r"mill lane", lacks=r"don't know"),
    case("follow-up", "do you take aetna", "Yes, we accept Medicare, Blue Cross, Aetna and Cigna.", "and medicaid", has=r"\bno\b|not accept", lacks=r"\byes"),
    case("follow-up", "do you renew prescriptions", "Yes, we renew prescriptions.", "how long does that take", has=r"one|1", lacks=r"ten minutes|two"),
    case("hours", "can i drop by at two on a wednesday", has=r"\b(one|1)\b|closed|\bno\b", lacks=r"yes"),
    case("hours", "when does the clinic close on mondays", has=r"\b(six|6)\b", lacks=r"\b(four|one)\b"),
    case("hours", "are you guys there thursday at seven pm", has=r"eight|yes", lacks=r"\bno\b"),
    case("hours", "do you have friday evening hours", has=r"\b(four|4)\b|\bno\b|closed", lacks=r"yes"),
    case("hours", "is labor day a normal day for you", has=r"closed|holiday", lacks=r"yes"),
    case("place", "could you give me directions", has=r"willow|bus|library", lacks=r"don't know"),
    case("place", "is parking expensive over there", has=r"free", lacks=r"dollars"),
    case("place", "i can't climb stairs is that a problem", has=r"ramp|lift|accessible", lacks=r"don't know"),
    case("place", "what's your telephone number", has=r"five five five|555", lacks=r"nine nine"),
    case("money", "how much would immunisation for my vacation in brazil be", has=r"sixty|60", lacks=r"eighty|forty"),
    case("money", "do you work with medicare", has=r"yes|accept", lacks=r"\bno\b"),
    case("money", "will you bill my credit card", has=r"card|yes", lacks=r"don't know"),
    case("money", "i lost my coverage can i pay myself", has=r"welcome|yes", lacks=r"\bno\b"),
    case("money", "what does the doctor charge for looking at a birthmark", has=r"ninety-? ?five|95", lacks=r"eighty"),
    case("doctors", "who takes care of teenagers", has=r"okoye", lacks=r"raman"),
    case("doctors", "i'd prefer a woman", has=r"marsh|raman", lacks=r"okoye is"),
    case("doctors", "who is your dermatologist", has=r"raman", lacks=r"okoye"),
    case("services", "can you clean my teeth", has=r"\bno\b|not offer", lacks=r"\byes"),
    case("services", "do you deliver babies", has=DONT_KNOW + r"|\bno\b|not offer", lacks=r"\byes"),
    case("services", "can i get a massage for a stiff neck", has=r"physio", lacks=r"don't know"),
    case("services", "do you operate on people", has=r"\bno\b|not offer", lacks=r"\byes"),
    case("visit", "what paperwork should i have on me", has=r"\bid\b|insurance card|form", lacks=r"don't know"),
    case("visit", "must i call ahead or just turn up", has=r"appointment", lacks=r"\byes"),
    case("visit", "can i get more of my blood pressure tablets", has=r"refill|prescription", lacks=r"don't know"),
    case("visit", "is coffee okay on the morning of the lab test", has=r"water|without breakfast|not eat", lacks=r"\byes"),
    case("visit", "my husband collapsed on the floor", has=r"nine one one|911", lacks=r"call you back"),
    case("visit", "there's blood everywhere please help", has=r"nine one one|911", lacks=r"dollars"),
    case("unknown", "do you have a newsletter", has=DONT_KNOW, lacks=r"\byes"),
    case("unknown", "how tall is doctor raman", has=DONT_KNOW, lacks=INVENTED + r"|feet"),
    case("unknown", "can i get a tattoo removed", has=DONT_KNOW + r"|not offer", lacks=r"\byes"),
    case("unknown", "who owns the clinic", has=DONT_KNOW, lacks=r"owns|owned"),
    case("unknown", "do you have vending machines", has=DONT_KNOW, lacks=r"\byes"),
    case("small talk", "good evening", has=r"\w", lacks=DONT_KNOW + r"|dollars|closed"),
    case("small talk", "that's very kind of you thanks", has=r"\w", lacks=DONT_KNOW + r"|dollars|closed"),
    case("follow-up", "are you open tuesday", "On Tuesday we are open from eight in the morning until six in the evening.", "and friday", has=r"\b(four|4)\b", lacks=r"\b(six|6)\b"),
    case("follow-up", "what is a skin check", "A skin check costs ninety-five dollars.", "who does it", has=r"raman", lacks=r"okoye|marsh is"),
    case("follow-up", "do you take blue cross", "Yes, we accept Medicare, Blue Cross, Aetna and Cigna.", "okay and cigna", has=r"yes|accept", lacks=r"do not accept"),
    case("follow-up", "how much is physio", "Physiotherapy costs seventy dollars for a session of forty-five minutes.", "and a flu vaccine", has=r"twenty-? ?five|25", lacks=r"seventy|sixty"),
]  # fmt: skip
# Written after facts, retrieval, examples and prompts were frozen, by their author, and run once.
# Only these say how right the bot is on questions nobody prepared it for.
HELD_OUT = [
    case("hours", "could you see me on a friday at three", has=r"four|4|yes", lacks=r"\bno\b|don't know"),
    case("hours", "how early does the place open on thursday", has=EIGHT, lacks=NINE),
    case("hours", "is wednesday a full day for you", has=r"\b(one|1)\b|\bno\b", lacks=r"\byes"),
    case("hours", "are you shut on thanksgiving", has=r"closed|yes", lacks=r"\bno\b"),
    case("hours", "do you pick up the phone over lunch", has=r"yes|lunch", lacks=r"\bno\b|don't know"),
    case("place", "what's the building next to you", has=r"library", lacks=r"don't know"),
    case("place", "i'm coming by public transit which line", has=r"twelve|12", lacks=r"don't know"),
    case("place", "will a motorised scooter fit through the door", has=r"ramp|accessible|lift", lacks=r"don't know"),
    case("place", "what do i type into my sat nav", has=r"willow street", lacks=r"don't know"),
    case("money", "give me a price for jabs against the flu", has=r"twenty-? ?five|25", lacks=r"sixty"),
    case("money", "is seventy dollars right for a therapy session on my hip", has=r"seventy|70", lacks=r"don't know"),
    case("money", "i pay with my phone usually does that work", has=r"cash|card", lacks=r"don't know"),
    case("money", "what's the penalty for cancelling last minute", has=r"thirty|30", lacks=r"don't know"),
    case("money", "am i out of luck if i'm not insured", has=r"welcome|yes", lacks=r"don't know|medicaid"),
    case("doctors", "who's good with little kids", has=r"okoye", lacks=r"raman"),
    case("doctors", "i have spots all over my face who do i go to", has=r"raman", lacks=r"okoye"),
    case("doctors", "tell me the doctors' names", has=(r"marsh", r"okoye", r"raman"), lacks=r"don't know"),
    case("services", "do you give people braces", has=r"\bno\b|not offer|" + DONT_KNOW, lacks=r"\byes"),
    case("services", "can you check my sugar level in the blood", has=r"blood", lacks=r"don't know"),
    case("services", "i might have a broken bone can you image it", has=r"\bno\b|not offer|" + DONT_KNOW, lacks=r"\byes"),
    case("services", "do you remove an appendix", has=r"\bno\b|not offer|" + DONT_KNOW, lacks=r"\byes"),
    case("visit", "what should i pack for my first visit", has=r"\bid\b|insurance card|form", lacks=r"don't know"),
    case("visit", "i'd like you to renew my inhaler", has=r"refill|prescription|renew", lacks=r"don't know|appointments"),
    case("visit", "how soon do i hear about my lab tests", has=r"two|2", lacks=r"don't know"),
    case("visit", "my english is poor does anyone talk spanish", has=r"spanish", lacks=r"don't know"),
    case("visit", "he can't breathe and his lips are blue", has=r"nine one one|911", lacks=r"call you back"),
    case("visit", "my wife has a stabbing pain in the chest", has=r"nine one one|911", lacks=r"dollars"),
    case("visit", "someone swallowed a whole bottle of pills", has=r"nine one one|911", lacks=r"refill"),
    case("unknown", "do you have gift vouchers", has=DONT_KNOW, lacks=r"\byes"),
    case("unknown", "where did you learn to speak like that", has=DONT_KNOW + r"|\w", lacks=r"university|dollars"),
    case("unknown", "what's doctor marsh's favourite food", has=DONT_KNOW, lacks=r"favou?rite food is"),
    case("unknown", "is there a cafeteria", has=DONT_KNOW, lacks=r"\byes"),
    case("unknown", "do you do hypnosis", has=DONT_KNOW, lacks=r"\byes"),
    case("small talk", "hello is this the clinic", has=r"\w", lacks=DONT_KNOW + r"|dollars|closed"),
    case("small talk", "perfect thanks a lot", has=r"\w", lacks=DONT_KNOW + r"|dollars|closed"),
    case("follow-up", "when do you close on monday", "On Monday we are open from eight in the morning until six in the evening.", "and how about wednesday", has=r"\b(one|1)\b", lacks=r"\bsix\b"),
    case("follow-up", "what's a blood test", "Yes, we do blood tests. A blood test costs forty dollars.", "and when do i get the results", has=r"two|2", lacks=r"don't know"),
    case("follow-up", "who is the children's doctor", "Doctor Samuel Okoye is our children's doctor.", "and for grown ups", has=r"marsh", lacks=r"don't know"),
    case("follow-up", "can i pay by card", "Yes, you can pay by cash or by card.", "what about a check", has=r"\bno\b|not take", lacks=r"\byes"),
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


def with_facts(limit: int) -> Callable[[tuple[str, ...]], list[Any]]:
    informing = processor(limit)
    return lambda turns: wire(informing.inform(context_of(turns)))


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


# Catches too much ("Yes, we do blood tests.") rather than too little: read what it flags.
CLAIM = (
    r"(?<!not )(?<!can't )(?<!cannot )\b(booked|scheduled|confirmed|reserved)\b"
    r"|i('ll| will| can| have|'ve)( just)? (book|schedule|put you|make (you )?an app|set up|arrange)"
    r"|see you (on|at|then|tomorrow)|\bi take that\b|^(yes|okay|sure|of course|certainly|great)\b|(your|the) appointment is (on|at|for|set)|you are all set|all set"
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
    informing = processor(1)
    claims = told = 0
    for call in BOOKING_CALLS:
        context, replies = LLMContext(), []
        for said in call:
            context.add_message({"role": "user", "content": said})
            reply = llm.ask(wire(informing.inform(context)), temperature).text
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
    parser.add_argument("--limit", type=int, default=1, help="facts for one question")
    parser.add_argument("--only", choices=["tuned", "held"], help="one of the two sets")
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
    ways = {"with": with_facts(args.limit), "without": without_facts}
    for name, messages_of in ways.items():
        if args.facts not in (name, "both"):
            continue
        for temperature in args.temperatures:
            for cases, label in ((CASES + SEEN, "tuned on"), (HELD_OUT, "held out")):
                if args.only and args.only != label.split()[0]:
                    continue
                answers = list(ask_all(llm, messages_of, temperature, args.parallel, cases))
                title = f"{args.model.stem} {name} facts, temperature {temperature}, {label}"
                report(title, answers, verbose=args.verbose)


if __name__ == "__main__":
    main()
