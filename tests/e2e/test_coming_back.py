"""A call whose connection is lost, and what its user sees until it is back."""

from pathlib import Path

import pytest

from bots.config import AnnouncementConfig
from tests.browser import Span
from tests.e2e.conftest import OpenTab
from tests.e2e.test_client import CONNECT_SECS, HANG_UP_SECS, start_and_hear_greeting
from tests.service import free_port, run_service, until_no_session

pytestmark = [pytest.mark.browser, pytest.mark.long]

NO_WEBRTC = "delete window.RTCPeerConnection"
LOST_SECS = 15


async def test_a_call_over_a_websocket_comes_back_with_what_was_said_when_the_service_is_back(
    open_tab: OpenTab, tmp_path: Path
) -> None:
    port = str(free_port())
    with run_service(tmp_path, "--port", port) as service:
        tab = await open_tab(service.url)
        await tab.page.context.add_init_script(NO_WEBRTC)
        await tab.page.reload()
        await start_and_hear_greeting(tab)
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
        tab = await open_tab(service.url)
        await tab.page.context.add_init_script(NO_WEBRTC)
        await tab.page.reload()
        await start_and_hear_greeting(tab)
        service.process.kill()
        service.process.wait()
    status = tab.page.get_by_role("status")
    await status.filter(has_text="Coming back").wait_for(timeout=LOST_SECS * 1000)
    await tab.page.keyboard.press("Escape")
    await tab.page.get_by_role("button", name="Start conversation").wait_for(timeout=5000)
    assert (await tab.entries("bot"))[0].text.startswith("Willowbrook"), "what was said is shown"
