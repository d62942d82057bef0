"""One number for all in the real service: callers are put through to who can help, and back."""

import sqlite3
from contextlib import closing
from itertools import groupby
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest

from runner.peer import Peer, connect
from tests.integration.test_call import REPLY_SECS, ask
from tests.integration.test_lifecycle import until_no_session
from tests.integration.test_transcript import entries, read_when
from tests.script import BOOKING, LEAD, ONE_MOMENT, ROUND
from tests.service import Service, run_service
from tests.speech import Listener, Speaker, words_wrong
from tests.standins.openai_server import OpenAIStandin, Reply, run_openai_standin

pytestmark = pytest.mark.long

WISH = "I need an appointment on Tuesday at ten, for my knee. Dana Whitfield, 555 0134."
PROBLEM = "And I cannot log in to Quill, I forgot my password."
TO_CLINIC = "I will put you through to the clinic."
TO_SUPPORT = "My colleague in support knows that."
BOOKED = "You are booked for Tuesday at ten."
HELP = "Click on forgotten password."
NAMES = ("Robin", "Grace", "Max", "Sam")


def who(messages: list[Any]) -> str:
    """Return whose instructions a language model has been given."""
    [name] = [name for name in NAMES if f"You are {name}" in messages[0]["content"]]
    return name


def put_through(to: str, why: str, say: str) -> Reply:
    return "put_through", {"to": to, "why": why, "say": say}


def reply(messages: list[Any]) -> Reply:
    """Do what each of them does with what they are told, and with nothing else."""
    last = messages[-1]
    match who(messages):
        case "Robin":
            return put_through("receptionist", "an appointment", TO_CLINIC)
        case "Grace" if last["role"] == "user":
            return put_through("callcenter", "cannot log in", TO_SUPPORT)
        case "Grace" if "put_through" in last["content"]:
            return "book_appointment", BOOKING
        case "Grace":
            return BOOKED
        case _:
            return HELP


def environment(llm: OpenAIStandin, **more: str) -> dict[str, str]:
    return {"OPENAI_API_KEY": llm.key, "OPENAI_BASE_URL": llm.url, **more}


async def call_up(service: Service) -> tuple[str, str]:
    """Make a session for the router; return its name, and what lets its client in."""
    wish = {"agent_type": "smart_router"}
    address = f"{service.url}/voice/realtime/session"
    async with aiohttp.ClientSession() as http, http.post(address, json=wish) as response:
        assert response.status == 200
        made = await response.json()
        return made["session_id"], made["token"]


async def say(peer: Peer, words: str) -> list[str]:
    """Write something to the bot; return what it says, when it has."""
    seen = len(peer.messages)
    peer.send("send-text", {"content": words})
    await peer.hear_out(timeout=REPLY_SECS, after=seen)
    return [m["data"]["text"] for m in peer.messages[seen:] if m["type"] == "bot-tts-text"]


def offered(llm: OpenAIStandin) -> list[tuple[str, set[str]]]:
    """Return who was asked each time, and which tools they had."""
    return [
        (who(chat["messages"]), {tool["function"]["name"] for tool in chat.get("tools", ())})
        for chat in llm.chats
    ]


async def go_round(peer: Peer, speaker: Speaker, listener: Listener) -> list[str]:
    """Go to the clinic, to sales, to the support and back; return what was heard of the caller."""
    transcripts = []
    for question, answer, word in ROUND:
        listened = len(peer.heard)
        transcript, said, _ = await ask(peer, speaker, question)
        assert words_wrong(question, transcript) <= 1
        assert said.split() == f"{ONE_MOMENT} {answer}".split()
        assert word in await listener.hear(np.concatenate(peer.heard[listened:]))
        transcripts.append(transcript)
    return transcripts


