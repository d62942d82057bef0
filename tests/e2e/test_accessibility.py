"""axe-core looks at every page, in every form that it takes."""

from pathlib import Path
from typing import Literal

import pytest
from playwright.async_api import Page

from tests.e2e.conftest import OpenTab
from tests.e2e.test_chat import QUESTION, begin_to_write, write
from tests.e2e.test_client import CONNECT_SECS, HANG_UP_SECS, REPLY_SECS, alert
from tests.e2e.test_operator import give_key, open_page
from tests.e2e.test_protocol_pages import start
from tests.service import ROOT, Service, keys, run_service
from tests.speech import Speaker

pytestmark = pytest.mark.browser

AXE = ROOT / "client" / "node_modules" / "axe-core" / "axe.min.js"
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


async def look(page: Page) -> None:
    """Fail if axe-core finds a violation of any of its rules, in the light or the dark."""
    await page.add_script_tag(path=AXE)
    for scheme in SCHEMES:
        await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        found = await page.evaluate(
            """async () => {
              const { violations, passes } = await axe.run();
              const told = violations.flatMap(({ id, help, nodes }) =>
                nodes.map(({ html, any }) => `${id}: ${help}: ${html}: ${any[0]?.message}`));
              return [told, passes.length];
            }"""
        )
        violations, passes = found
        assert not violations, f"{scheme}: " + "\n".join(violations)
        assert passes > 10, "it has looked"
    await page.emulate_media(color_scheme=None, reduced_motion=None)


async def test_nothing_is_in_the_way_on_the_home_page_and_where_something_is_wrong(
    line: Service, open_tab: OpenTab
) -> None:
    tab = await open_tab(line.url, microphone="missing")
    await tab.page.get_by_role("button", name="Start conversation").wait_for()
    await look(tab.page)
    await tab.page.get_by_role("button", name="Start conversation").click()
    await alert(tab)
    await look(tab.page)


async def test_nothing_is_in_the_way_in_a_call_by_voice_and_in_writing_and_after_it(
    line: Service, speaker: Speaker, open_tab: OpenTab, tmp_path: Path
) -> None:
    tab = await open_tab(line.url)
    await tab.page.get_by_role("button", name="Start conversation").click()
    await tab.until_bot_is_done(0, CONNECT_SECS)
    said = await tab.say(await speaker.say(QUESTION), tmp_path)
    await tab.until_transcripts(1, REPLY_SECS)
    await tab.until_bot_is_done(said.to_ms, REPLY_SECS)
    await look(tab.page)
    for panel in ("Sound settings", "Response times"):
        await tab.page.get_by_role("button", name=panel).click()
        await look(tab.page)
    await tab.page.get_by_role("button", name="Download transcript").click()
    await tab.page.keyboard.press("m")
    await look(tab.page)

    await tab.page.get_by_role("button", name="Go on in writing").click()
    await write(tab, QUESTION)
    await look(tab.page)
    await tab.page.get_by_role("button", name="End call").click()
    await tab.page.get_by_text("Call ended").first.wait_for(timeout=HANG_UP_SECS * 1000)
    await look(tab.page)


async def test_nothing_is_in_the_way_on_the_page_of_past_calls(
    line: Service, open_tab: OpenTab
) -> None:
    tab = await open_tab(line.url, microphone="missing")
    await begin_to_write(tab)
    await write(tab, QUESTION)
    await tab.page.get_by_role("button", name="End call").click()
    await tab.page.get_by_text("Call ended").first.wait_for(timeout=HANG_UP_SECS * 1000)
    await tab.page.goto(f"{line.url}/#/calls")
    first = tab.page.get_by_role("list").get_by_role("button").first
    await first.wait_for(timeout=CONNECT_SECS * 1000)
    await look(tab.page)
    await first.click()
    await tab.page.get_by_text(QUESTION).wait_for(timeout=CONNECT_SECS * 1000)
    await look(tab.page)


@pytest.mark.parametrize("page", ["push-to-talk", "sandwich", "realtime"])
async def test_nothing_is_in_the_way_on_the_pages_of_the_protocols(
    line: Service, open_tab: OpenTab, page: str
) -> None:
    tab = await open_tab(f"{line.url}/#/{page}")
    await tab.page.get_by_role("button", name="Start").wait_for()
    await look(tab.page)
    await start(tab)
    await look(tab.page)


async def test_nothing_is_in_the_way_on_the_operators_page(
    open_tab: OpenTab, tmp_path: Path
) -> None:
    user, operator = keys(tmp_path, "add", "ada"), keys(tmp_path, "add", "olga", "--operator")
    with run_service(tmp_path, "--profile", "offline") as service:
        watching = await open_page(open_tab, service)
        await watching.page.get_by_role("alert").wait_for(timeout=CONNECT_SECS * 1000)
        await look(watching.page)
        calling = await open_tab(service.url, microphone="missing")
        await calling.page.get_by_role("button", name="Write instead").click()
        await give_key(calling.page, user)
        await calling.until_bot_is_done(0, CONNECT_SECS)
        await write(calling, QUESTION)

        await give_key(watching.page, operator)
        calls = watching.page.get_by_role("region", name="Calls now")
        await calls.get_by_role("row", name="ada").wait_for()
        await look(watching.page)
        await calls.get_by_role("link", name="ada").click()
        await watching.page.get_by_role("log").get_by_text(QUESTION).wait_for()
        await look(watching.page)
        await watching.page.get_by_role("button", name="End the call").click()
        await look(watching.page)
        dialog = watching.page.get_by_role("dialog")
        await dialog.get_by_role("button", name="End the call").click()
        await calling.page.get_by_text("Call ended").first.wait_for(timeout=HANG_UP_SECS * 1000)
