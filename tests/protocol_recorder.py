"""What real clients send over the JSON protocols; `python -m tests.protocol_recorder` keeps it.

Push to talk is Chromium's MediaRecorder, the others are the clients of `runner talk`. A recording
is a file of JSON lines: `{"at": SECS, "send": MESSAGE}`, and `{"wait": "answer"}` where the client
heard the answer out before it went on.
"""

import asyncio
import json
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from websockets.asyncio.server import ServerConnection, serve

from runner.clients.json_sockets import RealtimeClient, SandwichClient
from runner.clients.sockets import joined
from tests.browser import MOUTH, Tab, chromium
from tests.e2e.bundle import serve as serve_pages
from tests.e2e.test_push_to_talk import PAGES, hold_and_say
from tests.speech import Speaker, open_speaker

FOLDER = Path(__file__).parent / "recordings"
QUESTION = "Are you open on Saturday?"
PRICE_QUESTION = "What does the team plan cost?"
SILENCE_SECS = 0.8
SENT_SECS = 1.0
"""Until the last of an utterance has come."""

HELLO = {"type": "connection_established", "session_id": "", "agent": "receptionist"}
WAIT = {"wait": "answer"}


class Tape:
    """A server that writes down what its client sends.

    Attributes:
        lines: What that was.
        address: Where the client comes to.
    """

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []
        self.address = ""

    async def hold(self, socket: ServerConnection) -> None:
        begun_at = time.monotonic()
        await socket.send(json.dumps(HELLO))
        async for text in socket:
            at = round(time.monotonic() - begun_at, 2)
            self.lines.append({"at": at, "send": json.loads(text)})

    def save(self, name: str) -> None:
        FOLDER.mkdir(exist_ok=True)
        lines = [json.dumps(line, separators=(",", ":")) for line in self.lines]
        (FOLDER / f"{name}.jsonl").write_text("\n".join(lines) + "\n")


@asynccontextmanager
async def recording(name: str) -> AsyncIterator[Tape]:
    """Record a client; keep it under a name."""
    tape = Tape()
    async with serve(tape.hold, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        tape.address = f"ws://127.0.0.1:{port}/"
        yield tape
    tape.save(name)


async def push_to_talk(speaker: Speaker) -> None:
    """Have Chromium ask twice."""
    with serve_pages(PAGES) as pages, tempfile.TemporaryDirectory() as folder:
        async with recording("voice-agent") as tape, chromium("spoken") as browser:
            context = await browser.new_context()
            await context.add_init_script(MOUTH)
            tab = Tab(await context.new_page(), ())
            await tab.page.goto(f"{pages}/page.html?socket={tape.address}")
            await tab.page.locator("#talk:enabled").wait_for()
            for _ in range(2):
                await hold_and_say(tab, speaker, QUESTION, Path(folder))
                await asyncio.sleep(SENT_SECS)
                tape.lines.append(WAIT)
            await tab.page.evaluate("endSession()")
            await asyncio.sleep(SENT_SECS)


async def sandwich(speaker: Speaker) -> None:
    """Ask two questions."""
    async with recording("sandwich") as tape, joined(tape.address, SandwichClient) as client:
        for question in (QUESTION, PRICE_QUESTION):
            await client.say(await speaker.say(question))
            await asyncio.sleep(SENT_SECS)
            tape.lines.append(WAIT)


async def realtime(speaker: Speaker) -> None:
    """Ask, and be silent."""
    async with recording("realtime") as tape, joined(tape.address, RealtimeClient) as client:
        await client.say(await speaker.say(QUESTION))
        await asyncio.sleep(SILENCE_SECS)
        tape.lines.append(WAIT)


async def main() -> None:
    """Record them all."""
    with open_speaker() as speaker:
        await push_to_talk(speaker)
        await sandwich(speaker)
        await realtime(speaker)


if __name__ == "__main__":
    asyncio.run(main())
