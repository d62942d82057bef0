"""Pipecat's own eval harness, run as a user runs it."""

import asyncio
import os
import re
import sys
from pathlib import Path

from tests.service import ROOT

EVALUATION_SECS = 180


async def evaluate(url: str, folder: Path, *names: str) -> None:
    """Hold the conversations of evaluations with one bot, and see that they go well.

    Args:
        url: The bot's socket.
        folder: For logs.
        *names: Files of tests/evals, without their ending.
    """
    command = [
        str(Path(sys.executable).parent / "pipecat"),
        *("eval", "run"),
        *(f"tests/evals/{name}.yaml" for name in names),
        *("--bot-url", url, "--logs-dir", str(folder), "--no-cache"),
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    evaluation = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, env=environment, stdout=asyncio.subprocess.PIPE
    )
    try:
        output, _ = await asyncio.wait_for(evaluation.communicate(), EVALUATION_SECS)
    finally:
        if evaluation.returncode is None:
            evaluation.kill()
            await evaluation.wait()
    assert evaluation.returncode == 0, output.decode()
    assert re.search(rb"(\d+)/\1 passed", output), output.decode()


def socket_of(url: str, bot: str) -> str:
    """Return where the harness finds a bot of a service."""
    return f"{url.replace('http', 'ws')}/ws?bot={bot}"