async def test_a_caller_goes_from_clinic_to_sales_to_support_and_back_and_says_nothing_twice(
    scripted: Service, llm: OpenAIStandin, speaker: Speaker, listener: Listener
) -> None:
    session_id, token = await call_up(scripted)
    async with connect(scripted.url, session_id=token) as peer:
        await peer.hear_out(timeout=REPLY_SECS)
        asked = await go_round(peer, speaker, listener)
        transcript = await read_when(scripted.url, session_id, entries(19))
        shown = [m["data"] for m in peer.messages if m["type"] == "server-message"]
    with closing(sqlite3.connect(scripted.data / "parlante.db")) as database:
        assert (BOOKING["name"],) in database.execute("SELECT name FROM appointments").fetchall()
        assert (LEAD["contact"],) in database.execute("SELECT contact FROM leads").fetchall()

    # What is asked ahead of the end of a turn and calls a tool is asked again.
    members = [name for name, _ in offered(llm)]
    assert [name for name, _ in groupby(members)] == ["Robin", "Grace", "Max", "Sam", "Grace"]
    for name, tools in offered(llm):
        assert "put_through" in tools
        assert ("book_appointment" in tools) is (name == "Grace")
        assert ("save_lead" in tools) is (name == "Max")
        assert ("open_ticket" in tools) is (name == "Sam")
    told = {who(chat["messages"]): str(chat["messages"]) for chat in llm.chats}
    assert all(it in told["Grace"] for it in (*asked, *(it.answer for it in ROUND[:3])))
    assert "forgotten password" in told["Sam"], "with the facts of the support"
    assert told["Sam"].count("Facts: ") == 1

    said = [it for it in transcript["entries"] if it.get("speaker") == "bot"][1:]
    answers = [words for it in ROUND for words in (ONE_MOMENT, it.answer)]
    assert [it["heard"] for it in said] == [it["spoken"] for it in said] == answers
    assert [it["generated"] for it in said] == ["" if it == ONE_MOMENT else it for it in answers]

    done = [it for it in transcript["entries"] if it["type"] == "tool_call"]
    assert [(it["tool"], it["outcome"]) for it in done] == [
        ("put_through", "completed"),
        ("book_appointment", "completed"),
        ("put_through", "completed"),
        ("save_lead", "completed"),
        ("put_through", "completed"),
        ("put_through", "completed"),
    ]
    assert done[2]["arguments"]["why"] == asked[1].lower()
    put = [it["to"] for it in shown if it["type"] == "put-through"]
    assert put == ["receptionist", "sales", "callcenter", "receptionist"]


async def test_who_has_the_caller_has_them_again_when_they_come_back(tmp_path: Path) -> None:
    llm = OpenAIStandin(key="sk-standin", heard="", reply=reply)
    async with run_openai_standin(llm):
        with run_service(tmp_path, environment=environment(llm)) as service:
            async with connect(service.url, bot="smart_router") as peer:
                await peer.hear_out(timeout=REPLY_SECS)
                await say(peer, WISH)
                await read_when(service.url, peer.session_id, entries(5))
                await peer.drop()
            await until_no_session(service.url, timeout=5)
            async with connect(service.url, session_id=peer.session_id) as again:
                await again.hear_out(timeout=REPLY_SECS)
                assert await say(again, PROBLEM) == [TO_SUPPORT, HELP]
    assert [name for name, _ in offered(llm)].count("Robin") == 1


async def test_a_caller_is_not_sent_round_for_ever(tmp_path: Path) -> None:
    def send_on(messages: list[Any]) -> Reply:
        has_tool = "put_through" in offered(llm)[-1][1]
        to = "sales" if who(messages) == "Sam" else "callcenter"
        return put_through(to, "", f"Here is {to}.") if has_tool else "Then it is me."

    llm = OpenAIStandin(key="sk-standin", heard="", reply=send_on)
    async with run_openai_standin(llm):
        with run_service(tmp_path, environment=environment(llm)) as service:
            async with connect(service.url, bot="smart_router") as peer:
                await peer.hear_out(timeout=REPLY_SECS)
                said = await say(peer, WISH)
    assert said == ["Here is callcenter.", "Here is sales.", "Then it is me."]
    assert [name for name, _ in offered(llm)] == ["Robin", "Sam", "Max"]


@pytest.mark.parametrize("own_voices", ["true", "false"])
async def test_each_may_have_a_voice_of_their_own(tmp_path: Path, own_voices: str) -> None:
    profile = "PARLANTE_VOICE__VOICE_PROFILES__CALLCENTER__"
    voices = {
        "PARLANTE_BOTS__SMART_ROUTER__OWN_VOICES": own_voices,
        "PARLANTE_BOTS__SMART_ROUTER__SPEED": "1.25",
        f"{profile}PROVIDER": "openai",
        f"{profile}VOICE_ID": "echo",
        f"{profile}MODEL_ID": "gpt-4o-mini-tts",
    }

    def to_support(messages: list[Any]) -> Reply:
        is_sam = who(messages) == "Sam"
        return HELP if is_sam else put_through("callcenter", "cannot log in", TO_SUPPORT)

    llm = OpenAIStandin(key="sk-standin", heard="", reply=to_support)
    async with run_openai_standin(llm):
        with run_service(tmp_path, environment=environment(llm, **voices)) as service:
            async with connect(service.url, bot="smart_router") as peer:
                await peer.hear_out(timeout=REPLY_SECS)
                assert await say(peer, PROBLEM) == [TO_SUPPORT, HELP]
                await read_when(service.url, peer.session_id, entries(5))
                await peer.drop()
            await until_no_session(service.url, timeout=5)
            async with connect(service.url, session_id=peer.session_id) as again:
                await again.hear_out(timeout=REPLY_SECS)
    his = "echo" if own_voices == "true" else "alloy"
    *greeting, announced, answered, back = llm.voices
    assert set(greeting) == {"alloy"}
    assert (announced, answered, back) == ("alloy", his, his)
    assert set(llm.speeds) == {1.25}, "also that of who had the caller when they came back"
