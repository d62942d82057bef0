"""Pipecat's own runner starts a bot's file; its eval harness talks to that, and to the service."""

import asyncio
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.asyncio.client import connect as open_socket
from websockets.exceptions import ConnectionClosed

from runner.peer import connect
from tests.integration.test_call import ask
from tests.service import ROOT, Service, StockRunner, run_stock_runner
from tests.speech import Speaker, words_wrong

EVALUATION_SECS = 180


@pytest.fixture
def stock_runner(tmp_path: Path) -> Iterator[StockRunner]:
    with run_stock_runner(tmp_path) as runner:
        yield runner


async def test_a_bot_answers_under_pipecats_own_runner(
    stock_runner: StockRunner, speaker: Speaker
) -> None:
    async with connect(stock_runner.url) as peer:
        await peer.hear_out(timeout=30)
        heard, answer, voiced = await ask(peer, speaker, "How much is a flu shot?")
    assert words_wrong("How much is a flu shot?", heard) <= 1
    assert "twenty-five" in answer.lower()
    assert voiced > 1


async def evaluate(bot: str, url: str, folder: Path) -> None:
    """Hold the conversations of a bot's evaluations, and see that they go well."""
    command = [
        str(Path(sys.executable).parent / "pipecat"),
        "eval",
        "run",
        f"tests/evals/{bot}.yaml",
        "--bot-url",
        url,
        "--logs-dir",
        str(folder),
        "--no-cache",
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    evaluation = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, env=environment, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await asyncio.wait_for(evaluation.communicate(), EVALUATION_SECS)
    assert evaluation.returncode == 0, output.decode()
    assert re.search(rb"(\d)/\1 passed", output), output.decode()


async def test_it_passes_the_evaluations_in_text_and_in_sound(stock_runner: StockRunner) -> None:
    await evaluate("receptionist", f"ws://127.0.0.1:{stock_runner.port}/ws", stock_runner.folder)


@pytest.mark.parametrize("bot", ["receptionist", "sales", "callcenter", "smart_router"])
async def test_every_bot_passes_its_evaluations_in_the_service(
    service: Service, tmp_path: Path, bot: str
) -> None:
    await evaluate(bot, f"{service.url.replace('http', 'ws')}/ws?bot={bot}", tmp_path)


async def test_a_socket_for_evaluations_is_for_nothing_else(service: Service) -> None:
    async with open_socket(f"{service.url.replace('http', 'ws')}/ws") as socket:
        await socket.send(json.dumps({"event": "connected", "protocol": "Call"}))
        await socket.send(json.dumps({"event": "start", "start": {"streamSid": "1"}}))
        with pytest.raises(ConnectionClosed, match="eval harness"):
            await socket.recv()
