"""The conversations of tests/evals, held by Pipecat's eval harness: what bots must get right."""

from pathlib import Path

import pytest

from tests.evaluation import evaluate, socket_of
from tests.service import Service


@pytest.mark.parametrize("bot", ["receptionist", "sales", "callcenter", "smart_router"])
async def test_every_bot_passes_its_evaluations_with_offline_models(
    service: Service, tmp_path: Path, bot: str
) -> None:
    await evaluate(socket_of(service.url, bot), tmp_path, bot, f"offline/{bot}")


@pytest.mark.parametrize("bot", ["receptionist", "sales", "callcenter", "smart_router"])
async def test_every_bot_passes_its_evaluations_with_tools(
    scripted: Service, tmp_path: Path, bot: str
) -> None:
    await evaluate(socket_of(scripted.url, bot), tmp_path, f"tools/{bot}")


@pytest.mark.parametrize("bot", ["sandwich", "realtime"])
async def test_a_bot_for_larger_models_passes_its_evaluations(
    scripted: Service, tmp_path: Path, bot: str
) -> None:
    await evaluate(socket_of(scripted.url, bot), tmp_path, bot)
