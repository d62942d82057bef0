"""A caller is put through to a specialist in another process, over Redis, and on and back."""

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from runner.peer import Peer, connect
from tests import script
from tests.integration.test_call import REPLY_SECS
from tests.integration.test_smart_router import HELP, go_round, offered, put_through, who
from tests.integration.test_transcript import entries, read_when
from tests.redis import RedisServer, redis_program, run_redis
from tests.script import BOOKING, LEAD, NAMES, ROUND
from tests.service import OFFLINE_SPEECH, ROOT, run_service
from tests.specialist import run_specialist
from tests.speech import Listener, Speaker
from tests.standins.mcp_server import COMMAND
from tests.standins.openai_server import OpenAIStandin, Reply, run_openai_standin

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not redis_program(), reason="needs redis-server"),
]

GIVE_UP_SECS = 15
"""How long a caller may wait at most for an apology."""

PRICE = "And what is Team for ten? Write to dana at example dot org."
PROBLEM = "And I cannot log in to Quill, I forgot my password."
TELL = "Tell me all about Team."
WAIT = "Wait a moment."

WANTED = {PRICE: "sales", TELL: "sales", PROBLEM: "callcenter"}
SAY = {
    "sales": "I will put you through to sales.",
    "callcenter": "My colleague in support knows that.",
}
CALENDAR = {
    "PARLANTE_MCP": json.dumps({"calendar": {**COMMAND, "env": {"PYTHONPATH": str(ROOT)}}}),
    "PARLANTE_BOTS__SALES__MCP": '["calendar"]',
}
"""Has sales have the tools of an MCP server, too."""

NOTED = "Team is one hundred and ninety dollars. They will write to you."
ALL = " ".join(f"This is word {number}." for number in range(30))
YES = "Yes, I am here."
APOLOGY = "I am sorry, I cannot answer that just now. Could you say it again?"


def reply(messages: list[Any]) -> Reply:
    """Put callers through to who is wanted, who calls a tool and answers."""
    name, last = who(messages), messages[-1]
    # Facts may stand with it.
    told = [m["content"] for m in messages if m["role"] == "user"][-1]
    [asked] = [it for it in (*WANTED, WAIT) if it in told]
    to = WANTED.get(asked)
    if to and name != NAMES[to]:
        return put_through(to, asked, SAY[to])
    if asked == PRICE and (last["role"] != "tool" or "put_through" in str(last["content"])):
        return "save_lead", LEAD
    return {PRICE: NOTED, PROBLEM: HELP, TELL: ALL, WAIT: YES}[asked]


class Standin(OpenAIStandin):
    """One that knows when an answer is wanted no more."""

    given_up = 0

    async def chat(self, request: web.Request) -> web.StreamResponse:
        try:
            return await super().chat(request)
        except asyncio.CancelledError:
            self.given_up += 1
            raise


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with run_redis() as server:
        yield server


def environment(llm: OpenAIStandin, redis: RedisServer) -> dict[str, str]:
    return {
        "OPENAI_API_KEY": llm.key,
        "OPENAI_BASE_URL": llm.url,
        "PARLANTE_BOTS__SALES__REMOTE": "true",
        "PARLANTE_BUS__REDIS_URL": redis.url,
    }


NEITHER_HEARS_NOR_SPEAKS = {
    f"PARLANTE_PROFILES__AUTO__{kind}": '["deepgram"]' for kind in ("STT", "TTS")
}
"""Settings by which there is no key for either."""

ALL_ELSEWHERE = """
default_bot: sales
bots: {sales: {module: bots.sales, remote: true}}
profiles: {auto: {stt: [openai], llm: [anthropic], tts: [openai]}}
voice:
  providers:
    anthropic: {llm: {api_key: "${ANTHROPIC_API_KEY_OF_NOBODY}"}}
    openai:
      stt: {api_key: "${OPENAI_API_KEY}", base_url: "${OPENAI_BASE_URL}"}
      tts: {api_key: "${OPENAI_API_KEY}", base_url: "${OPENAI_BASE_URL}"}
"""


def rows(folder: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(folder / "data" / "parlante.db")) as database:
        return database.execute(query).fetchall()


async def say(peer: Peer, words: str) -> list[str]:
    """Write something to the bot; return what it says, when it has."""
    seen = len(peer.messages)
    peer.send("send-text", {"content": words})
    await peer.hear_out(timeout=REPLY_SECS, after=seen)
    return [m["data"]["text"] for m in peer.messages[seen:] if m["type"] == "bot-tts-text"]


async def begin(peer: Peer, words: str) -> int:
    """Write something, and wait until the answer is spoken; return how many messages there are."""
    seen = len(peer.messages)
    peer.send("send-text", {"content": words})
    await peer.wait_for(
        lambda m: m["type"] == "bot-tts-text" and "This is word" in m["data"]["text"],
        timeout=REPLY_SECS,
        after=seen,
    )
    return len(peer.messages)


