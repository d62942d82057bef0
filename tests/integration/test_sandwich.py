"""A call with the sandwich in the real service: a LangGraph agent between ears and mouth."""

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
from langgraph.checkpoint.sqlite import SqliteSaver

from runner.peer import connect
from tests.integration.test_call import REPLY_SECS, ask
from tests.integration.test_smart_router import HELP, environment, put_through
from tests.integration.test_smart_router import say as say_in_text
from tests.integration.test_transcript import entries, read_when
from tests.service import Service, run_service
from tests.shared_service import SharedService
from tests.speech import Speaker
from tests.standins.openai_server import OpenAIStandin, Reply, run_openai_standin

QUESTION = "What does Team cost for ten?"
QUOTE = ("quote", {"plan": "Team", "users": 10})
COST = {"plan": "Team", "users": 10, "dollars_a_month": 190}
ANSWER = "It costs one hundred and ninety dollars."
SENTENCES = [f"This is sentence number {number}." for number in ("one", "two", "three", "four")]
TELL = "Tell me about it."
WAIT = "Wait a moment."
YES = "Yes?"


def reply(messages: list[Any]) -> Reply:
    last = messages[-1]
    if last["role"] == "tool":
        return ANSWER
    return {QUESTION: QUOTE, TELL: " ".join(SENTENCES), WAIT: YES}[last["content"]]


def spoken(message: Any) -> Any:
    return (message["role"], message["content"])


async def test_a_call_with_a_tool_and_a_barge_in(
    cloud: SharedService, openai_port: int, speaker: Speaker
) -> None:
    openai = OpenAIStandin(key="sk-standin", heard=QUESTION, reply=reply)
    async with (
        run_openai_standin(openai, openai_port),
        cloud.alone() as service,
        connect(service.url, bot="sandwich") as peer,
    ):
        await peer.hear_out(timeout=REPLY_SECS)
        _, answer, voiced = await ask(peer, speaker, "What does it cost?")
        shown = [m["type"] for m in peer.messages if "function-call" in m["type"]]

        seen = len(peer.messages)
        peer.send("send-text", {"content": TELL})
        await peer.wait_for(
            lambda m: m["type"] == "bot-started-speaking", timeout=REPLY_SECS, after=seen
        )
        # The first sentence sounds for a second.
        await asyncio.sleep(1.5)
        seen = len(peer.messages)
        peer.send("send-text", {"content": WAIT})
        await peer.hear_out(timeout=REPLY_SECS, after=seen)
        transcript = await read_when(service.url, peer.session_id, entries(8))
    session_id = peer.session_id.partition(".")[0]

    assert answer.strip() == ANSWER
    assert voiced > 0.5
    # Once, though the turn was likely over before it was: an agent is not asked ahead.
    assert [spoken(chat["messages"][-1]) for chat in openai.chats] == [
        ("user", QUESTION),
        ("tool", json.dumps(COST)),
        ("user", TELL),
        ("user", WAIT),
    ]
    assert [name.removeprefix("llm-function-call-") for name in shown] == [
        *("started", "in-progress", "stopped")
    ]
    _, asked, tool, answered, tell, told, wait, yes = transcript["entries"]
    assert (tool["tool"], tool["outcome"], tool["result"]) == ("quote", "completed", COST)
    assert [entry["heard"] for entry in (asked, answered, tell, wait, yes)] == [
        *(QUESTION, ANSWER, TELL, WAIT, YES)
    ]
    assert told["interrupted"]
    assert told["generated"] == " ".join(SENTENCES)
    assert told["heard"] in [" ".join(SENTENCES[:count]) for count in (1, 2, 3)]
    # What the agent remembers is what was heard, in its memory too.
    assert spoken(openai.chats[-1]["messages"][-2]) == ("assistant", told["heard"])
    assert await kept(service.data, session_id) == [
        *(QUESTION, "", json.dumps(COST), f"{ANSWER} ", TELL, told["heard"], WAIT, f"{YES} ")
    ]


async def kept(folder: Path, thread: str) -> list[str]:
    with SqliteSaver.from_conn_string(str(folder / "threads.db")) as saver:
        found = saver.get_tuple({"configurable": {"thread_id": thread}})
    assert found
    greeting, *messages = found.checkpoint["channel_values"]["messages"]
    assert greeting.text.startswith("Quillworks")
    return [message.text for message in messages]


async def test_any_agent_is_the_brain_that_voice_yaml_names(
    cloud: SharedService, openai_port: int
) -> None:
    openai = OpenAIStandin(key="sk-standin", heard="", reply=reply)
    async with (
        run_openai_standin(openai, openai_port),
        cloud.alone() as service,
        connect(service.url, bot="echo") as peer,
    ):
        await peer.hear_out(timeout=REPLY_SECS)
        seen = len(peer.messages)
        peer.send("send-text", {"content": TELL})
        await peer.hear_out(timeout=REPLY_SECS, after=seen)
    assert openai.spoken[-1].strip() == f"You said: {TELL}"
    assert openai.chats == []


async def test_a_model_that_is_too_small_is_refused_in_words(service: Service) -> None:
    assert "is refused calls" in service.log
    wish = {"body": {"bot": "sandwich"}}
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{service.url}/start", json=wish) as response,
    ):
        assert response.status == 422
        assert "too small" in str(await response.json())


async def test_the_agent_puts_a_caller_through(tmp_path: Path) -> None:
    problem, say = "I cannot log in.", "My colleague in support knows that."

    def reply(messages: list[Any]) -> Reply:
        if "You are Sam" in messages[0]["content"]:
            return HELP
        return put_through("callcenter", "cannot log in", say)

    openai = OpenAIStandin(key="sk-standin", heard=problem, reply=reply)
    team = {"PARLANTE_BOTS__SANDWICH__SPECIALISTS": '["callcenter"]'}
    async with run_openai_standin(openai):
        with run_service(tmp_path, environment=environment(openai, **team)) as service:
            async with connect(service.url, bot="sandwich") as peer:
                await peer.hear_out(timeout=REPLY_SECS)
                assert await say_in_text(peer, problem) == [say, HELP]
            assert "ERROR" not in service.log
