"""SIGHUP: other settings without a restart."""

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from runner.peer import connect
from tests.integration.test_call import REPLY_SECS
from tests.integration.test_survival import hear_again
from tests.service import ROOT, STOP_SECS, run_service

pytestmark = pytest.mark.long


def greet(config: Path, words: str) -> None:
    """Have the receptionist greet in these words."""
    given = (ROOT / "voice.yaml").read_text()
    module = "    module: bots.receptionist\n"
    assert module in given
    config.write_text(given.replace(module, f"{module}    greeting: {words}\n"))


async def test_new_sessions_go_by_the_settings_of_the_file_and_calls_go_on(tmp_path: Path) -> None:
    config = tmp_path / "voice.yaml"
    greet(config, "Good morning.")
    # One goes on, one begins, and the line of the one before may take a moment to be free.
    lines = {"PARLANTE_VOICE__REALTIME__LIMITS__SESSIONS": "3"}
    with run_service(tmp_path, "--config", str(config), environment=lines) as service:
        async with connect(service.url) as before:
            assert await hear_again(before) == "Good morning."
            greet(config, "Good evening.")
            service.process.send_signal(signal.SIGHUP)
            await service.until_logged("sessions have other settings")
            async with connect(service.url) as after:
                assert await hear_again(after) == "Good evening."

            config.write_text("voice: {realtime: {vad: {threshold: loud}}}")
            service.process.send_signal(signal.SIGHUP)
            await service.until_logged("the settings stay as they were")
            assert "voice.realtime.vad.threshold" in service.log
            async with connect(service.url) as after:
                assert await hear_again(after) == "Good evening."
            seen = len(before.messages)
            before.send("send-text", {"content": "When do you open?"})
            await before.wait_for(
                lambda m: m["type"] == "bot-stopped-speaking", timeout=REPLY_SECS, after=seen
            )


def test_a_service_whose_terminal_is_closed_stops(tmp_path: Path) -> None:
    ours, its = pty.openpty()
    process = subprocess.Popen(
        ["setsid", "--ctty", sys.executable, "-m", "runner", "--port", "0"],
        cwd=ROOT,
        env={**os.environ, "PARLANTE_DATA_DIR": str(tmp_path / "data")},
        stdin=its,
        stdout=its,
        stderr=its,
    )
    os.close(its)
    shown = b""
    while b"Parlante is ready" not in shown:
        shown += os.read(ours, 1024)
    os.close(ours)
    assert process.wait(STOP_SECS) == 0
