"""A person talks to bots by the pages of the JSON protocols."""

import re
from pathlib import Path

import aiohttp
import numpy as np
import pytest
from playwright.async_api import CDPSession, expect

from tests.browser import LOUD, Microphone, Span, Tab
from tests.e2e.conftest import OpenTab
from tests.service import Service, free_port, get, run_service, until_no_session
from tests.speech import Listener, Speaker, silence, words_wrong

pytestmark = pytest.mark.browser

PAGES = ("push-to-talk", "sandwich", "realtime")
CONNECT_SECS = 40
REPLY_SECS = 60
HANG_UP_SECS = 15
SILENT_WITHIN_SECS = 0.3
"""From what silences the bot until it is not heard any more, on a machine that is busy."""

QUESTION = "Are you open on Saturday?"
LONG_QUESTION = "What would I have to pay for a flu shot?"
OVER_IT = "Please stop. How late are you there on Thursdays?"


async def open_page(
    open_tab: OpenTab, service: Service, page: str, microphone: Microphone = "spoken"
) -> Tab:
    url = f"{service.url}/#/{page}"
    return await open_tab(url, origins=(service.url,), microphone=microphone)


async def start(tab: Tab) -> None:
    await tab.page.get_by_role("button", name="Start").click()
    await tab.until_state("listening", CONNECT_SECS)


async def until_answers(tab: Tab, count: int) -> None:
    """Wait until so many answers are over, and the user may speak."""
    await tab.until(
        """(count) => document.querySelectorAll("[data-role=bot][data-final=true]").length >= count
          && document.querySelector("[data-voice-state=listening]")""",
        REPLY_SECS,
        count,
    )


async def until_each_step(tab: Tab, count: int) -> None:
    """Wait until so many utterances were heard, and the last one is answered in sound.

    On a busy machine the end of an utterance may be heard too early: then it is answered twice.
    """
    await tab.until(
        """(count) => document.querySelectorAll("[data-role=user][data-final=true]").length >= count
          && document.querySelectorAll("[data-step][data-done=true]").length === 3
          && document.querySelector("[data-voice-state=listening]")""",
        REPLY_SECS,
        count,
    )


async def until_heard(tab: Tab, after_ms: float) -> float:
    """Wait until the bot's voice sounds; return when it was heard first."""
    await tab.until(
        """([after, loud]) => window.__ears.levels.some(
          ([at, level]) => at > after && level > loud)""",
        REPLY_SECS,
        [after_ms, 4 * LOUD],
    )
    levels = await tab.heard("levels")
    return float(next(at for at, level in levels if at > after_ms and level > 4 * LOUD))


async def end(tab: Tab, service: Service) -> None:
    await tab.page.get_by_role("button", name="End call").click()
    await tab.page.get_by_text("Call ended.").wait_for(timeout=HANG_UP_SECS * 1000)
    await until_no_session(service.url, timeout=HANG_UP_SECS)
    assert not tab.problems


async def asked(tab: Tab) -> list[str]:
    return [entry.text for entry in await tab.entries("user")]


async def touch(client: CDPSession, kind: str, at: tuple[float, float] | None = None) -> None:
    points = [{"x": at[0], "y": at[1]}] if at else []
    await client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


