"""The headline: with the network cable out, the page on this machine still holds a conversation."""

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser import CHROMIUM, LOUD
from tests.e2e.conftest import OpenTab
from tests.e2e.test_client import SILENT_WITHIN_SECS
from tests.e2e.test_conversation import CONNECT_SECS, HANG_UP_SECS, QUESTIONS, hear_answer
from tests.service import Service, run_service
from tests.speech import Speaker

pytestmark = [pytest.mark.long, pytest.mark.browser]

ENDED_SECS = 5


@pytest.fixture(scope="module")
def lonely(own_network: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service without a network."""
    with run_service(tmp_path_factory.mktemp("service"), by=own_network) as service:
        yield service


@pytest.fixture
def lonely_chromium(own_network: list[str], tmp_path: Path) -> str:
    """Chromium without a network."""
    script = tmp_path / "chromium"
    script.write_text(f'#!/bin/sh\nexec {shlex.join([*own_network, CHROMIUM])} "$@"\n')
    script.chmod(0o755)
    return str(script)


async def test_a_conversation_with_the_network_cable_out(
    lonely: Service, lonely_chromium: str, speaker: Speaker, open_tab: OpenTab, tmp_path: Path
) -> None:
    tab = await open_tab(lonely.url, executable=lonely_chromium)
    await tab.page.get_by_role("button", name="Start conversation").click()
    await tab.until_state("speaking", CONNECT_SECS)
    assert await tab.heard("sockets.length") == 1, "WebRTC finds no way here"
    await tab.until("() => window.__ears.levels.some(([, level]) => level > 0.02)", CONNECT_SECS)

    question = QUESTIONS[1]
    said = await tab.say(await speaker.say(question.text), tmp_path)
    silent_from_ms = said.from_ms + SILENT_WITHIN_SECS * 1000
    levels = await tab.heard("levels")
    assert max(level for at, level in levels if at < said.from_ms) > LOUD, "the greeting is heard"
    over_it = [level for at, level in levels if silent_from_ms < at < said.to_ms]
    assert max(over_it) < LOUD, "the bot still speaks, over the user"
    assert (await tab.entries("bot"))[0].is_interrupted
    await hear_answer(tab, 1, question)

    await tab.page.keyboard.press("Escape")
    await tab.page.get_by_text("Call ended").first.wait_for(timeout=HANG_UP_SECS * 1000)
    await tab.until("async () => (await (await fetch('ready')).json()).sessions === 0", ENDED_SECS)
    assert not tab.problems
    assert "Traceback" not in lonely.log
    assert "ERROR" not in lonely.log
