"""A call over WebRTC whose network is cut, and what its user sees until it is back."""

import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.async_api import expect

from tests.browser import CHROMIUM, LOOPBACK
from tests.e2e.conftest import OpenTab
from tests.e2e.test_client import QUESTION, start_and_hear_greeting
from tests.service import Service, run_service
from tests.speech import Speaker

pytestmark = [pytest.mark.long, pytest.mark.browser]

NOTICED_SECS = 20
"""ICE looks for so long whether packets were only late."""

BACK_SECS = 60
REPLY_SECS = 40


@pytest.fixture(scope="module")
def service(own_network: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with run_service(tmp_path_factory.mktemp("service"), by=own_network) as service:
        yield service


@pytest.fixture
def executable(own_network: list[str], tmp_path: Path) -> str:
    """Chromium on the same network, where WebRTC may use the only address."""
    script = tmp_path / "chromium"
    command = shlex.join([*own_network, CHROMIUM, LOOPBACK])
    script.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    script.chmod(0o755)
    return str(script)


def turn(network: list[str], to: Literal["up", "down"]) -> None:
    subprocess.run([*network, "ip", "link", "set", "lo", to], check=True, timeout=10)


async def test_it_is_said_and_the_conversation_goes_on(
    own_network: list[str],
    service: Service,
    executable: str,
    speaker: Speaker,
    open_tab: OpenTab,
    tmp_path: Path,
) -> None:
    tab = await open_tab(service.url, executable=executable)
    await start_and_hear_greeting(tab)
    assert await tab.heard("sockets.length") == 0, "it is WebRTC"
    quality = tab.page.get_by_role("img", name="connection")
    await expect(quality).to_be_visible()

    turn(own_network, "down")
    interrupted = tab.page.get_by_text("The connection is interrupted.")
    await interrupted.wait_for(timeout=NOTICED_SECS * 1000)
    await expect(quality).to_be_hidden()
    await tab.page.get_by_role("button", name="Go on in writing").click()
    await tab.page.get_by_role("textbox").fill("Are you open on Sunday?")
    await expect(tab.page.get_by_role("button", name="Send")).to_be_disabled()
    await expect(interrupted).to_be_visible()

    turn(own_network, "up")
    await expect(tab.page.get_by_role("button", name="Send")).to_be_enabled(
        timeout=BACK_SECS * 1000
    )
    await tab.page.get_by_role("button", name="Send").click()
    await tab.until(
        """() => document.querySelectorAll("[data-role=bot]").length > 1 &&
          [...document.querySelectorAll("[data-role=bot]")].at(-1).dataset.final === "true" """,
        REPLY_SECS,
    )
    await tab.page.get_by_role("button", name="Go on by voice").click()
    await expect(quality).to_be_visible()
    said = await tab.say(await speaker.say(QUESTION), tmp_path)
    await tab.until_bot_is_done(said.to_ms, REPLY_SECS)
