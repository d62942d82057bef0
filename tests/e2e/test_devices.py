"""A call on any screen, with any microphone, and a phone that is felt."""

from typing import Any

import pytest

from tests.browser import Tab
from tests.e2e.conftest import OpenTab
from tests.e2e.test_client import CONNECT_SECS, HANG_UP_SECS
from tests.service import Service

pytestmark = [pytest.mark.browser, pytest.mark.long]

SCREENS = {
    "small": (320, 568),
    "phone": (390, 844),
    "on its side": (844, 390),
    "wide": (1920, 1080),
}

KEEP = """
window.__asked = [];
window.__felt = [];
const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = (constraints) => {
  window.__asked.push(constraints.audio.deviceId);
  return ask(constraints);
};
navigator.vibrate = (pattern) => window.__felt.push(pattern) > 0;
"""

OUT_OF_SIGHT = """() => [
  ...(document.scrollingElement.scrollWidth > innerWidth ? ["the page is too wide"] : []),
  ...[...document.querySelectorAll("button, select, h1, [role=status]")].filter((it) => {
    const { left, right, width } = it.getBoundingClientRect();
    return width > 0 && (left < 0 || right > innerWidth);
  }).map((it) => it.outerHTML),
]"""

BELOW = """() => [...document.querySelectorAll(".controls button")].filter(
  (it) => it.getBoundingClientRect().bottom > innerHeight).map((it) => it.outerHTML)"""


async def fits(tab: Tab) -> dict[str, Any]:
    """Return what is out of sight on each screen."""
    missed: dict[str, Any] = {}
    for name, (width, height) in SCREENS.items():
        await tab.page.set_viewport_size({"width": width, "height": height})
        out = await tab.page.evaluate(OUT_OF_SIGHT) + await tab.page.evaluate(BELOW)
        if out:
            missed[name] = out
    return missed


async def test_every_page_and_a_call_fit_screens_from_320_pixels(
    line: Service, open_tab: OpenTab
) -> None:
    tab = await open_tab(line.url)
    for page in ("", "#/calls", "#/push-to-talk", "#/sandwich", "#/realtime", "#/operator"):
        await tab.page.goto(f"{line.url}/{page}")
        await tab.page.get_by_role("heading").first.wait_for()
        assert not await fits(tab), page
    await tab.page.goto(f"{line.url}/#")
    await tab.page.get_by_role("button", name="Start conversation").click()
    await tab.until_bot_is_done(0, CONNECT_SECS)
    assert not await fits(tab), "by voice"
    watching = await open_tab(f"{line.url}/#/operator", beside=tab)
    await watching.page.locator("[data-session]").first.wait_for()
    assert not await fits(watching), "for who looks after the calls"
    await tab.page.get_by_role("button", name="Sound settings").click()
    assert not await fits(tab), "with the sound settings"
    await tab.page.get_by_role("button", name="Go on in writing").click()
    assert not await fits(tab), "in writing"


async def test_another_microphone_the_volume_and_a_phone_that_shakes(
    line: Service, open_tab: OpenTab
) -> None:
    tab = await open_tab(line.url, microphone="fake")
    await tab.page.context.add_init_script(KEEP)
    await tab.page.reload()
    await tab.page.get_by_role("button", name="Start conversation").click()
    await tab.until_state("listening", CONNECT_SECS)
    assert (await tab.page.evaluate("window.__felt"))[-1] == 20, "the call is up"

    await tab.page.get_by_role("button", name="Sound settings").click()
    microphones = tab.page.get_by_label("Microphone", exact=True)
    [other, *_] = await microphones.evaluate(
        "(all) => [...all.options].map(({ value }) => value).filter((it) => it !== all.value)"
    )
    before = len(await tab.page.evaluate("window.__asked"))
    await microphones.select_option(other)
    await tab.until("(count) => window.__asked.length > count", CONNECT_SECS, before)
    assert other in str((await tab.page.evaluate("window.__asked"))[-1])
    assert await microphones.input_value() == other

    audio = tab.page.locator("audio")
    await tab.page.get_by_label("Volume").fill("0.5")
    assert await audio.evaluate("(it) => [it.volume, it.muted]") == [0.5, False]
    await tab.page.get_by_label("Mute the agent").check()
    assert await audio.evaluate("(it) => it.muted")

    await tab.page.get_by_role("button", name="End call").click()
    begin = tab.page.get_by_role("button", name="Start conversation")
    await begin.wait_for(timeout=HANG_UP_SECS * 1000)
    assert (await tab.page.evaluate("window.__felt"))[-1] == [20, 60, 20]
    assert not tab.problems
