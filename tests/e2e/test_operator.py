"""What an operator sees of a call, and does with it, beside whoever is in it."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.browser import Tab
from tests.e2e.conftest import OpenTab
from tests.service import STOP_SECS, Service, keys, run_service
from tests.speech import Speaker, words_wrong

pytestmark = [pytest.mark.long, pytest.mark.browser]

RECORDED = {"PARLANTE_VOICE__REALTIME__RECORDING": "true"}
QUESTION = "Is there somewhere to leave my car?"
ASK_SECS = 20
REPLY_SECS = 40


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[tuple[Service, str, str]]:
    """A service that records calls, the key of a user, and that of an operator."""
    user, operator = keys(tmp_path, "add", "ada"), keys(tmp_path, "add", "olga", "--operator")
    with run_service(tmp_path, "--profile", "offline", environment=RECORDED) as service:
        yield service, user, operator


async def give_key(page: Page, key: str) -> None:
    field = page.get_by_label("Access key")
    await field.wait_for(timeout=ASK_SECS * 1000)
    await field.fill(key)
    await field.press("Enter")


async def open_page(open_tab: OpenTab, service: Service, beside: Tab | None = None) -> Tab:
    url = f"{service.url}/#/operator"
    return await open_tab(url, origins=(service.url,), beside=beside)


async def test_nobody_gets_in_without_an_operators_key_and_is_told_so(
    closed: tuple[Service, str, str], open_tab: OpenTab
) -> None:
    service, user, operator = closed
    tab = await open_page(open_tab, service)
    alert = tab.page.get_by_role("alert")
    await expect(alert).to_contain_text("This page is for operators")
    await give_key(tab.page, "parlante_none_of_these")
    await expect(alert).to_contain_text("This key is not good")
    await give_key(tab.page, user)
    await expect(alert).to_contain_text("This key is not an operator's")
    assert not await tab.page.get_by_role("button", name="Drain").count()

    await give_key(tab.page, operator)
    await expect(tab.page.get_by_text("Nobody is calling.")).to_be_visible()
    # It is kept as long as the tab.
    await tab.page.reload()
    await expect(tab.page.get_by_text("Nobody is calling.")).to_be_visible()
    # The reload may have cut off an answer.
    told = [problem for problem in tab.problems if not problem.startswith("failed")]
    assert len(told) == 3
    assert all("401" in problem or "403" in problem for problem in told)


async def test_a_call_is_seen_as_it_goes_on_ended_and_heard_afterwards(
    closed: tuple[Service, str, str], open_tab: OpenTab, speaker: Speaker, tmp_path: Path
) -> None:
    service, user, operator = closed
    watching = await open_page(open_tab, service)
    page = watching.page
    await give_key(page, operator)
    await expect(page.get_by_text("Nobody is calling.")).to_be_visible()
    calling = await open_tab(service.url, beside=watching)
    await calling.page.get_by_role("button", name="Start conversation").click()
    await give_key(calling.page, user)

    row = page.get_by_role("region", name="Calls now").get_by_role("row", name="ada")
    await expect(row).to_contain_text("Speaking", timeout=ASK_SECS * 1000)
    await expect(row).to_contain_text("Receptionist")
    await calling.until_bot_is_done(0, REPLY_SECS)
    await expect(row).to_contain_text("Listening")
    said = await calling.say(await speaker.say(QUESTION), tmp_path)
    await calling.until_bot_is_done(said.to_ms, REPLY_SECS)
    await expect(row).to_contain_text(re.compile(r"\d m?s"))

    # The transcript follows the call.
    await row.get_by_role("link", name="ada").click()
    log = page.get_by_role("log")
    await expect(log).to_contain_text("free")
    before = await log.get_by_role("listitem").count()
    said = await calling.say(await speaker.say("When do you open on Monday?"), tmp_path)
    await expect(log).to_contain_text("eight", timeout=REPLY_SECS * 1000)
    assert await log.get_by_role("listitem").count() > before
    asked = log.locator(".op-said--user .op-said__text")
    assert words_wrong(QUESTION, await asked.first.inner_text()) <= 1
    await expect(log).to_contain_text("Waiting whether you go on")

    # Nothing happens until it is confirmed.
    await page.get_by_role("button", name="End the call").click()
    await page.get_by_role("button", name="Let it go on").click()
    assert await calling.page.get_by_role("button", name="End call").count() == 1
    await page.get_by_role("button", name="End the call").click()
    await page.get_by_role("dialog").get_by_role("button", name="End the call").click()
    await calling.page.get_by_text("Call ended").first.wait_for(timeout=ASK_SECS * 1000)
    await expect(page.get_by_role("status").filter(has_text="Deleted")).to_be_visible()

    # Its sound is where it was said.
    play = page.get_by_role("button", name="Play", exact=True)
    await play.wait_for(timeout=ASK_SECS * 1000)
    bars = page.locator(".op-lane--user .op-bar")
    bar, waves = await bars.first.bounding_box(), page.locator(".op-lane--user .op-wave")
    assert bar
    lanes = page.locator(".op-lanes")
    axis = await lanes.bounding_box()
    assert axis
    assert await loud_from(waves.first) == pytest.approx(bar["x"], abs=axis["width"] / 20)
    await lanes.click(position={"x": 200, "y": 60})
    place = page.get_by_role("slider", name="Place in the sound")
    sought = int(await place.get_attribute("aria-valuenow") or 0)
    assert sought > 0
    await play.click()
    await page.wait_for_function(
        "(at) => Number(document.querySelector('[role=slider]').ariaValueNow) >= at + 2",
        arg=sought,
    )
    await page.get_by_role("button", name="Pause").click()

    await page.get_by_role("link", name="All calls").click()
    recent = page.get_by_role("region", name="Last calls").get_by_role("row", name="ada")
    await expect(recent).to_contain_text("Deleted")
    times = page.get_by_role("region", name="Time until the answer")
    await expect(times).to_contain_text("2 answers, last hour")
    [before_the_key] = watching.problems
    assert "401" in before_the_key


async def loud_from(wave: object) -> float:
    """Return where a waveform begins not to be silent, in px of the page."""
    return float(
        await wave.evaluate(  # type: ignore[attr-defined]
            """(svg) => {
              const box = svg.getBoundingClientRect();
              const points = [...svg.firstChild.getAttribute("d").matchAll(/L(\\d+) ([\\d.]+)/g)];
              const first = points.find(([, , y]) => Number(y) < 0.95);
              return box.left + (box.width * Number(first[1])) / svg.viewBox.baseVal.width;
            }"""
        )
    )


async def test_the_service_is_drained_and_another_one_found(
    closed: tuple[Service, str, str], open_tab: OpenTab
) -> None:
    service, _, operator = closed
    tab = await open_page(open_tab, service)
    await give_key(tab.page, operator)
    await tab.page.get_by_role("button", name="Drain").click()
    await tab.page.get_by_role("button", name="Keep it running").click()
    await expect(tab.page.get_by_role("status")).to_have_text("Running")
    await tab.page.get_by_role("button", name="Drain").click()
    await tab.page.get_by_role("button", name="Drain and stop").click()
    await expect(tab.page.get_by_role("alert")).to_contain_text(
        "The service has stopped", timeout=STOP_SECS * 1000
    )
    assert service.process.wait(STOP_SECS) == 0
