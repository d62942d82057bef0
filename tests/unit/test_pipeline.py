"""What a call is assembled from."""

import json
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bots.config import PriceConfig
from bots.local_models import LocalModels
from bots.meter import Meter
from bots.pipeline import Brain, make_chained
from bots.registry import load_bot
from bots.resources import open_resources
from bots.settings import DEFAULT_CONFIG, load_settings
from processors.output_pause import OutputPause
from processors.piper_tts import PiperTTS
from tests.unit.test_piper_tts import Voice, reply

PRICE = "Das macht $19.50."


async def do_nothing(_: Any) -> None:
    """Take what a call tells."""


@asynccontextmanager
async def assembled(folder: Path, voice: Path, engine: Voice) -> AsyncIterator[Brain]:
    """Yield what is in a call with services in the cloud and an offline voice."""
    mixed = {kind: ["openai"] for kind in ("stt", "llm")} | {"tts": ["local"]}
    settings = load_settings(
        DEFAULT_CONFIG,
        {
            "data_dir": str(folder),
            "profile": "mixed",
            "profiles": {"mixed": mixed},
            "voice": {"providers": {"local": {"tts": {"voice": str(voice)}}}},
        },
    )

    async def load() -> LocalModels:
        models = LocalModels(kept=folder)
        models.piper = engine  # type: ignore[assignment]
        return models

    async with open_resources(settings, load()) as resources:
        yield make_chained(
            load_bot("callcenter", settings),
            OutputPause(),
            resources,
            session_id="one",
            messages=[],
            keep_tool_call=do_nothing,
            report_failure=do_nothing,
            meter=Meter(PriceConfig()),
            is_recorded=False,
            transfer=None,
        )


@pytest.mark.parametrize(
    ("family", "said"),
    [("de", PRICE), ("en", "Das macht nineteen dollars and fifty cents.")],
)
async def test_an_offline_voice_is_given_numbers_as_they_are_in_its_own_language(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: str, said: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    voice = tmp_path / "voice.onnx"
    voice.touch()
    voice.with_name("voice.onnx.json").write_text(json.dumps({"language": {"family": family}}))
    with ThreadPoolExecutor(max_workers=1) as executor:
        engine = Voice(executor)
        async with assembled(tmp_path, voice, engine) as brain:
            [tts] = [it for it in brain.processors if isinstance(it, PiperTTS)]
            await reply(tts, PRICE)
    assert [text for text, _ in engine.texts] == [said]
