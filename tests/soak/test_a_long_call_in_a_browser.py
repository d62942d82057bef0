"""Ten minutes of a call in Chromium, and what they leave in the page: `make soak`."""

import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import CDPSession

from tests.bench.stats import percentile
from tests.browser import EARS, MOUTH, Tab, chromium
from tests.service import Service, run_service
from tests.speech import Speaker, open_speaker

pytestmark = pytest.mark.browser

CALL_SECS = 600
REPLY_SECS = 40
SETTLED_SECS = 120
"""From here on, what a page holds is to stay."""

TURN_BYTES = 24 * 1024
"""What a question and its answer may take in the transcript, which stays as long as the page."""

LEFT_BYTES = 256 * 1024
"""How much more there may be than when the call had settled, as soon as another one has taken the
place of its transcript."""

MAX_LISTENERS = 20

LATE_MS, STREAK = 50, 3
"""A streak is so many frames one after another that come so late: the eye sees it stop."""

QUESTIONS = (
    "Is there somewhere to leave my car?",
    "When do you open on Monday?",
    "How much is a flu shot?",
    "Do you have a dentist?",
    "Can I pay by credit card?",
    "Is there a cancellation fee?",
)

FRAMES = """
window.__frames = [];
(function count(now) { window.__frames.push(now); requestAnimationFrame(count); })(0);
"""


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    lasting = {"PARLANTE_VOICE__REALTIME__LIMITS__SESSION_DURATION": str(2 * CALL_SECS)}
    with run_service(tmp_path, "--profile", "offline", environment=lasting) as service:
        yield service


@pytest.fixture
def speaker() -> Iterator[Speaker]:
    with open_speaker() as speaker:
        yield speaker


@pytest.fixture
async def tab(service: Service) -> AsyncIterator[Tab]:
    async with chromium("spoken") as browser:
        context = await browser.new_context(viewport={"width": 1280, "height": 800})
        await context.add_init_script(MOUTH)
        await context.add_init_script(EARS)
        tab = Tab(await context.new_page(), (service.url,))
        await tab.page.goto(service.url)
        yield tab


async def held(tab: Tab, devtools: CDPSession) -> dict[str, int]:
    """Return what the page holds without what nobody needs, and what its ears have kept."""
    await tab.page.evaluate("window.__ears.levels = []; window.__ears.messages = [];")
    await devtools.send("HeapProfiler.collectGarbage")
    told: dict[str, Any] = await devtools.send("Performance.getMetrics")
    metrics = {metric["name"]: metric["value"] for metric in told["metrics"]}
    return {name: int(metrics[name]) for name in ("JSHeapUsedSize", "JSEventListeners", "Nodes")}


def streaks(gaps_ms: list[float]) -> int:
    """Count how often frames came late one after another."""
    runs = itertools.groupby(gaps_ms, key=lambda gap: gap > LATE_MS)
    return sum(late and len(list(run)) >= STREAK for late, run in runs)


async def begin(tab: Tab) -> None:
    began_ms = await tab.now_ms()
    await tab.page.get_by_role("button", name="Start conversation").click()
    await tab.until_bot_is_done(began_ms, REPLY_SECS)


async def end(tab: Tab) -> None:
    await tab.page.get_by_role("button", name="End call").click()
    await tab.page.get_by_role("button", name="Start conversation").wait_for()


async def test_ten_minutes_of_a_call_leave_nothing_behind_in_the_page(
    tab: Tab, speaker: Speaker, tmp_path: Path
) -> None:
    voices = [await speaker.say(question) for question in QUESTIONS]
    devtools = await tab.page.context.new_cdp_session(tab.page)
    await devtools.send("Performance.enable")
    began_ms = await tab.now_ms()
    await begin(tab)
    await tab.page.evaluate(FRAMES)
    settled: dict[str, int] = {}
    settled_after = 0
    times: list[float] = []
    turns = 0
    for voice in itertools.cycle(voices):
        said = await tab.say(voice, tmp_path)
        await tab.until_bot_is_done(said.to_ms, REPLY_SECS)
        turns += 1
        times += await tab.page.evaluate("window.__frames.splice(0)")
        if not settled and said.to_ms > began_ms + SETTLED_SECS * 1000:
            settled, settled_after = await held(tab, devtools), turns
        if said.to_ms > began_ms + CALL_SECS * 1000:
            break
    at_end = await held(tab, devtools)
    answered = await tab.entries("bot")
    await end(tab)
    await begin(tab)
    await end(tab)
    after = await held(tab, devtools)

    gaps_ms = [late - early for early, late in itertools.pairwise(times[1:])]
    shares = [round(percentile(gaps_ms, share)) for share in (50, 99)]
    print(f"{turns} turns; settled after {settled_after} {settled}, at the end {at_end}")
    print(f"after another call, which was short: {after}")
    print(f"{len(gaps_ms)} frames: p50, p99 {shares}, longest {max(gaps_ms):.0f} ms")

    assert len(answered) > turns, "each was answered, and the greeting"
    grown_bytes = at_end["JSHeapUsedSize"] - settled["JSHeapUsedSize"]
    assert grown_bytes < TURN_BYTES * (turns - settled_after)
    assert after["JSHeapUsedSize"] - settled["JSHeapUsedSize"] < LEFT_BYTES
    assert at_end["JSEventListeners"] - settled["JSEventListeners"] < MAX_LISTENERS
    assert streaks(gaps_ms) == 0
    assert not tab.problems
