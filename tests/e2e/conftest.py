"""Browsers for tests, closed after each."""

import os
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext

from runner.app import CLIENT_DIR
from tests.browser import CHROMIUM, EARS, MOUTH, Microphone, Tab, chromium
from tests.service import Service, until_no_session

FREE_SECS = 20

OpenTab = Callable[..., Awaitable[Tab]]


@pytest.fixture
async def line(service: Service) -> AsyncIterator[Service]:
    """The shared service, with no call left from another test, and with our client."""
    assert (CLIENT_DIR / "index.html").is_file(), "build the client first: make client"
    await until_no_session(service.url, timeout=FREE_SECS)
    logged = len(service.log)
    yield service
    print(service.log[logged:])


@pytest.fixture
async def open_tab() -> AsyncIterator[OpenTab]:
    """Open an address in a new browser, or in that of another tab."""
    tabs: list[Tab] = []
    async with AsyncExitStack() as stack:

        async def open_tab(
            url: str,
            *,
            microphone: Microphone = "spoken",
            wav: Path | None = None,
            origins: tuple[str, ...] = (),
            beside: Tab | None = None,
            executable: str = CHROMIUM,
        ) -> Tab:
            if beside:
                context = beside.page.context
            else:
                browser = await stack.enter_async_context(chromium(microphone, wav, executable))
                context = await _context(browser, microphone)
            tab = Tab(await context.new_page(), (url, *origins))
            tabs.append(tab)
            await tab.page.goto(url)
            return tab

        yield open_tab
        for tab in tabs:
            print(await tab.report())
            # The browser alone would take its pages down without a word to the service.
            await tab.page.close()


async def _context(browser: Browser, microphone: Microphone) -> BrowserContext:
    context = await browser.new_context(viewport={"width": 1280, "height": 800})
    if microphone == "denied":
        await context.grant_permissions([])
    if microphone == "spoken":
        await context.add_init_script(MOUTH)
    await context.add_init_script(EARS)
    return context


@pytest.fixture(scope="module")
def own_network() -> Iterator[list[str]]:
    """A network of its own, which holds only this machine; the command that runs others in it."""
    if os.geteuid() != 0:
        pytest.skip("only root can take a program off the network")
    holder = subprocess.Popen(
        ["unshare", "--net", "sh", "-c", "ip link set lo up && echo up && exec sleep infinity"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with holder:
        assert holder.stdout
        assert holder.stderr
        if not holder.stdout.readline():
            pytest.skip(f"no network can be made here: {holder.stderr.read().decode()}")
        yield ["nsenter", "--net", "--target", str(holder.pid)]
        holder.terminate()