@pytest.mark.long
async def test_a_button_is_held_by_mouse_and_keyboard_and_the_answer_sounds(
    line: Service, speaker: Speaker, listener: Listener, open_tab: OpenTab, tmp_path: Path
) -> None:
    tab = await open_page(open_tab, line, "push-to-talk")
    await tab.page.locator("input[value=receptionist]").check()
    await start(tab)
    hold = tab.page.locator(".hold")
    question = await speaker.say(QUESTION)

    # By mouse, which leaves the button meanwhile.
    await tab.record()
    await hold.hover()
    await tab.page.mouse.down()
    await tab.page.mouse.move(5, 5)
    await tab.say(question, tmp_path)
    await expect(hold).to_have_attribute("aria-pressed", "true")
    await tab.page.mouse.up()
    await expect(hold).to_have_attribute("aria-pressed", "false")
    await until_answers(tab, 1)
    played = await listener.hear(await tab.recorded(tmp_path))
    assert words_wrong(QUESTION, (await asked(tab))[0]) <= 1
    [answer] = await tab.entries("bot")
    assert "nine" in answer.text
    assert re.search(r"\b(?:nine|9)\b", played), played
    assert words_wrong(answer.text, played) <= 2, "nothing of the voice is lost between its pieces"

    # By the keyboard, whose key repeats, and which interrupts the bot.
    await hold.focus()
    await tab.page.keyboard.down("Space")
    await tab.page.keyboard.down("Space")
    await tab.say(await speaker.say(LONG_QUESTION), tmp_path)
    released_ms = await tab.now_ms()
    await tab.page.keyboard.up("Space")
    await until_heard(tab, released_ms)
    await tab.page.keyboard.down("Enter")
    held_ms = await tab.now_ms()
    said = await tab.say(np.concatenate([await speaker.say(OVER_IT), silence(0.3)]), tmp_path)
    await tab.page.keyboard.up("Enter")
    levels = await tab.heard("levels")
    later = [level for at, level in levels if held_ms + SILENT_WITHIN_SECS * 1000 < at < said.to_ms]
    assert max(later) < LOUD, "the bot still speaks, over the user"
    await until_answers(tab, 3)
    assert len(await asked(tab)) == 3
    assert [entry.is_interrupted for entry in await tab.entries("bot")] == [False, True, False]
    assert await tab.voiced_secs(Span(said.to_ms, await tab.now_ms())) > 0.5

    states = await tab.heard("states")
    assert "connecting" in states
    assert "initializing" in states or "listening" in states
    assert {"processing", "thinking", "speaking"} <= set(states)
    await end(tab, line)


@pytest.mark.long
async def test_each_step_is_seen_by_touch_and_hands_free(
    scripted: Service, speaker: Speaker, listener: Listener, open_tab: OpenTab, tmp_path: Path
) -> None:
    tab = await open_page(open_tab, scripted, "sandwich")
    await tab.page.locator("input[value=sandwich]").check()
    await start(tab)
    await tab.record()
    hold = tab.page.locator(".hold")
    question = await speaker.say("What does Team cost for ten people?")

    box = await hold.bounding_box()
    assert box
    client = await tab.page.context.new_cdp_session(tab.page)
    await touch(client, "touchStart", (box["x"] + 40, box["y"] + 30))
    await touch(client, "touchMove", (box["x"] + 40, box["y"] - 200))
    await tab.say(question, tmp_path)
    await expect(hold).to_have_attribute("aria-pressed", "true")
    await touch(client, "touchEnd")
    await until_each_step(tab, 1)
    questions = len(await asked(tab))

    tool = tab.page.locator("[data-step=agent] .tool")
    await expect(tool.locator(".tool__name")).to_have_text("Quote")
    assert "Team" in await tool.inner_text()
    assert "ninety" in await tab.page.locator("[data-step=agent]").inner_text()
    assert re.search("ninety|90", await listener.hear(await tab.recorded(tmp_path)))

    # A finger that the system takes away lets go.
    await touch(client, "touchStart", (box["x"] + 40, box["y"] + 30))
    await expect(hold).to_have_attribute("aria-pressed", "true")
    await touch(client, "touchCancel")
    await expect(hold).to_have_attribute("aria-pressed", "false")
    await tab.page.get_by_text("That was short.").wait_for()
    await tab.until_state("listening", REPLY_SECS)

    await tab.page.get_by_label("Hands free").check()
    said = await tab.say(np.concatenate([question, silence(1)]), tmp_path)
    await until_each_step(tab, questions + 1)
    assert await tab.voiced_secs(Span(said.to_ms, await tab.now_ms())) > 0.5
    await end(tab, scripted)


