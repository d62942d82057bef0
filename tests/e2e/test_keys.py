"""A service that asks for a key, in the browser and in the terminal."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.browser import Span
from tests.e2e.conftest import OpenTab
from tests.e2e.test_conversation import hear_greeting
from tests.service import ROOT, Service, keys, run_service

pytestmark = [pytest.mark.long, pytest.mark.browser]

ASK_SECS = 20


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[tuple[Service, str]]:
    """A service with a key, and the key."""
    key = keys(tmp_path, "add", "ada")
    with run_service(tmp_path) as service:
        yield service, key


async def test_a_person_with_a_key_is_let_in(
    closed: tuple[Service, str], open_tab: OpenTab, tmp_path: Path
) -> None:
    service, key = closed
    tab = await open_tab(service.url)
    await tab.page.get_by_role("button", name="Start conversation").click()
    field = tab.page.get_by_label("Access key")
    await field.wait_for(timeout=ASK_SECS * 1000)
    await expect(field).to_be_focused()

    await field.fill("parlante_none_of_these")
    await tab.page.get_by_role("button", name="Start with this key").click()
    await tab.page.get_by_text("This key is not good").wait_for(timeout=ASK_SECS * 1000)
    await tab.page.get_by_label("Access key").fill(key)
    await tab.page.get_by_label("Access key").press("Enter")
    await tab.until_state("speaking", ASK_SECS)
    await tab.page.keyboard.press("Escape")
    await tab.page.get_by_role("button", name="Start conversation").wait_for()

    # The key is kept as long as the tab, and is not asked for again.
    await tab.page.reload()
    await hear_greeting(tab)
    assert await tab.voiced_secs(Span(0, await tab.now_ms())) > 1
    refused = [problem for problem in tab.problems if "401" in problem]
    assert refused == tab.problems
    assert len(refused) == 2
    assert key not in service.log


def test_a_person_with_a_key_talks_in_the_terminal(
    closed: tuple[Service, str], tmp_path: Path
) -> None:
    service, key = closed

    def talk(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "runner", "talk", "--url", service.url, "--text", *arguments],
            cwd=ROOT,
            input="When do you open on Monday?\n\n",
            capture_output=True,
            text=True,
            timeout=90,
        )

    without = talk()
    assert without.returncode == 1
    assert "a key is needed" in without.stderr
    assert "eight" in talk("--key", key).stdout
    assert keys(tmp_path, "list").count("ada") == 1


def test_a_service_that_others_can_reach_does_not_start_without_a_key(tmp_path: Path) -> None:
    started = subprocess.run(
        [sys.executable, "-m", "runner", "--host", "0.0.0.0", "--port", "0"],
        cwd=ROOT,
        env={"PARLANTE_DATA_DIR": str(tmp_path), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert started.returncode == 1
    assert "python -m runner keys add NAME" in started.stderr
    assert "Traceback" not in started.stderr
