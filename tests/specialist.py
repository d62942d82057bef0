"""A process that thinks for one bot, started as a user starts it."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.service import ROOT, START_SECS, STOP_SECS


@dataclass
class Specialist:
    """A running process.

    Attributes:
        process: It.
        folder: For its log and its data.
    """

    process: subprocess.Popen[bytes]
    folder: Path

    @property
    def log(self) -> str:
        return (self.folder / "specialist.log").read_text()


@asynccontextmanager
async def run_specialist(
    folder: Path, name: str, environment: Mapping[str, str]
) -> AsyncIterator[Specialist]:
    """Start `python -m runner specialist`; stop it with SIGTERM at the end, if it still runs."""
    process = _start(folder, name, environment)
    specialist = Specialist(process, folder)
    try:
        async with asyncio.timeout(START_SECS):
            while f"Parlante's {name} is ready" not in specialist.log:
                assert process.poll() is None, specialist.log
                await asyncio.sleep(0.05)
        yield specialist
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(process.wait, STOP_SECS) == 0, specialist.log
    finally:
        process.kill()
        process.wait()


def _start(folder: Path, name: str, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    folder.mkdir()
    with (folder / "specialist.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "runner", "specialist", name],
            cwd=ROOT,
            env={**os.environ, "PARLANTE_DATA_DIR": str(folder / "data"), **environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
