"""Pipecat's own clients, unchanged, against the service."""

import re
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import numpy as np
import pytest

from runner.talk import write_audio
from tests.browser import Span
from tests.e2e.bundle import serve_bundle
from tests.e2e.conftest import OpenTab
from tests.service import Service, run_service, until_no_session
from tests.speech import Speaker, silence, words_wrong

pytestmark = [pytest.mark.long, pytest.mark.browser]

CONNECT_SECS = 40
REPLY_SECS = 40
HANG_UP_SECS = 15
GREETING_SECS = 12
QUESTION = "Is there somewhere to leave my car?"


@pytest.fixture(scope="module")
def stock_pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The stock client, bundled with what `client/` has installed."""
    with serve_bundle("stock", tmp_path_factory.mktemp("stock")) as url:
        yield url


@pytest.fixture(scope="module")
def open_service(stock_pages: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that allows the pages' origin."""
    allowed = {"PARLANTE_SERVER__ALLOWED_ORIGINS": f'["{stock_pages}"]'}
    with run_service(tmp_path_factory.mktemp("service"), environment=allowed) as service:
        yield service


@pytest.mark.parametrize("transport", ["webrtc", "websocket"])
async def test_the_stock_client_on_another_origin_is_greeted_and_answered_in_sound(
    stock_pages: str,
    open_service: Service,
    speaker: Speaker,
    open_tab: OpenTab,
    tmp_path: Path,
    transport: str,
) -> None:
    wav = tmp_path / "question.wav"
    voice = await speaker.say(QUESTION)
    write_audio(wav, np.concatenate([silence(GREETING_SECS), voice, silence(60)]))
    tab = await open_tab(
        f"{stock_pages}/page.html?service={open_service.url}&transport={transport}",
        microphone="fake",
        wav=wav,
        origins=(stock_pages, open_service.url),
    )
    await tab.page.get_by_role("button", name="Connect", exact=True).click()
    await tab.until_told("bot-ready", CONNECT_SECS)
    await tab.until_bot_is_done(0, REPLY_SECS)
    assert await tab.voiced_secs(Span(0, await tab.now_ms())) > 1.5, "the greeting is heard"

    await tab.until_transcripts(1, GREETING_SECS + REPLY_SECS)
    [asked] = [m for m in await tab.messages("user-transcription") if m["data"]["final"]]
    assert words_wrong(QUESTION, asked["data"]["text"]) <= 1
    await tab.until_bot_is_done(asked["at"], REPLY_SECS)
    answer = " ".join(m["data"]["text"] for m in await tab.messages("bot-tts-text", asked["at"]))
    assert re.search("behind|free|mill lane", answer.lower())
    assert await tab.voiced_secs(Span(asked["at"], await tab.now_ms())) > 1

    await tab.page.get_by_role("button", name="Disconnect").click()
    await tab.until("document.querySelector('#state').innerText === 'disconnected'", HANG_UP_SECS)
    await until_no_session(open_service.url, timeout=HANG_UP_SECS)
    assert await tab.page.locator("#error").inner_text() == ""
    # The stock socket does not know the frame by which Pipecat's serializer tells of interruptions.
    assert not [problem for problem in tab.problems if "Unknown frame kind" not in problem]


async def test_a_page_of_an_origin_that_is_not_allowed_cannot_start_a_call(
    stock_pages: str, line: Service, open_tab: OpenTab
) -> None:
    tab = await open_tab(f"{stock_pages}/page.html?service={line.url}", origins=(line.url,))
    await tab.page.get_by_role("button", name="Connect", exact=True).click()
    await tab.page.locator("#error:not(:empty)").wait_for(timeout=CONNECT_SECS * 1000)
    await until_no_session(line.url, timeout=1)


async def test_the_prebuilt_client_is_served(service: Service) -> None:
    async with aiohttp.ClientSession(service.url) as http:
        async with http.get("/client/") as response:
            page = await response.text()
            assert response.status == 200
            assert response.content_type == "text/html"
        assert "<title>" in page
        scripts = re.findall(r'src="([^"]+\.js)"', page)
        assert scripts
        for script in scripts:
            async with http.get(f"/client/{script.removeprefix('/client/')}") as response:
                assert response.status == 200