async def test_a_caller_goes_from_clinic_to_sales_elsewhere_to_support_and_back(
    tmp_path: Path, redis: RedisServer, speaker: Speaker, listener: Listener
) -> None:
    llm = OpenAIStandin(key="sk-standin", heard="", reply=script.reply)
    async with run_openai_standin(llm):
        variables = environment(llm, redis)
        deaf = {**variables, **NEITHER_HEARS_NOR_SPEAKS}
        async with run_specialist(tmp_path / "sales", "sales", deaf) as specialist:
            with run_service(tmp_path, environment={**variables, **OFFLINE_SPEECH}) as service:
                async with connect(service.url, bot="smart_router") as peer:
                    await peer.hear_out(timeout=REPLY_SECS)
                    asked = await go_round(peer, speaker, listener)
                    transcript = await read_when(service.url, peer.session_id, entries(19))
                    shown = [m["data"] for m in peer.messages if m["type"] == "server-message"]
                assert "ERROR" not in service.log
        assert "ERROR" not in specialist.log
    put = [it["to"] for it in shown if it["type"] == "put-through"]
    assert put == ["receptionist", "sales", "callcenter", "receptionist"]

    # Tools run where their bot thinks, and are on record in the call.
    assert rows(tmp_path, "SELECT name FROM appointments") == [(BOOKING["name"],)]
    assert rows(tmp_path / "sales", "SELECT contact, users FROM leads") == [
        (LEAD["contact"], LEAD["users"])
    ]
    done = [it for it in transcript["entries"] if it["type"] == "tool_call"]
    assert [(it["tool"], it["outcome"]) for it in done] == [
        ("put_through", "completed"),
        ("book_appointment", "completed"),
        ("put_through", "completed"),
        ("save_lead", "completed"),
        ("put_through", "completed"),
        ("put_through", "completed"),
    ]
    assert done[3]["arguments"] == LEAD
    assert done[3]["result"]["written_down"]
    kept = rows(tmp_path, "SELECT count(*) FROM tool_calls WHERE tool = 'save_lead'")
    assert kept == [(1,)]
    # And it is told whose language model thinks there.
    paid = rows(tmp_path, "SELECT DISTINCT provider FROM usage WHERE kind = 'llm'")
    assert paid == [("openai",)]

    # Each knows all that was said before, wherever they think.
    told = {who(chat["messages"]): str(chat["messages"]) for chat in llm.chats}
    [booked, noted, helped, _] = [it.answer for it in ROUND]
    assert all(it in told["Max"] for it in (*asked[:2], booked))
    assert all(it in told["Sam"] for it in (*asked[:3], "save_lead", noted))
    assert all(it in told["Grace"] for it in (*asked, noted, helped))
    tools = dict(offered(llm))
    assert {"put_through", "save_lead", "quote"} <= tools["Max"]
    assert "book_appointment" not in tools["Max"]
    assert "Facts: " in told["Max"], "its own"


async def test_a_call_goes_on_whatever_becomes_of_the_other_process(
    tmp_path: Path, redis: RedisServer
) -> None:
    llm = Standin(key="sk-standin", heard="", reply=reply)
    async with run_openai_standin(llm):
        variables = {**environment(llm, redis), **CALENDAR}
        with run_service(tmp_path, environment=variables) as service:
            async with connect(service.url, bot="smart_router") as peer:
                await peer.hear_out(timeout=REPLY_SECS)
                async with run_specialist(tmp_path / "first", "sales", variables) as specialist:
                    # Who is interrupted has no more words made, there either.
                    llm.word_secs = 0.2
                    await begin(peer, TELL)
                    before = llm.given_up
                    assert await say(peer, WAIT) == [YES]
                    async with asyncio.timeout(GIVE_UP_SECS):
                        while llm.given_up == before:  # noqa: ASYNC110 - the other process
                            await asyncio.sleep(0.05)

                    # Who dies in the midst of an answer is apologised for.
                    seen = await begin(peer, TELL)
                    specialist.process.kill()
                    llm.word_secs = 0
                    await peer.wait_for(
                        lambda m: m["type"] == "bot-tts-text" and APOLOGY in m["data"]["text"],
                        timeout=GIVE_UP_SECS,
                        after=seen,
                    )
                    await peer.hear_out(timeout=REPLY_SECS, after=seen)
                put = [m["data"] for m in peer.messages if m["type"] == "server-message"]
                assert [it["to"] for it in put if it["type"] == "put-through"] == [
                    *("sales", "switchboard")
                ]
                # The others are there, and who was put through to nobody is told so.
                assert await say(peer, PROBLEM) == [SAY["callcenter"], HELP]
                assert await say(peer, PRICE) == [SAY["sales"], APOLOGY]

                # Who is back answers, also when Redis was away in between.
                async with run_specialist(tmp_path / "second", "sales", variables):
                    assert " ".join(await say(peer, PRICE)) == f"{SAY['sales']} {NOTED}"
                    assert "calendar__notes" in dict(offered(llm))["Max"], "with its first answer"
                    redis.kill()
                    assert await say(peer, TELL) == [APOLOGY]
                    redis.start()
                    async with asyncio.timeout(GIVE_UP_SECS):
                        while APOLOGY in (said := await say(peer, PRICE)):
                            pass
                    assert " ".join(said) == f"{SAY['sales']} {NOTED}"
    assert rows(tmp_path / "first", "SELECT * FROM leads") == []


async def test_a_service_all_of_whose_bots_think_elsewhere_needs_no_language_model(
    tmp_path: Path, redis: RedisServer
) -> None:
    llm = Standin(key="sk-standin", heard="", reply=lambda _: YES)
    (tmp_path / "voice.yaml").write_text(ALL_ELSEWHERE)
    async with run_openai_standin(llm):
        variables = environment(llm, redis)
        here = {**variables, "PARLANTE_CONFIG": str(tmp_path / "voice.yaml")}
        async with run_specialist(tmp_path / "sales", "sales", variables):
            with run_service(tmp_path, environment=here) as service:
                async with connect(service.url, bot="sales") as peer:
                    await peer.hear_out(timeout=REPLY_SECS)
                    assert await say(peer, WAIT) == [YES]
    [(provider, amounts)] = rows(tmp_path, "SELECT provider, amounts FROM usage WHERE kind = 'llm'")
    assert (provider, json.loads(amounts)["prompt_tokens"]) == ("openai", 1000 * len(llm.chats))
