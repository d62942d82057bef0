"""A person with a browser and a microphone asks every bot for something that it must know.

The receptionist is asked more in `test_conversation.py`.
"""

import re
from pathlib import Path

import pytest

from tests.browser import Tab
from tests.e2e.conftest import OpenTab
from tests.e2e.test_conversation import Question, hear_answer, hear_greeting
from tests.script import HEARD
from tests.service import Service
from tests.speech import Listener, Speaker

pytestmark = [pytest.mark.long, pytest.mark.browser]


class Caller:
    """Calls bots, and writes down what they say."""

    def __init__(self, speaker: Speaker, listener: Listener, tmp_path: Path) -> None:
        self._speaker = speaker
        self._listener = listener
        self._tmp_path = tmp_path

    async def ask(self, tab: Tab, bot: str, question: Question) -> None:
        await tab.page.locator(f"input[value={bot}]").check()
        await hear_greeting(tab)
        await tab.record()
        await tab.say(await self._speaker.say(question.text), self._tmp_path)
        await hear_answer(tab, 1, question)
        said = await self._listener.hear(await tab.recorded(self._tmp_path))
        assert question.answer
        assert re.search(question.answer, said), said
        assert not tab.problems


@pytest.fixture
def caller(speaker: Speaker, listener: Listener, tmp_path: Path) -> Caller:
    return Caller(speaker, listener, tmp_path)


@pytest.mark.parametrize(
    ("bot", "question", "answer"),
    [
        pytest.param("sales", "What does the team plan cost?", "nineteen|19", id="sales"),
        pytest.param("callcenter", "My account is locked.", "(thirty|30) minutes", id="callcenter"),
        pytest.param(
            "smart_router", "Where can I leave my car?", "free|building", id="smart_router"
        ),
    ],
)
async def test_a_bot_on_offline_models_answers_in_sound(
    line: Service, caller: Caller, open_tab: OpenTab, bot: str, question: str, answer: str
) -> None:
    await caller.ask(await open_tab(line.url), bot, Question(question, answer))


@pytest.mark.parametrize(
    ("bot", "question", "answer"),
    [
        pytest.param("sandwich", "What does Team cost for ten people?", "ninety|90", id="sandwich"),
        pytest.param("realtime", HEARD, "closed on sunday", id="realtime"),
    ],
)
async def test_a_bot_for_larger_models_answers_in_sound(
    scripted: Service, caller: Caller, open_tab: OpenTab, bot: str, question: str, answer: str
) -> None:
    await caller.ask(await open_tab(scripted.url), bot, Question(question, answer))
