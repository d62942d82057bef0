"""`<VoiceMode>` on a page of another app, at another origin, whose styles are none of ours."""

import json
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser import Span, Tab
from tests.e2e.bundle import serve_bundle
from tests.e2e.conftest import OpenTab
from tests.e2e.test_client import CONNECT_SECS, HANG_UP_SECS, QUESTION, REPLY_SECS
from tests.service import ROOT, Service, run_service, until_no_session
from tests.speech import Speaker, words_wrong

pytestmark = [pytest.mark.long, pytest.mark.browser]

BUILD_SECS = 120


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as another app would install it."""
    folder = tmp_path_factory.mktemp("package")
    for command in (["run", "build:lib"], ["pack", "--pack-destination", str(folder)]):
        subprocess.run(
            ["npm", "--silent", *command], cwd=ROOT / "client", check=True, timeout=BUILD_SECS
        )
    [packed] = folder.glob("*.tgz")
    with tarfile.open(packed) as archive:
        archive.extractall(folder, filter="data")
    return folder / "package"


@pytest.fixture(scope="module")
def app(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Another app, which has a call in a corner of its page."""
    with serve_bundle(
        "embedding", tmp_path_factory.mktemp("app"), {"PARLANTE_CLIENT": str(package)}
    ) as url:
        yield url


@pytest.fixture(scope="module")
def open_service(app: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that lets the app in."""
    allowed = {"PARLANTE_SERVER__ALLOWED_ORIGINS": f'["{app}"]'}
    with run_service(tmp_path_factory.mktemp("service"), environment=allowed) as service:
        yield service


async def open_app(open_tab: OpenTab, app: str, service: str) -> Tab:
    tab = await open_tab(f"{app}/?service={service}", origins=(app, service))
    await tab.page.get_by_role("button", name="Ask us").click()
    return tab


async def test_an_app_elsewhere_has_a_spoken_call_in_a_corner_of_its_page(
    app: str, open_service: Service, speaker: Speaker, open_tab: OpenTab, tmp_path: Path
) -> None:
    tab = await open_app(open_tab, app, open_service.url)
    await tab.until_bot_is_done(0, CONNECT_SECS)
    call = tab.page.get_by_role("region", name="Call with Front desk")
    box, corner = await call.bounding_box(), await tab.page.locator(".widget").bounding_box()
    assert box == corner, "it takes what it is given"

    end = tab.page.get_by_role("button", name="End call")
    assert await end.evaluate("(it) => getComputedStyle(it).textTransform") == "none"
    title = tab.page.get_by_role("heading", name="Front desk")
    assert await title.is_visible(), "the app's rules do not get in"
    assert await title.evaluate("(it) => getComputedStyle(it).letterSpacing") == "normal"
    body = await tab.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert body == "rgb(240, 230, 140)", "and ours do not get out"

    await tab.page.get_by_label("Search").press_sequentially("mm hm")
    await tab.page.get_by_role("button", name="Close").focus()
    for key in ("m", "Escape"):
        await tab.page.keyboard.press(key)
    await tab.page.get_by_role("button", name="Mute microphone").wait_for(timeout=5000)
    await call.focus()
    await tab.page.keyboard.press("m")
    await tab.page.get_by_role("button", name="Unmute microphone").wait_for(timeout=5000)
    await tab.page.keyboard.press("m")

    said = await tab.say(await speaker.say(QUESTION), tmp_path)
    await tab.until_transcripts(1, REPLY_SECS)
    await tab.until_bot_is_done(said.to_ms, REPLY_SECS)
    assert await tab.voiced_secs(Span(said.to_ms, await tab.now_ms())) > 1

    await end.click()
    output = tab.page.locator("output")
    await output.wait_for(timeout=HANG_UP_SECS * 1000)
    ended = json.loads(await output.inner_text())
    assert ended["endedBy"] == "user"
    assert ended["endedAt"] > ended["startedAt"]
    assert [entry["role"] for entry in ended["transcript"]] == ["bot", "user", "bot"]
    assert words_wrong(QUESTION, ended["transcript"][1]["text"]) <= 1
    await until_no_session(open_service.url, timeout=HANG_UP_SECS)
    assert not tab.problems


async def test_who_takes_it_off_the_page_hangs_up(
    app: str, open_service: Service, open_tab: OpenTab
) -> None:
    tab = await open_app(open_tab, app, open_service.url)
    await tab.until_bot_is_done(0, CONNECT_SECS)
    await tab.page.get_by_role("button", name="Close").click()
    await until_no_session(open_service.url, timeout=HANG_UP_SECS)
    assert not tab.problems


async def test_a_service_that_cannot_be_reached_is_told_in_the_corner_with_a_way_on(
    app: str, open_tab: OpenTab
) -> None:
    tab = await open_app(open_tab, app, "http://127.0.0.1:9")
    card = tab.page.get_by_role("alert")
    await card.wait_for(timeout=CONNECT_SECS * 1000)
    assert "The server cannot be reached." in await card.inner_text()
    await tab.page.get_by_role("button", name="Try again").click()
    await card.wait_for(timeout=CONNECT_SECS * 1000)
    await tab.page.get_by_role("button", name="Dismiss").click()
    ended = json.loads(await tab.page.locator("output").inner_text())
    assert ended["endedBy"] == "error"
    assert ended["transcript"] == []
