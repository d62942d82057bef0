"""The real service, started as a user starts it."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

ROOT = Path(__file__).parent.parent
READY = re.compile(r"Parlante is ready: (http://\S+)")
START_SECS = 60
STOP_SECS = 30
LOGGED_SECS = 20

OFFLINE_SPEECH = {
    "PARLANTE_PROFILES__AUTO__STT": '["local"]',
    "PARLANTE_PROFILES__AUTO__TTS": '["local"]',
}
"""Ears and a voice of its own, whatever keys a service has."""


@dataclass
class Service:
    """A running service.

    Attributes:
        url: Where it listens.
        process: It.
        log_file: What it writes.
        logged_before: Characters at its beginning that are not of interest.
    """

    url: str
    process: subprocess.Popen[bytes]
    log_file: Path
    logged_before: int = 0

    @property
    def log(self) -> str:
        return self.log_file.read_text()[self.logged_before :]

    @property
    def data(self) -> Path:
        """Where it keeps its data."""
        return self.log_file.parent / "data"

    async def until_logged(self, text: str, times: int = 1) -> None:
        """Wait until it has written a text, or has written it so many times."""
        async with asyncio.timeout(LOGGED_SECS):
            while self.log.count(text) < times:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.05)


def free_port() -> int:
    """Return a port of the loopback address where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


@contextmanager
def run_service(
    folder: Path,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    by: Sequence[str] = (),
) -> Iterator[Service]:
    """Start `python -m runner` on a free port; stop it with SIGTERM at the end.

    Args:
        folder: For its log and its data.
        *arguments: Further arguments.
        environment: Further variables.
        by: A command that turns into the one it is given, such as `nsenter`.
    """
    log_file = folder / "service.log"
    command = [*by, sys.executable, "-m", "runner", "--port", "0", *arguments]
    variables = {
        "PARLANTE_DATA_DIR": str(folder / "data"),
        # Tests are the load themselves, and ask /ready how many sessions there are.
        "PARLANTE_VOICE__REALTIME__WORKER__LOAD_THRESHOLD": "1",
        **(environment or {}),
    }
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        yield Service(_wait_until_ready(process, log_file), process, log_file)
    except BaseException:
        # What has failed is to be told, not how long its calls would go on.
        process.kill()
        process.wait()
        raise
    else:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError("the service does not stop") from None


async def get(url: str) -> dict[str, Any]:
    """Return an answer in JSON."""
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        answer: dict[str, Any] = await response.json()
        return answer


async def until_no_session(url: str, timeout: float) -> None:
    """Wait until nobody is in a call, nor expected in one."""
    async with asyncio.timeout(timeout):
        while (await get(f"{url}/ready"))["sessions"]:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.1)


def keys(folder: Path, *arguments: str) -> str:
    """Run `keys` beside the service of a folder; return what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "runner", "keys", *arguments],
        cwd=ROOT,
        env={"PARLANTE_DATA_DIR": str(folder / "data"), "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.strip()


def _wait_until_ready(process: subprocess.Popen[bytes], log_file: Path) -> str:
    deadline = time.monotonic() + START_SECS
    while time.monotonic() < deadline and process.poll() is None:
        if found := READY.search(log_file.read_text()):
            return found[1]
        time.sleep(0.05)
    raise AssertionError(f"the service does not start:\n{log_file.read_text()}")


@dataclass
class StockRunner:
    """Pipecat's own runner with our receptionist.

    Attributes:
        port: Where it listens.
        folder: For its log and its data.
    """

    port: int
    folder: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def run_stock_runner(folder: Path) -> Iterator[StockRunner]:
    """Start `python bots/receptionist.py`; stop it at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        runner = StockRunner(probe.getsockname()[1], folder)
    with (folder / "runner.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "bots/receptionist.py", "--port", str(runner.port)],
            cwd=ROOT,
            env={**os.environ, "PARLANTE_DATA_DIR": str(folder / "data")},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        _wait_until_up(process, runner)
        yield runner
    finally:
        process.terminate()
        process.wait(STOP_SECS)


def _wait_until_up(process: subprocess.Popen[bytes], runner: StockRunner) -> None:
    deadline = time.monotonic() + START_SECS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{runner.url}/status"):
                return
        except urllib.error.URLError:
            time.sleep(0.1)
    raise AssertionError((runner.folder / "runner.log").read_text())
