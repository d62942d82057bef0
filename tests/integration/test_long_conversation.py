"""A conversation that has become longer than the language model is given."""

from pathlib import Path

import pytest

from runner.peer import connect
from tests.integration.test_call import REPLY_SECS
from tests.integration.test_transcript import read
from tests.service import run_service
from tests.standins.openai_server import OpenAIStandin, always, run_openai_standin

pytestmark = pytest.mark.long

CONTEXT_TOKENS = 600
SUMMARY = "They want to know everything about parking."
LONG = "And where may I leave my car if that car park is full as well? " * 5
TURNS = 12


async def test_its_beginning_is_summarised_and_the_transcript_stays_whole(tmp_path: Path) -> None:
    standin = OpenAIStandin(
        key="sk-standin", heard="", reply=always("Behind the house."), summary=SUMMARY
    )
    async with run_openai_standin(standin):
        environment = {
            "OPENAI_API_KEY": standin.key,
            "OPENAI_BASE_URL": standin.url,
            "PARLANTE_VOICE__PROVIDERS__OPENAI__LLM__CONTEXT_TOKENS": str(CONTEXT_TOKENS),
        }
        with run_service(tmp_path, environment=environment) as service:
            async with connect(service.url) as peer:
                await peer.hear_out(timeout=REPLY_SECS)
                for number in range(TURNS):
                    seen = len(peer.messages)
                    peer.send("send-text", {"content": f"Question {number}. {LONG}"})
                    await peer.hear_out(timeout=REPLY_SECS, after=seen)
                whole = await read(service.url, peer.session_id)

    assert standin.summarised
    [_, asked] = standin.summarised[0]["messages"]
    assert "Question 0." in asked["content"]
    lengths = [len(chat["messages"]) for chat in standin.chats]
    assert max(lengths) < 2 * TURNS
    last = standin.chats[-1]["messages"]
    assert SUMMARY in str(last)
    assert "Question 0." not in str(last)
    assert f"Question {TURNS - 1}." in last[-1]["content"]
    said = [entry["heard"] for entry in whole["entries"] if entry["speaker"] == "user"]
    assert [f"Question {number}." in text for number, text in enumerate(said)] == [True] * TURNS
