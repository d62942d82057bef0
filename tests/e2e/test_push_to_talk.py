"""What browsers record and play talks to a bot by push to talk."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser import Tab
from tests.e2e.bundle import serve
from tests.e2e.conftest import OpenTab
from tests.service import ROOT, Service, run_service, until_no_session
from tests.speech import Listener, Speaker, voiced_secs, words_wrong

pytestmark = pytest.mark.browser

PAGES = ROOT / "tests" / "e2e" / "push_to_talk"
CONNECT_SECS = 40
REPLY_SECS = 40
FREE_SECS = 10
QUESTION = "Are you open on Saturday?"

LOUDSPEAKER = """
() => {
  const context = new AudioContext();
  const heard = context.createMediaStreamDestination();
  context.createMediaElementSource(document.querySelector("audio")).connect(heard);
  Object.assign(new Audio(), { srcObject: heard.stream, muted: true });
}
"""
"""Has the ears of the tab hear what the page plays."""


@pytest.fixture(scope="module")
def pages() -> Iterator[str]:
    with serve(PAGES) as url:
        yield url


@pytest.fixture(scope="module")
def open_service(pages: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that allows the page's origin."""
    allowed = {"PARLANTE_SERVER__ALLOWED_ORIGINS": f'["{pages}"]'}
    with run_service(tmp_path_factory.mktemp("service"), environment=allowed) as service:
        yield service


async def told(tab: Tab) -> list[dict[str, Any]]:
    """Return the messages that the page got, but those of sound."""
    return [json.loads(it) for it in await tab.page.locator("#told li").all_inner_texts()]


async def hold_and_say(tab: Tab, speaker: Speaker, text: str, tmp_path: Path) -> None:
    """Hold the button, say something, and let go."""
    await tab.page.locator("#talk").hover()
    await tab.page.mouse.down()
    await tab.say(await speaker.say(text), tmp_path)
    await tab.page.mouse.up()


@pytest.mark.long
async def test_a_page_records_webm_and_plays_the_mp3_that_comes_back(
    pages: str,
    open_service: Service,
    speaker: Speaker,
    listener: Listener,
    open_tab: OpenTab,
    tmp_path: Path,
) -> None:
    service = open_service.url
    tab = await open_tab(
        f"{pages}/page.html?service={service}&bot=receptionist", origins=(pages, service)
    )
    await tab.page.locator("#talk:enabled").wait_for(timeout=CONNECT_SECS * 1000)
    await tab.page.evaluate(LOUDSPEAKER)
    await tab.record()
    for _ in range(2):
        before = len(await told(tab))
        await hold_and_say(tab, speaker, QUESTION, tmp_path)
        await tab.until(
            """(before) => [...document.querySelectorAll("#told li")].slice(before).some(
              ({ innerText }) => innerText.includes('"idle"'))""",
            REPLY_SECS,
            before,
        )
        messages = (await told(tab))[before:]
        [heard] = [it["text"] for it in messages if it.get("is_final")]
        assert words_wrong(QUESTION, heard) <= 1
        [answer] = [it["text"] for it in messages if it["type"] == "llm_response"]
        assert "nine" in answer
        statuses = [it["status"] for it in messages if it["type"] == "status_update"]
        assert statuses == ["processing", "generating_audio", "idle"]
    played = await tab.recorded(tmp_path)
    assert voiced_secs(played) > 3
    heard = await listener.hear(played)
    assert len(re.findall(r"\b(?:nine|9)\b", heard)) >= 2, heard

    await tab.page.evaluate("endSession()")
    await tab.until("document.querySelector('#state').innerText === 'closed with 1000'", REPLY_SECS)
    await until_no_session(service, timeout=FREE_SECS)
    assert not tab.problems
