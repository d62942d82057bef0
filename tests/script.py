"""What stand-ins for language models say, from nothing but what they are shown.

Evaluations, calls in the browser and calls to the router have this script in common: what a bot
does not tell its model, or a tool not its bot, is not in the answers.
"""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from tests.speech import Speaker
from tests.standins.openai_realtime import RealtimeStandin, run_realtime_standin
from tests.standins.openai_server import OpenAIStandin, Reply, run_openai_standin

KEY = "sk-standin"

HEARD = "Are you open on Sunday?"
"""Whatever is said to the speech-to-speech service."""

BOOKING = {
    "name": "Dana Whitfield",
    "phone": "555 0134",
    "reason": "sore knee",
    "date": "tuesday",
    "time": "10:00",
}
LEAD = {"name": "Dana", "contact": "dana@example.org", "needs": "invoices", "users": 10}
NAMES = {"receptionist": "Grace", "sales": "Max", "callcenter": "Sam"}
BUSINESS = {
    "receptionist": "appointment|doctor|sunday",
    "sales": "cost|plan|year",
    "callcenter": "password|photo",
}
ONE_MOMENT = "One moment, please."
DOLLARS = {190: "one hundred and ninety", 1900: "one thousand nine hundred"}
PLANS = " ".join(
    f"{plan} is a plan that has a good many things in it." for plan in ("Solo", "Team", "Business")
)


class Exchange(NamedTuple):
    """What a caller asks, and what they hear, with a word of it that Whisper does not mistake."""

    question: str
    answer: str
    word: str


ROUND = (
    Exchange(
        "My name is Dana, and I need an appointment on Tuesday at ten.",
        "You are booked for Tuesday at ten.",
        "tuesday",
    ),
    Exchange(
        "Please write to me about the team plan.", "They will write to you about invoices.", "write"
    ),
    Exchange("And I forgot my password.", "Click on forgotten password.", "forgotten"),
    Exchange("When is my appointment?", "You come on Tuesday, Dana.", "tuesday"),
)
"""A call to the router: to the clinic, to sales, to the support, and to the clinic again, which
tells what it was told at first."""

TO_SAY = re.compile(r'in exactly these words and no others: \\*"(.*?)\\*"')


def reply(messages: list[Any]) -> Reply:
    """Answer in a conversation: by a tool, by what it returned, or by what was said before."""
    last = messages[-1]
    if last["role"] == "tool" and (told := _told(json.loads(last["content"]))):
        return told
    said = [_said(message) for message in messages if message["role"] == "user"]
    asked = said[-1].lower()
    wanted = next((to for to, words in BUSINESS.items() if re.search(words, asked)), None)
    if not wanted:
        return "What can I do for you?"
    if f"You are {NAMES[wanted]}" not in messages[0]["content"]:
        return "put_through", {"to": wanted, "why": asked, "say": ONE_MOMENT}
    match wanted:
        case "receptionist":
            return _remembered(" ".join(said)) if "when" in asked else ("book_appointment", BOOKING)
        case "sales" if "which" in asked:
            return PLANS
        case "sales" if "write" in asked:
            return "save_lead", LEAD
        case "sales":
            return "quote", {"plan": "Team", "users": 10, "by_the_year": "year" in asked}
        case _ if "photo" in asked:
            return "known_issues", {}
        case _:
            return "Click on forgotten password."


def reply_in_sound(items: list[dict[str, Any]]) -> Reply:
    """Answer in a conversation that is held speech to speech."""
    last = items[-1]
    if last["type"] == "function_call_output":
        return _told(json.loads(last["output"]))
    content = last["content"][0]
    said = content.get("transcript") or content["text"]
    if to_say := TO_SAY.findall(said):
        return str(to_say[-1])
    if "appointment" in said:
        return "book_appointment", BOOKING
    return "No, we are closed on Sundays."


def _said(message: Any) -> str:
    """Return what a caller has said, without the facts for it."""
    return str(message["content"]).removeprefix("Caller: ").partition("\n\nFacts: ")[0]


def _told(result: dict[str, Any]) -> str:
    """Return what a tool's result has a bot say; "" of one that says nothing."""
    match result:
        case {"booked": True}:
            return "You are booked for Tuesday at ten."
        case {"written_down": True}:
            return "They will write to you about invoices."
        case {"dollars_a_month": dollars}:
            return f"That is {DOLLARS[dollars]} dollars a month."
        case {"dollars_a_year": dollars}:
            return f"That is {DOLLARS[dollars]} dollars a year."
        case {"known_issues": _}:
            return "A new version of the app comes on Thursday."
    return ""


def _remembered(said: str) -> str:
    """Return when somebody comes, and who, as far as they have said so."""
    name = re.search(r"name is (\w+)", said)
    day = re.search(r"\w+day", said)
    if not name or not day:
        return "I do not know."
    return f"You come on {day[0]}, {name[1]}."


@asynccontextmanager
async def run_script(
    openai_port: int, realtime_port: int, voice: Speaker
) -> AsyncIterator[OpenAIStandin]:
    """Stand in for OpenAI's language model and its speech to speech; yield the former."""
    openai = OpenAIStandin(key=KEY, heard="", reply=reply)
    realtime = RealtimeStandin(KEY, "gpt-realtime", [HEARD], reply_in_sound, voice=voice)
    async with (
        run_openai_standin(openai, openai_port),
        run_realtime_standin(realtime, realtime_port),
    ):
        yield openai
