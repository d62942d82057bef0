"""Tools of an MCP server in a call: what the language model is told, and what the caller hears."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bots.config import AnnouncementConfig
from bots.mcp_servers import LATE
from bots.trust import REFUSAL
from tests.faulty_call import KEY, QUESTION, faulty_call, resources_for
from tests.service import ROOT
from tests.speech import Speaker
from tests.standins.mcp_server import COMMAND, ORDER
from tests.standins.openai_realtime import RealtimeStandin, run_realtime_standin
from tests.standins.openai_server import OpenAIStandin, Reply

TOOL_SECS = 3
CALENDAR = {**COMMAND, "env": {"PYTHONPATH": str(ROOT)}, "timeout": TOOL_SECS}
CANCEL = ("cancel_appointment", {"appointment_id": 1})
ANSWER = "I could not find that out."
HANG: Reply = ("calendar__hang", {})
ONE_MOMENT = AnnouncementConfig().one_moment


def results(chat: dict[str, Any]) -> list[str]:
    """Return what a language model was told of tools, in a request."""
    return [message["content"] for message in chat["messages"] if message["role"] == "tool"]


def reply_by_results(*replies: Reply) -> Callable[[list[Any]], Reply]:
    """Answer by how many results of tools, and words of the bot, there are by now."""
    return lambda messages: replies[
        sum(m["role"] in ("tool", "assistant") and m.get("content") is not None for m in messages)
    ]


@pytest.fixture
def services(first: OpenAIStandin) -> dict[str, Any]:
    everywhere = {"openai": first.url}
    return {"stt": everywhere, "llm": everywhere, "tts": everywhere, "failover": {}}


async def test_what_a_server_says_has_no_appointment_cancelled_until_the_caller_agrees(
    tmp_path: Path, speaker: Speaker, first: OpenAIStandin, services: dict[str, Any]
) -> None:
    first.reply = reply_by_results(
        ("calendar__notes", {"day": "Monday"}),
        CANCEL,
        "Shall I cancel your appointment?",
        CANCEL,
        "There is no such appointment.",
    )
    async with resources_for(tmp_path, mcp={"calendar": CALENDAR}, **services) as resources:
        await resources.mcp_servers.count_tools("calendar")
        async with faulty_call(resources, speaker) as call:
            assert (await call.ask()).said.generated == "Shall I cancel your appointment?"
            assert (await call.ask()).said.generated == "There is no such appointment."
    notes, refused, allowed = results(first.chats[-1])
    assert ORDER in notes
    assert REFUSAL["error"] in refused
    assert "not_found" in allowed, "it ran"


@pytest.mark.long
async def test_speech_to_speech_it_has_none_cancelled_either_though_words_are_written_down_late(
    tmp_path: Path, speaker: Speaker, services: dict[str, Any]
) -> None:
    replies: list[Reply] = [
        ("calendar__notes", {"day": "Monday"}),
        CANCEL,
        "Shall I cancel your appointment?",
        CANCEL,
        "There is no such appointment.",
    ]
    told: list[str] = []

    def reply(items: list[Any]) -> Reply:
        told[:] = [it["output"] for it in items if it["type"] == "function_call_output"]
        said = [it for it in items if it.get("role") == "assistant"]
        return replies[len(told) + len(said)]

    standin = RealtimeStandin(KEY, "gpt-realtime", [QUESTION, "Yes, please."], reply)
    # When it is written down what the caller has said, all has been done about it.
    # What the caller has said is written down behind what the server has.
    standin.think_secs, standin.transcript_secs = 1.5, 2.0
    async with run_realtime_standin(standin):
        services["realtime"] = {"openai": standin.url}
        async with resources_for(tmp_path, mcp={"calendar": CALENDAR}, **services) as resources:
            await resources.mcp_servers.count_tools("calendar")
            async with faulty_call(resources, speaker) as call:
                assert (await call.ask()).said.generated == "Shall I cancel your appointment?"
                assert (await call.ask()).said.generated == "There is no such appointment."
    notes, refused, allowed = told
    assert ORDER in notes
    assert REFUSAL["error"] in refused
    assert "not_found" in allowed, "it ran"
    assert not standin.wrong


async def test_who_waits_for_a_tool_is_told_so_and_told_that_nothing_came(
    tmp_path: Path, speaker: Speaker, first: OpenAIStandin, services: dict[str, Any]
) -> None:
    first.reply = lambda messages: ANSWER if LATE["error"] in str(messages) else HANG
    services["announcements"] = {"one_moment_after": 0.3}
    async with resources_for(tmp_path, mcp={"calendar": CALENDAR}, **services) as resources:
        await resources.mcp_servers.count_tools("calendar")
        async with faulty_call(resources, speaker) as call:
            answer = await call.ask()
            if ANSWER not in answer.said.generated:
                answer_turn = await call.witness.answer(len(call.witness.turns))
                assert ANSWER in answer_turn.generated
            heard = [turn.heard for turn in call.witness.turns]
    assert first.spoken == [ONE_MOMENT, ANSWER]
    assert LATE["error"] in results(first.chats[-1])[0]
    assert ONE_MOMENT in " ".join(heard)
