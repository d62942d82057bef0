"""The same agent, step by step or by one model that hears and speaks."""

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import OpenTab
from tests.e2e.test_client import REPLY_SECS, start_and_hear_greeting
from tests.faulty_call import KEY
from tests.shared_service import SharedService
from tests.speech import Speaker
from tests.standins.openai_realtime import RealtimeStandin, run_realtime_standin

pytestmark = [pytest.mark.long, pytest.mark.browser]

QUESTION = "Are you open on Sunday?"
ANSWER = "No, we are closed on Sundays."


def reply(items: list[dict[str, Any]]) -> str:
    return ANSWER if "transcript" in items[-1]["content"][0] else "Hello, how can I help you?"


async def test_who_chooses_speech_to_speech_talks_with_one_model_and_need_not_choose_again(
    half_cloud: SharedService,
    realtime_port: int,
    open_tab: OpenTab,
    speaker: Speaker,
    tmp_path: Path,
) -> None:
    standin = RealtimeStandin(key=KEY, model="gpt-realtime", heard=[QUESTION], reply=reply)
    async with run_realtime_standin(standin, realtime_port), half_cloud.alone() as service:
        tab = await open_tab(service.url)
        choice = tab.page.get_by_role("radio", name="Speech to speech", exact=True)
        await choice.check()
        assert await tab.page.get_by_text("one model hears you and speaks").is_visible()
        await start_and_hear_greeting(tab)
        said = await tab.say(await speaker.say(QUESTION), tmp_path)
        await tab.until_bot_is_done(said.to_ms, REPLY_SECS)
        assert (await tab.entries("user"))[-1].text == QUESTION
        assert (await tab.entries("bot"))[-1].text == ANSWER
        await tab.page.get_by_role("button", name="End call").click()
        await choice.wait_for()
        assert await choice.is_checked()
        await tab.page.reload()
        await choice.wait_for()
        assert await choice.is_checked()
        assert len(standin.sessions) > 0
        assert not standin.wrong
        assert not tab.problems
