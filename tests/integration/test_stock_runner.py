"""Pipecat's own runner starts a bot's file, and its eval harness talks to that."""

import json
from collections.abc import Iterator

import pytest
from websockets.asyncio.client import connect as open_socket
from websockets.exceptions import ConnectionClosed

from runner.peer import connect
from tests.evaluation import evaluate
from tests.integration.test_call import ask
from tests.service import Service, StockRunner, run_stock_runner
from tests.speech import Speaker, words_wrong

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def stock_runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StockRunner]:
    with run_stock_runner(tmp_path_factory.mktemp("runner")) as runner:
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


async def test_it_passes_the_evaluations_in_text_and_in_sound(stock_runner: StockRunner) -> None:
    url = f"ws://127.0.0.1:{stock_runner.port}/ws"
    await evaluate(url, stock_runner.folder, "receptionist", "offline/receptionist")


async def test_a_socket_for_evaluations_is_for_nothing_else(service: Service) -> None:
    async with open_socket(f"{service.url.replace('http', 'ws')}/ws") as socket:
        await socket.send(json.dumps({"event": "connected", "protocol": "Call"}))
        await socket.send(json.dumps({"event": "start", "start": {"streamSid": "1"}}))
        with pytest.raises(ConnectionClosed, match="eval harness"):
            await socket.recv()
