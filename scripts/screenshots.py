"""Take the pictures of docs/client.md: `.venv/bin/python scripts/screenshots.py`.

Each page is shown by the real service, with offline models and a real call, in the light, in the
dark and on a phone. What is seen differs a little from one time to another: take them anew when
the pages have changed.
"""

import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from playwright.async_api import Browser, ViewportSize

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.browser import EARS, MOUTH, Tab, chromium  # noqa: E402
from tests.service import keys, run_service  # noqa: E402
from tests.speech import Speaker, open_speaker  # noqa: E402

PICTURES = ROOT / "docs" / "pictures"
SECS = 60
QUESTIONS = ("Is there somewhere to leave my car?", "How much is a flu shot?")
RECORDED = {"PARLANTE_VOICE__REALTIME__RECORDING": "true"}
A_MOMENT_SECS = 0.7
"""Until what moves is in the midst of it."""

DENIED = """
navigator.mediaDevices.getUserMedia = async () => {
  throw new DOMException("Permission denied", "NotAllowedError");
};
"""


@dataclass(frozen=True)
class Look:
    """A screen.

    Attributes:
        name: At the end of the pictures' names.
        scheme: What the system prefers.
        viewport: In CSS pixels.
    """

    name: str
    scheme: Literal["light", "dark"]
    viewport: ViewportSize


LOOKS = (
    Look("light", "light", {"width": 1280, "height": 800}),
    Look("dark", "dark", {"width": 1280, "height": 800}),
    Look("phone", "light", {"width": 390, "height": 844}),
)


class Photographer:
    """Goes through the pages with one look.

    Args:
        browser: It.
        url: Of the service.
        keys: What the pages keep in the browser, by its name there.
        look: On what.
        speaker: Who calls.
        folder: For passing files.
    """

    def __init__(
        self,
        browser: Browser,
        url: str,
        keys: dict[str, str],
        look: Look,
        speaker: Speaker,
        folder: Path,
    ) -> None:
        self._browser = browser
        self._url = url
        self._keys = keys
        self._look = look
        self._speaker = speaker
        self._folder = folder

    async def go_round(self) -> None:
        """Take a picture of everything."""
        async with self._tab(MOUTH, "#/operator") as watching:
            async with self._tab(MOUTH) as tab:
                await self._call(tab, watching)
            async with self._tab(DENIED) as tab:
                await self._begin(tab)
                await tab.page.get_by_role("alert").wait_for()
                await self._take(tab, "microphone-denied")
            async with self._tab(MOUTH, "#/calls") as tab:
                await tab.page.get_by_role("list").get_by_role("button").first.click()
                await tab.page.get_by_text(QUESTIONS[1]).wait_for()
                await self._take(tab, "past-calls")
            for name in ("push-to-talk", "sandwich", "realtime"):
                async with self._tab(MOUTH, f"#/{name}") as tab:
                    await self._protocol(tab, name)
            await self._operator(watching)

    async def _call(self, tab: Tab, watching: Tab) -> None:
        """The home page, and a call in all that it can show."""
        await tab.until("() => !document.querySelector('.button--primary').disabled", SECS)
        await self._take(tab, "home")
        await self._begin(tab)
        await tab.until_bot_is_done(0, SECS)
        await self._take(tab, "listening")
        asking = asyncio.create_task(self._ask(tab, QUESTIONS[0]))
        await tab.until_state("processing", SECS)
        await self._take(tab, "hearing")
        await tab.until_state("speaking", SECS)
        await self._take(tab, "speaking")
        await self._take(watching, "operator")
        await asking
        for panel in ("Sound settings", "Response times"):
            button = tab.page.get_by_role("button", name=panel)
            await button.click()
            await self._take(tab, panel.lower().replace(" ", "-"))
            await button.click()
        await tab.page.keyboard.press("m")
        await self._take(tab, "muted")
        await tab.page.get_by_role("button", name="Go on in writing").click()
        await tab.page.get_by_role("textbox").fill(QUESTIONS[1])
        await tab.page.keyboard.press("Enter")
        # The greeting, and an answer to each question.
        await tab.page.locator("[data-role=bot][data-final=true]").nth(2).wait_for()
        await self._take(tab, "chat")
        await tab.page.get_by_role("button", name="End call").click()
        await tab.page.get_by_text("Call ended").first.wait_for()
        await self._take(tab, "after-the-call")

    async def _protocol(self, tab: Tab, name: str) -> None:
        await tab.page.get_by_role("button", name="Start").click()
        await tab.until_state("listening", SECS)
        has_button = name != "realtime"
        if has_button:
            await tab.page.keyboard.down("Space")
        await tab.say(await self._speaker.say(QUESTIONS[0]), self._folder)
        if has_button:
            await tab.page.keyboard.up("Space")
        await tab.until_state("speaking", SECS)
        await self._take(tab, name)

    async def _operator(self, tab: Tab) -> None:
        recent = tab.page.get_by_role("region", name="Last calls")
        await recent.get_by_role("link").last.click()
        await tab.page.get_by_role("log").get_by_text(QUESTIONS[1]).wait_for()
        await self._take(tab, "operator-call")

    @asynccontextmanager
    async def _tab(self, microphone: str, page: str = "") -> AsyncIterator[Tab]:
        context = await self._browser.new_context(
            viewport=self._look.viewport, color_scheme=self._look.scheme
        )
        for script in (microphone, EARS, f"Object.assign(sessionStorage, {self._keys})"):
            await context.add_init_script(script)
        tab = Tab(await context.new_page(), (self._url,))
        await tab.page.goto(f"{self._url}/{page}")
        yield tab
        await tab.page.close()
        await context.close()

    async def _begin(self, tab: Tab) -> None:
        await tab.page.get_by_role("button", name="Start conversation").click()

    async def _ask(self, tab: Tab, question: str) -> None:
        said = await tab.say(await self._speaker.say(question), self._folder)
        await tab.until_bot_is_done(said.to_ms, SECS)

    async def _take(self, tab: Tab, name: str) -> None:
        await asyncio.sleep(A_MOMENT_SECS)
        path = PICTURES / f"{name}-{self._look.name}.jpg"
        await tab.page.screenshot(path=path, type="jpeg", quality=80)
        print(path.relative_to(ROOT))


async def main() -> None:
    """Take all pictures."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name, open_speaker() as speaker:
        folder = Path(name)
        user, operator = keys(folder, "add", "ada"), keys(folder, "add", "olga", "--operator")
        kept = {"parlante": json.dumps({"key": user}), "parlante.operator": operator}
        with run_service(folder, "--profile", "offline", environment=RECORDED) as service:
            async with chromium("spoken") as browser:
                for look in LOOKS:
                    visit = Photographer(browser, service.url, kept, look, speaker, folder)
                    await visit.go_round()


if __name__ == "__main__":
    asyncio.run(main())
