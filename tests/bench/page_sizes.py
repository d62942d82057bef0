"""What a browser loads for a call, by our client and by Pipecat's own.

    .venv/bin/python tests/bench/page_sizes.py

Both pages are served by the same service (`/` and `/client/`), opened in Chromium, and called from.
Counted is all code and all styles, as gzip makes them. Pipecat's own cannot finish a call without a
network, since it loads more from Daily: what it loads from there is not counted.
"""

import asyncio
import gzip
import sys
import tempfile
from pathlib import Path

from playwright.async_api import Response

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.browser import EARS, MOUTH, chromium  # noqa: E402
from tests.service import run_service  # noqa: E402

PAGES = {"ours": ("/", "Start conversation"), "Pipecat's prebuilt": ("/client/", "Connect")}
CALL_SECS = 5


async def weigh(url: str, button: str) -> int:
    """Return the bytes of a page from which a call was made."""
    files: dict[str, int] = {}
    async with chromium("spoken") as browser:
        context = await browser.new_context()
        for script in (MOUTH, EARS):
            await context.add_init_script(script)
        page = await context.new_page()

        async def keep(response: Response) -> None:
            if response.ok and response.url.split("?")[0].endswith((".js", ".css")):
                files[response.url] = len(gzip.compress(await response.body()))

        page.on("response", keep)
        await page.goto(url)
        await page.get_by_role("button", name=button).first.click()
        await page.wait_for_load_state("networkidle")
        await asyncio.sleep(CALL_SECS)
        await page.close()
    return sum(files.values())


async def main() -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        run_service(Path(folder), "--profile", "offline") as service,
    ):
        for name, (path, button) in PAGES.items():
            size = await weigh(f"{service.url}{path}", button)
            print(f"{name}: {size / 1000:.0f} kB gzipped")


if __name__ == "__main__":
    asyncio.run(main())
