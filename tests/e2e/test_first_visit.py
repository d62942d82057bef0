"""Somebody who has never seen it: what is loaded, how soon, and how few clicks it takes."""

import gzip
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from runner.app import CLIENT_DIR
from tests.browser import Span
from tests.e2e.conftest import OpenTab
from tests.e2e.test_client import CONNECT_SECS, HANG_UP_SECS, QUESTION, REPLY_SECS
from tests.service import Service
from tests.speech import Speaker

pytestmark = pytest.mark.browser

BUDGET_BYTES = 250_000
"""All code and styles that a call loads, gzipped."""

USABLE_MS = 2000
TRIES = 3

COUNT_CLICKS = """
window.__clicks = 0;
addEventListener("click", ({ isTrusted }) => { window.__clicks += isTrusted; }, true);
"""


async def test_one_click_leads_to_a_spoken_answer_and_one_out_again_within_the_budget(
    line: Service, speaker: Speaker, open_tab: OpenTab, tmp_path: Path
) -> None:
    tab = await open_tab(line.url)
    await tab.page.evaluate(COUNT_CLICKS)

    await tab.page.get_by_role("button", name="Start conversation").click()
    await tab.until_bot_is_done(0, CONNECT_SECS)
    said = await tab.say(await speaker.say(QUESTION), tmp_path)
    await tab.until_transcripts(1, REPLY_SECS)
    await tab.until_bot_is_done(said.to_ms, REPLY_SECS)
    assert await tab.voiced_secs(Span(said.to_ms, await tab.now_ms())) > 1
    assert await tab.page.evaluate("window.__clicks") == 1

    await tab.page.get_by_role("button", name="End call").click()
    await tab.page.get_by_text("Call ended").first.wait_for(timeout=HANG_UP_SECS * 1000)
    assert await tab.page.get_by_role("button", name="Start conversation").is_enabled()
    assert await tab.page.evaluate("window.__clicks") == 2

    loaded = await tab.page.evaluate(
        "performance.getEntriesByType('resource').map(({ name }) => name)"
    )
    paths = {urlsplit(url).path for url in loaded}
    code = [path for path in paths if path.endswith((".js", ".css"))]
    sizes = {path: len(gzip.compress((CLIENT_DIR / path[1:]).read_bytes())) for path in code}
    print(sizes)
    assert any(path.endswith(".js") for path in code)
    assert sum(sizes.values()) < BUDGET_BYTES
    assert not tab.problems


async def test_the_page_can_be_used_within_two_seconds(line: Service, open_tab: OpenTab) -> None:
    times = []
    for _ in range(TRIES):
        # Each in a browser of its own, which has nothing of the page yet.
        tab = await open_tab("about:blank", origins=(line.url,))
        await tab.page.goto(line.url, wait_until="commit")
        await tab.until(
            """() => [...document.querySelectorAll("button.button--primary")].some(
              ({ disabled }) => !disabled)""",
            CONNECT_SECS,
        )
        times.append(await tab.now_ms())
    print(times)
    assert min(times) < USABLE_MS
