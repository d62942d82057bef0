"""A conversation in writing, and how it goes on by voice."""

from pathlib import Path

import pytest

from bots.config import AnnouncementConfig
from tests.browser import LOUD, Span, Tab
from tests.e2e.conftest import OpenTab
from tests.e2e.test_client import CONNECT_SECS, HANG_UP_SECS, REPLY_SECS, alert, sessions
from tests.service import Service, get, until_no_session
from tests.speech import Speaker, words_wrong

pytestmark = pytest.mark.browser

QUESTION = "Is there somewhere to leave my car?"


async def begin_to_write(tab: Tab) -> None:
    await tab.page.get_by_role("button", name="Write instead").click()
    await tab.until_told("bot-ready", CONNECT_SECS)
    await tab.until_bot_is_done(0, CONNECT_SECS)


async def write(tab: Tab, words: str) -> str:
    """Send a message; return what is answered."""
    before = len(await tab.entries("bot"))
    await tab.page.get_by_role("textbox").fill(words)
    await tab.page.keyboard.press("Enter")
    await tab.until(
        """(before) => {
          const said = [...document.querySelectorAll("[data-role=bot]")];
          return said.length > before && said.at(-1).dataset.final === "true";
        }""",
        REPLY_SECS,
        before,
    )
    return " ".join(entry.text for entry in (await tab.entries("bot"))[before:])


async def test_who_has_no_microphone_writes_and_reads_and_is_told_when_one_is_needed(
    line: Service, open_tab: OpenTab
) -> None:
    tab = await open_tab(line.url, microphone="missing")
    await begin_to_write(tab)
    asked_at = await tab.now_ms()
    answer = await write(tab, QUESTION)
    assert "free" in answer.lower() or "behind" in answer.lower()
    assert [entry.text for entry in await tab.entries("user")] == [QUESTION]
    assert not await tab.messages("bot-started-speaking", asked_at), "no voice is made for it"
    heard = [level for at, level in await tab.heard("levels") if at > asked_at]
    assert max(heard, default=0) < LOUD

    await tab.page.get_by_role("button", name="Go on by voice").click()
    assert "No microphone was found." in await alert(tab)
    await tab.page.get_by_role("button", name="Dismiss").click()
    assert await write(tab, "Are you open on Sunday?"), "the conversation goes on"

    [session] = [s for s in await sessions(line.url) if s["participant_count"] == 2]
    address = f"{line.url}/voice/realtime/session/{session['session_id']}/transcript"
    turns = [e for e in (await get(address))["entries"] if e["type"] == "turn"]
    assert QUESTION in [turn["heard"] for turn in turns if turn["speaker"] == "user"]
    assert answer in " ".join(turn["heard"] for turn in turns if turn["speaker"] == "bot")
    await tab.page.get_by_role("button", name="End call").click()
    await tab.page.get_by_text("Call ended").first.wait_for(timeout=HANG_UP_SECS * 1000)
    await until_no_session(line.url, timeout=HANG_UP_SECS)
    assert not tab.problems


@pytest.mark.long
async def test_a_conversation_in_writing_goes_on_by_voice_and_back(
    line: Service, speaker: Speaker, open_tab: OpenTab, tmp_path: Path
) -> None:
    tab = await open_tab(line.url)
    await begin_to_write(tab)
    await write(tab, "Are you open on Sunday?")

    await tab.page.get_by_role("button", name="Go on by voice").click()
    await tab.page.get_by_role("button", name="Go on in writing").wait_for(timeout=5000)
    said = await tab.say(await speaker.say(QUESTION), tmp_path)
    await tab.until_transcripts(1, REPLY_SECS)
    await tab.until_bot_is_done(said.to_ms, REPLY_SECS)
    [heard] = await tab.final_transcripts()
    assert words_wrong(QUESTION, heard) <= 1
    assert await tab.voiced_secs(Span(said.to_ms, await tab.now_ms())) > 1

    await tab.page.get_by_role("button", name="Go on in writing").click()
    assert await write(tab, "Thank you.")
    shown = [entry.text for entry in await tab.entries("user")]
    assert shown == ["Are you open on Sunday?", heard, "Thank you."]
    assert (await get(f"{line.url}/ready"))["sessions"] == 1, "it is one conversation"

    await tab.page.reload()
    await tab.page.get_by_role("textbox").wait_for(timeout=CONNECT_SECS * 1000)
    await tab.until_bot_is_done(0, CONNECT_SECS)
    assert [entry.text for entry in await tab.entries("bot")] == [AnnouncementConfig().back]
    assert not tab.problems
