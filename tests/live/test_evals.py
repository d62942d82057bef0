"""The conversations of tests/evals with real services, one after the other: `make evals-live`.

Services whose keys are not set, in the environment or in .env, are skipped, and told at the end.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from dotenv import load_dotenv

from bots.agents.chat_model import PROVIDERS as HAVE_AGENTS
from bots.config import Kind
from bots.settings import load_settings
from tests.evaluation import evaluate, socket_of
from tests.service import ROOT, Service, run_service

load_dotenv(ROOT / ".env")
SETTINGS = load_settings()

WITH_TOOLS = ("receptionist", "sales", "callcenter", "smart_router")

BOTS: dict[Kind, tuple[str, ...]] = {
    "llm": (*WITH_TOOLS, "sandwich"),
    "stt": ("receptionist",),
    "tts": ("receptionist",),
    "realtime": ("realtime",),
}
"""Who shows what about a service."""


def _files(kind: Kind, bot: str) -> list[str]:
    return [bot, f"tools/{bot}"] if kind == "llm" and bot in WITH_TOOLS else [bot]


CASES = [
    pytest.param((kind, provider), bot, _files(kind, bot), id=f"{kind}-{provider}-{bot}")
    for kind, bots in BOTS.items()
    for provider in getattr(SETTINGS.profiles["auto"], kind)
    for bot in bots
    if provider != "local" and (bot != "sandwich" or provider in HAVE_AGENTS)
]


@pytest.fixture(scope="module")
def live(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """A service that has one kind of service from one provider, and the others as usual."""
    kind, provider = request.param
    if lacking := getattr(SETTINGS.voice.providers[provider], kind).missing_env:
        pytest.skip(f"{kind} of {provider}: set {', '.join(lacking)}")
    alone = {f"PARLANTE_PROFILES__AUTO__{kind.upper()}": json.dumps([provider])}
    with run_service(tmp_path_factory.mktemp(f"{kind}-{provider}"), environment=alone) as service:
        yield service


@pytest.mark.parametrize(("live", "bot", "files"), CASES, indirect=["live"])
async def test_a_bot_passes_its_evaluations_with_real_services(
    live: Service, tmp_path: Path, bot: str, files: list[str]
) -> None:
    await evaluate(socket_of(live.url, bot), tmp_path, *files)
