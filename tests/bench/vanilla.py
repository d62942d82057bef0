"""Starts vanilla_bot.py and the server of its language model, each as a process."""

import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

from bots.models import ModelStore, default_models_dir, load_manifest

ROOT = Path(__file__).resolve().parents[2]
START_SECS = 60
STOP_SECS = 30

T = TypeVar("T")


@contextmanager
def run_vanilla(folder: Path, llm: str) -> Iterator[str]:
    """Start a vanilla bot on a free port; stop it at the end.

    Args:
        folder: For the logs.
        llm: A language model of the manifest.

    Yields:
        Its address.
    """
    model = ModelStore(default_models_dir(), load_manifest()).file(llm)
    log, url = folder / "llm.log", f"http://127.0.0.1:{_free_port()}"
    with ExitStack() as stack:
        server = stack.enter_context(_process(log, "llm_server.py", str(model)))
        found = _wait(lambda: re.search(r"model is ready: (\S+)", log.read_text()), server, log)
        environment = {"OPENAI_BASE_URL": found[1], "OPENAI_API_KEY": "none"}
        log = folder / "vanilla.log"
        arguments = ["vanilla_bot.py", "-t", "webrtc", "--port", url.rpartition(":")[2]]
        bot = stack.enter_context(_process(log, *arguments, environment=environment))
        _wait(lambda: _is_up(url), bot, log)
        yield url


@contextmanager
def _process(
    log_file: Path, script: str, *arguments: str, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, f"tests/bench/{script}", *arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(ready: Callable[[], T], process: subprocess.Popen[bytes], log: Path) -> T:
    """Return what `ready` returns, as soon as that is true."""
    deadline = time.monotonic() + START_SECS
    while time.monotonic() < deadline and process.poll() is None:
        if result := ready():
            return result
        time.sleep(0.1)
    raise AssertionError(f"the vanilla bot does not start:\n{log.read_text()}")


def _is_up(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/status", timeout=START_SECS):
            return True
    except urllib.error.URLError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
