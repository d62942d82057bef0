"""A language model on a server of one's own reads along, and one that is paid for does not."""

import re
from pathlib import Path
from typing import Any

import pytest

from runner.peer import connect
from tests.integration.test_call import REPLY_SECS, ask
from tests.service import OFFLINE_SPEECH, run_service
from tests.speech import Speaker
from tests.standins.openai_server import OpenAIStandin, always, run_openai_standin

QUESTION = "I would like to know until when you are open on Friday evenings in the summer."
ANSWER = "We close at six."


def words_asked(chat: dict[str, Any]) -> list[str]:
    """Return what the user has said last, without the facts that it is sent with."""
    said = [m["content"] for m in chat["messages"] if m["role"] == "user"]
    question = said[-1].removeprefix("Caller: ").partition("\n\nFacts")[0] if said else ""
    return re.findall(r"\w+", question.lower())


@pytest.mark.parametrize("is_free", [True, False])
async def test_it_reads_what_is_said_so_far_if_it_may_be_asked_in_vain(
    tmp_path: Path, speaker: Speaker, is_free: bool
) -> None:
    standin = OpenAIStandin(key="sk-standin", heard="", reply=always(ANSWER))
    async with run_openai_standin(standin):
        environment = {
            **OFFLINE_SPEECH,
            "OPENAI_API_KEY": standin.key,
            "OPENAI_BASE_URL": standin.url,
            "PARLANTE_VOICE__PROVIDERS__OPENAI__LLM__FREE": str(is_free),
        }
        with run_service(tmp_path, environment=environment) as service:
            async with connect(service.url) as peer:
                await peer.hear_out(timeout=REPLY_SECS)
                _, answer, _ = await ask(peer, speaker, QUESTION)
    assert answer.strip() == ANSWER
    asked = [words_asked(chat) for chat in standin.chats]
    beginnings = [words for words in asked if 2 <= len(words) < len(asked[-1]) - 3]
    assert bool(beginnings) is is_free
    assert ([] in asked) is is_free, "the instructions are read when the call begins"
