"""A call whose connection is lost, and what its user sees until it is back."""

from pathlib import Path

import pytest

from bots.config import AnnouncementConfig
from tests.browser import Span, Tab
from tests.e2e.conftest import OpenTab
from tests.e2e.test_client import CONNECT_SECS, HANG_UP_SECS, alert, start_and_hear_greeting
from tests.service import Service, free_port, get, run_service, until_no_session

pytestmark = [pytest.mark.browser, pytest.mark.long]

NO_WEBRTC = "delete window.RTCPeerConnection"
LOST_SECS = 15
OFFLINE_MS = 10_000
"""For so long that the pauses between two tries are as long as they get."""

SOON_SECS = 7
"""Less than such a pause, and the words after it."""


async def call_by_socket(open_tab: OpenTab, service: Service) -> Tab:
    tab = await open_tab(service.url)
    await tab.page.context.add_init_script(NO_WEBRTC)
    await tab.page.reload()
    await start_and_hear_greeting(tab)
    return tab


async def test_a_call_over_a_websocket_comes_back_with_what_was_said_when_the_service_is_back(
    open_tab: OpenTab, tmp_path: Path
) -> None:
    port = str(free_port())
    with run_service(tmp_path, "--port", port) as service:
        tab = await call_by_socket(open_tab, service)
        assert await tab.heard("sockets.length") == 1
        service.process.kill()
        service.process.wait()
    killed_at = await tab.now_ms()
    status = tab.page.get_by_role("status")
    await status.filter(has_text="Coming back").wait_for(timeout=LOST_SECS * 1000)
    with run_service(tmp_path, "--port", port) as service:
        await tab.until_bot_is_done(killed_at, CONNECT_SECS)
        said = [entry.text for entry in await tab.entries("bot")]
        assert said[0].startswith("Willowbrook")
        assert said[1:] == [AnnouncementConfig().back]
        assert await tab.voiced_secs(Span(killed_at, await tab.now_ms())) > 0.2
        await tab.page.get_by_role("button", name="End call").click()
        await until_no_session(service.url, timeout=HANG_UP_SECS)


async def test_a_call_that_is_not_come_back_to_can_be_given_up(
    open_tab: OpenTab, tmp_path: Path
) -> None:
    with run_service(tmp_path) as service:
        tab = await call_by_socket(open_tab, service)
        service.process.kill()
        service.process.wait()
    status = tab.page.get_by_role("status")
    await status.filter(has_text="Coming back").wait_for(timeout=LOST_SECS * 1000)
    await tab.page.keyboard.press("Escape")
    await tab.page.get_by_role("button", name="Start conversation").wait_for(timeout=5000)
    assert (await tab.entries("bot"))[0].text.startswith("Willowbrook"), "what was said is shown"


async def test_without_a_network_a_call_waits_and_goes_on_as_soon_as_there_is_one(
    open_tab: OpenTab, tmp_path: Path
) -> None:
    port = str(free_port())
    with run_service(tmp_path, "--port", port) as service:
        tab = await call_by_socket(open_tab, service)
        await tab.page.context.set_offline(True)
        service.process.kill()
        service.process.wait()
    with run_service(tmp_path, "--port", port) as service:
        cut_at = await tab.now_ms()
        status = tab.page.get_by_role("status")
        await status.filter(has_text="Coming back").wait_for(timeout=LOST_SECS * 1000)
        # Chromium keeps the sockets of pages that are offline: it is the requests that fail.
        await tab.until(f"performance.now() > {cut_at + OFFLINE_MS}", LOST_SECS)
        assert await status.filter(has_text="Coming back").is_visible()
        assert (await get(f"{service.url}/ready"))["sessions"] == 0

        await tab.page.context.set_offline(False)
        await tab.until_bot_is_done(cut_at, SOON_SECS)
        assert [entry.text for entry in await tab.entries("bot")][1:] == [AnnouncementConfig().back]
        await tab.page.get_by_role("button", name="End call").click()
        await until_no_session(service.url, timeout=HANG_UP_SECS)


async def test_who_starts_without_a_network_is_told_and_tries_again(
    line: Service, open_tab: OpenTab
) -> None:
    tab = await open_tab(line.url)
    await tab.page.get_by_role("button", name="Start conversation").wait_for()
    await tab.page.context.set_offline(True)
    await tab.page.get_by_role("button", name="Start conversation").click()
    assert "The server cannot be reached." in await alert(tab)
    await tab.page.context.set_offline(False)
    await tab.page.get_by_role("button", name="Try again").click()
    await tab.until_bot_is_done(0, CONNECT_SECS)