@pytest.mark.long
async def test_either_side_speaks_at_any_time_and_the_bot_is_cut_off(
    line: Service, speaker: Speaker, open_tab: OpenTab, tmp_path: Path
) -> None:
    tab = await open_page(open_tab, line, "realtime")
    await tab.page.locator("input[value=receptionist]").check()
    await start(tab)
    said = await tab.say(await speaker.say(LONG_QUESTION), tmp_path)
    await until_heard(tab, said.to_ms)
    over_it = await tab.say(await speaker.say(OVER_IT), tmp_path)
    interrupted = tab.page.locator("[data-role=bot][data-interrupted=true]")
    await interrupted.wait_for(timeout=REPLY_SECS * 1000)
    # It takes half a second of speech to interrupt.
    silent_from_ms = over_it.from_ms + 1500
    levels = await tab.heard("levels")
    later = [level for at, level in levels if silent_from_ms < at < over_it.to_ms]
    assert max(later) < LOUD, "the bot still speaks, over the user"
    await until_answers(tab, 2)
    first, second = await asked(tab)
    assert words_wrong(LONG_QUESTION, first) <= 1
    assert "thursday" in second.lower()
    assert [entry.is_interrupted for entry in await tab.entries("bot")] == [True, False]
    assert await tab.voiced_secs(Span(over_it.to_ms, await tab.now_ms())) > 0.5

    await tab.page.get_by_role("button", name="Mute microphone").click()
    await tab.say(np.concatenate([await speaker.say(QUESTION), silence(1)]), tmp_path)
    await tab.page.get_by_role("button", name="Unmute microphone").click()
    assert len(await asked(tab)) == 2
    await end(tab, line)


@pytest.mark.long
async def test_a_page_comes_back_by_itself_when_the_service_was_killed_and_is_back(
    speaker: Speaker, open_tab: OpenTab, tmp_path: Path
) -> None:
    port = str(free_port())
    with run_service(tmp_path, "--port", port) as service:
        tab = await open_page(open_tab, service, "realtime")
        await start(tab)
        await tab.say(await speaker.say(QUESTION), tmp_path)
        await until_answers(tab, 1)
        service.process.kill()
        service.process.wait()
        await tab.page.get_by_text("Trying to get it back").wait_for(timeout=5000)
    with run_service(tmp_path, "--port", port) as service:
        await tab.until_state("listening", CONNECT_SECS)
        assert (await get(f"{service.url}/ready"))["sessions"] == 1
        await tab.say(await speaker.say(LONG_QUESTION), tmp_path)
        await tab.until("document.querySelectorAll('[data-role=user]').length === 2", REPLY_SECS)
        await tab.page.get_by_role("button", name="End call").click()
        await until_no_session(service.url, timeout=HANG_UP_SECS)


@pytest.mark.long
async def test_when_all_lines_are_busy_a_page_says_so(open_tab: OpenTab, tmp_path: Path) -> None:
    limits = {"PARLANTE_VOICE__REALTIME__LIMITS__SESSIONS": "1"}
    with run_service(tmp_path, environment=limits) as service:
        async with (
            aiohttp.ClientSession(service.url) as http,
            http.post("/start", json={}) as response,
        ):
            assert response.status == 200
        tab = await open_page(open_tab, service, "push-to-talk")
        await tab.page.get_by_role("button", name="Start").click()
        await tab.page.get_by_text("All lines are busy…").wait_for(timeout=CONNECT_SECS * 1000)


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize(
    ("microphone", "title"),
    [("denied", "The microphone is blocked."), ("missing", "No microphone was found.")],
)
async def test_without_a_microphone_a_page_says_why_and_takes_no_line(
    line: Service, open_tab: OpenTab, page: str, microphone: Microphone, title: str
) -> None:
    tab = await open_page(open_tab, line, page, microphone)
    await tab.page.get_by_role("button", name="Start").click()
    card = tab.page.get_by_role("alert")
    await card.get_by_text(title).wait_for(timeout=CONNECT_SECS * 1000)
    assert (await get(f"{line.url}/ready"))["sessions"] == 0
    await card.get_by_role("button", name="Try again").click()
    await card.get_by_text(title).wait_for(timeout=CONNECT_SECS * 1000)
    assert not tab.problems


async def test_the_home_page_leads_to_the_protocols_and_back(
    line: Service, open_tab: OpenTab
) -> None:
    tab = await open_tab(line.url)
    for page, title in zip(PAGES, ("Push to talk", "Sandwich", "Realtime"), strict=True):
        await tab.page.get_by_role("navigation").get_by_text(page.replace("-", " ")).click()
        await tab.page.get_by_role("heading", name=title).wait_for(timeout=CONNECT_SECS * 1000)
        await tab.page.get_by_role("link", name="Parlante").click()
        await tab.page.get_by_role("button", name="Start conversation").wait_for()
    assert not tab.problems
