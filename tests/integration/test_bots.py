"""What the tools of bots do in a call, and what happens when they do not."""

import sqlite3
from contextlib import closing
from typing import Any

import pytest

from runner.peer import connect
from tests.integration.test_call import REPLY_SECS
from tests.integration.test_transcript import entries, read_when
from tests.shared_service import SharedService
from tests.slow_bot import SECRET
from tests.standins.openai_server import OpenAIStandin, Reply, always, run_openai_standin

LEAD = {"name": "Dana Whitfield", "contact": "dana at example dot com", "needs": "invoices"}
PROBLEM = {"name": "Dana Whitfield", "contact": "555 0134", "problem": "She cannot log in."}
DONE = "I have written that down."
SORRY = "I am sorry, that did not work."


@pytest.mark.parametrize(
    ("bot", "tool", "arguments", "kept", "row"),
    [
        ("sales", "save_lead", LEAD, "SELECT contact_key, needs FROM leads",
         ("dana@example.com", "invoices")),
        ("callcenter", "open_ticket", PROBLEM, "SELECT contact_key, problem FROM tickets",
         ("5550134", "She cannot log in.")),
    ],
    ids=["sales", "callcenter"],
)  # fmt: skip
async def test_what_a_caller_wants_is_written_down(
    cloud: SharedService,
    openai_port: int,
    bot: str,
    tool: str,
    arguments: dict[str, str],
    kept: str,
    row: tuple[str, str],
) -> None:
    def reply(messages: list[Any]) -> Reply:
        return DONE if messages[-1]["role"] == "tool" else (tool, arguments)

    standin = OpenAIStandin(key="sk-standin", heard="", reply=reply)
    async with (
        run_openai_standin(standin, openai_port),
        cloud.alone() as service,
        connect(service.url, bot=bot) as peer,
    ):
        await peer.hear_out(timeout=REPLY_SECS)
        seen = len(peer.messages)
        peer.send("send-text", {"content": "Please write that down."})
        await peer.hear_out(timeout=REPLY_SECS, after=seen)
        transcript = await read_when(service.url, peer.session_id, entries(4))

    [told] = [entry for entry in transcript["entries"] if entry.get("tool") == tool]
    assert told["result"]["written_down"] is True
    assert transcript["entries"][-1]["heard"] == DONE
    with closing(sqlite3.connect(service.data / "parlante.db")) as database:
        assert database.execute(kept).fetchall() == [row]


@pytest.mark.parametrize(
    ("tool", "outcome"), [("wait_for_ever", "timed_out"), ("break_down", "failed")]
)
async def test_a_conversation_goes_on_when_a_tool_does_not(
    cloud: SharedService, openai_port: int, tool: str, outcome: str
) -> None:
    def reply(messages: list[Any]) -> Reply:
        return SORRY if messages[-1]["role"] == "tool" else (tool, {})

    standin = OpenAIStandin(key="sk-standin", heard="", reply=reply)
    async with (
        run_openai_standin(standin, openai_port),
        cloud.alone() as service,
        connect(service.url, bot="slow") as peer,
    ):
        await peer.hear_out(timeout=REPLY_SECS)
        seen = len(peer.messages)
        peer.send("send-text", {"content": "Please do it."})
        await peer.hear_out(timeout=REPLY_SECS, after=seen)
        transcript = await read_when(service.url, peer.session_id, entries(4))

    [told] = [entry for entry in transcript["entries"] if entry.get("tool") == tool]
    assert told["outcome"] == outcome
    shown = [m["data"] for m in peer.messages if m["type"] == "server-message"]
    [failed] = [it for it in shown if it["type"] == "tool-failed"]
    assert (failed["tool_call_id"], failed["outcome"]) == (told["call_id"], outcome)
    assert transcript["entries"][-1]["heard"] == SORRY
    results = [message for message in standin.chats[-1]["messages"] if message["role"] == "tool"]
    assert len(results) == 1
    assert SECRET not in str(standin.chats)


async def test_what_is_written_for_the_eye_is_spoken_for_the_ear_and_kept_as_it_was(
    cloud: SharedService, openai_port: int
) -> None:
    written = "It costs $5, **Dana**."
    standin = OpenAIStandin(key="sk-standin", heard="", reply=always(written))
    async with (
        run_openai_standin(standin, openai_port),
        cloud.alone() as service,
        connect(service.url, bot="reader") as peer,
    ):
        await peer.hear_out(timeout=REPLY_SECS)
        for _ in range(2):
            seen = len(peer.messages)
            peer.send("send-text", {"content": "What does it cost?"})
            await peer.hear_out(timeout=REPLY_SECS, after=seen)
    assert standin.spoken[-1].strip() == "It costs five dollars, Day na."
    remembered = [m["content"] for m in standin.chats[-1]["messages"] if m["role"] == "assistant"]
    assert remembered[-1] == written
