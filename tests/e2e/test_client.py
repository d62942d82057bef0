"""What a person can do with our page, and what can go wrong for them."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from playwright.async_api import expect

from bots.config import AnnouncementConfig
from tests.browser import LOUD, Microphone, Span, Tab
from tests.e2e.conftest import OpenTab
from tests.service import Service, free_port, get, run_service, until_no_session
from tests.speech import Speaker, silence, words_wrong

pytestmark = pytest.mark.browser

CONNECT_SECS = 40
REPLY_SECS = 40
HANG_UP_SECS = 15
SILENT_WITHIN_SECS = 1.5
"""From the user's first sound until the bot is not heard any more: it takes half a second of
speech to interrupt, and the rest is on the way."""

BACK = AnnouncementConfig().back
QUESTION = "Is there somewhere to leave my car?"


async def start_and_hear_greeting(tab: Tab) -> None:
    await tab.page.get_by_role("button", name="Start conversation").click()
    await tab.until_bot_is_done(0, CONNECT_SECS)


async def tab_to(tab: Tab, name: str) -> None:
    """Move the focus to a button, by the keyboard alone."""
    for _ in range(20):
        await tab.page.keyboard.press("Tab")
        if await tab.page.get_by_role("button", name=name).evaluate(
            "(button) => button === document.activeElement"
        ):
            return
    pytest.fail(f"the keyboard does not reach {name!r}")


async def alert(tab: Tab) -> str:
    card = tab.page.get_by_role("alert")
    await card.wait_for(timeout=CONNECT_SECS * 1000)
    return await card.inner_text()


async def test_the_user_interrupts_the_bot_and_is_answered(
    line: Service, speaker: Speaker, open_tab: OpenTab, tmp_path: Path
) -> None:
    tab = await open_tab(line.url)
    await tab.page.get_by_role("button", name="Start conversation").click()
    await tab.until("() => window.__ears.levels.some(([, level]) => level > 0.02)", CONNECT_SECS)
    said = await tab.say(await speaker.say(QUESTION), tmp_path)
    silent_from = said.from_ms + SILENT_WITHIN_SECS * 1000

    levels = await tab.heard("levels")
    assert max(level for at, level in levels if at < said.from_ms) > LOUD, "the bot was speaking"
    later = [level for at, level in levels if silent_from < at < said.to_ms]
    assert later
    assert max(later) < LOUD, "the bot still speaks, over the user"
    greeting = (await tab.entries("bot"))[0]
    assert greeting.is_interrupted
    assert "help you" not in greeting.text, "only what was heard is shown"

    await tab.until_transcripts(1, REPLY_SECS)
    await tab.until_bot_is_done(said.to_ms, REPLY_SECS)
    [heard] = await tab.final_transcripts()
    assert words_wrong(QUESTION, heard) <= 1
    answer = (await tab.entries("bot"))[-1]
    assert not answer.is_interrupted
    assert "free" in answer.text.lower() or "behind" in answer.text.lower()
    assert await tab.voiced_secs(Span(said.to_ms, await tab.now_ms())) > 1

    await tab.page.get_by_role("button", name="Response times").click()
    times = tab.page.get_by_role("group", name="Response times")
    for part in ("Answered after", "Noticing the silence", "Making the voice", "round trip"):
        await expect(times).to_contain_text(part)
    await expect(tab.page.get_by_role("img", name="Good connection")).to_be_visible()
    assert not tab.problems


@pytest.mark.long
async def test_a_muted_user_is_not_heard_and_the_keyboard_is_enough_for_a_call(
    line: Service, speaker: Speaker, open_tab: OpenTab, tmp_path: Path
) -> None:
    tab = await open_tab(line.url)
    await tab_to(tab, "Start conversation")
    await tab.page.keyboard.press("Enter")
    await tab.until_bot_is_done(0, CONNECT_SECS)

    await tab.page.keyboard.press("m")
    mute = tab.page.get_by_role("button", name="Unmute microphone")
    await mute.wait_for(timeout=5000)
    secret = await speaker.say("What would I have to pay for a flu shot?")
    muted = await tab.say(np.concatenate([secret, silence(1)]), tmp_path)

    await tab_to(tab, "Unmute microphone")
    await tab.page.keyboard.press("Space")
    mute = tab.page.get_by_role("button", name="Mute microphone", exact=True)
    await mute.wait_for(timeout=5000)
    assert not await tab.messages("user-transcription")
    assert not await tab.messages("user-started-speaking")

    said = await tab.say(await speaker.say(QUESTION), tmp_path)
    await tab.until_transcripts(1, REPLY_SECS)
    await tab.until_bot_is_done(said.from_ms, REPLY_SECS)
    [heard] = await tab.final_transcripts(muted.from_ms)
    assert words_wrong(QUESTION, heard) <= 1

    await tab_to(tab, "End call")
    await tab.page.keyboard.press("Enter")
    await tab.page.get_by_text("Call ended").first.wait_for(timeout=HANG_UP_SECS * 1000)
    focused = await tab.page.evaluate("document.activeElement.innerText")
    assert "Start conversation" in focused, "the next call is one key away"
    assert not tab.problems


@pytest.mark.long
async def test_two_tabs_have_a_call_each_which_a_closed_tab_ends_and_a_reload_takes_up_again(
    line: Service, open_tab: OpenTab
) -> None:
    one = await open_tab(line.url)
    two = await open_tab(line.url, beside=one)
    await asyncio.gather(start_and_hear_greeting(one), start_and_hear_greeting(two))
    for tab in (one, two):
        assert await tab.voiced_secs(Span(0, await tab.now_ms())) > 1.5, "both are greeted"
    assert (await get(f"{line.url}/ready"))["sessions"] == 2

    await two.page.close()
    await until_sessions(line.url, 1)
    [session] = [s for s in await sessions(line.url) if s["participant_count"] == 2]
    await one.page.reload()
    await one.until_bot_is_done(0, CONNECT_SECS)
    assert [entry.text for entry in await one.entries("bot")] == [BACK], "and no greeting"
    assert await one.voiced_secs(Span(0, await one.now_ms())) > 0.2
    assert (await get(f"{line.url}/ready"))["sessions"] == 1

    await one.page.get_by_role("button", name="End call").click()
    await one.page.get_by_text("Call ended").first.wait_for(timeout=HANG_UP_SECS * 1000)
    await until_no_session(line.url, timeout=HANG_UP_SECS)
    [ended] = [s for s in await sessions(line.url) if s["session_id"] == session["session_id"]]
    assert ended["end_reason"] == "hung_up"
    await one.page.reload()
    await one.page.get_by_role("button", name="Start conversation").wait_for(timeout=5000)
    assert not one.problems + two.problems


async def sessions(url: str) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = (await get(f"{url}/voice/realtime/sessions"))["sessions"]
    return listed


@pytest.mark.long
async def test_a_call_goes_on_by_itself_when_the_service_was_killed_and_is_back(
    open_tab: OpenTab, tmp_path: Path
) -> None:
    port = str(free_port())
    with run_service(tmp_path, "--port", port) as service:
        tab = await open_tab(service.url)
        await start_and_hear_greeting(tab)
        service.process.kill()
        service.process.wait()
    killed_at = await tab.now_ms()
    with run_service(tmp_path, "--port", port) as service:
        await tab.until_bot_is_done(killed_at, CONNECT_SECS)
        said = [entry.text for entry in await tab.entries("bot")]
        assert said[0].startswith("Willowbrook")
        assert said[1:] == [BACK]
        assert await tab.voiced_secs(Span(killed_at, await tab.now_ms())) > 0.2
        [session] = await sessions(service.url)
        assert session["participant_count"] == 2
        await tab.page.get_by_role("button", name="End call").click()
        await until_no_session(service.url, timeout=HANG_UP_SECS)


async def until_sessions(url: str, count: int) -> None:
    async with asyncio.timeout(HANG_UP_SECS):
        while (await get(f"{url}/ready"))["sessions"] != count:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.1)


async def test_the_agents_of_the_service_are_listed(line: Service, open_tab: OpenTab) -> None:
    tab = await open_tab(line.url)
    agents = tab.page.get_by_role("radio")
    await agents.first.wait_for(timeout=CONNECT_SECS * 1000)
    offered = await get(f"{line.url}/agents")
    shown = [await agent.get_attribute("value") for agent in await agents.all()]
    assert shown == [agent["name"] for agent in offered["agents"]]
    assert await tab.page.locator("input:checked").get_attribute("value") == offered["default"]
    for agent in offered["agents"]:
        assert await tab.page.get_by_text(agent["description"]).is_visible()
    assert not tab.problems


@pytest.mark.parametrize(
    ("microphone", "title"),
    [("denied", "The microphone is blocked."), ("missing", "No microphone was found.")],
)
async def test_without_a_microphone_the_user_is_told_why_and_can_try_again(
    line: Service, open_tab: OpenTab, microphone: Microphone, title: str
) -> None:
    tab = await open_tab(line.url, microphone=microphone)
    await tab.page.get_by_role("button", name="Start conversation").click()
    assert title in await alert(tab)
    assert (await get(f"{line.url}/ready"))["sessions"] == 0, "no line is taken for nothing"
    await tab.page.get_by_role("button", name="Try again").click()
    assert title in await alert(tab)
    assert await tab.page.get_by_role("button", name="Start conversation").is_enabled()
    assert not tab.problems


@pytest.fixture(scope="module")
def single_line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service for one call at a time."""
    limits = {
        "PARLANTE_VOICE__REALTIME__LIMITS__SESSIONS": "1",
        "PARLANTE_VOICE__REALTIME__LIMITS__JOIN_TIMEOUT": "8",
    }
    with run_service(tmp_path_factory.mktemp("service"), environment=limits) as service:
        yield service


@pytest.mark.long
async def test_when_all_lines_are_busy_the_user_is_told_and_gets_through_later(
    single_line: Service, open_tab: OpenTab
) -> None:
    tab = await open_tab(single_line.url)
    async with (
        aiohttp.ClientSession(single_line.url) as http,
        http.post("/start", json={}) as response,
    ):
        assert response.status == 200
    await tab.page.get_by_role("button", name="Start conversation").click()
    assert "All lines are busy" in await alert(tab)
    await until_no_session(single_line.url, timeout=HANG_UP_SECS)
    await tab.page.get_by_role("button", name="Try again").click()
    await tab.until_bot_is_done(0, CONNECT_SECS)
    assert await tab.page.get_by_role("alert").count() == 0
