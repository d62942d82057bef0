"""Deepgram's Flux tells itself when a turn has ended: a stand-in for it, over its own protocol."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import yaml

from bots.settings import DEFAULT_CONFIG
from runner.clients.client import FRAME_SAMPLES
from runner.peer import Peer, connect
from tests.integration.test_call import REPLY_SECS, ask, is_final_transcript
from tests.service import run_service
from tests.speech import Speaker, silence
from tests.standins.deepgram_flux import FluxStandin, run_flux_standin
from tests.standins.openai_server import OpenAIStandin, always, run_openai_standin

pytestmark = pytest.mark.long

QUESTION = "Are you open on Sunday?"
ANSWER = "No, we are closed on Sundays."
PAUSE_SECS = 1.4
"""Longer than any silence that Parlante would wait for, shorter than the stand-in does."""


@pytest.fixture
async def flux() -> AsyncIterator[FluxStandin]:
    standin = FluxStandin(key="dg-standin", heard=QUESTION, guess_secs=0.5, end_secs=2.0)
    async with run_flux_standin(standin):
        yield standin


@pytest.fixture
async def openai() -> AsyncIterator[OpenAIStandin]:
    standin = OpenAIStandin(key="sk-standin", heard="", reply=always(ANSWER))
    async with run_openai_standin(standin):
        yield standin


@pytest.fixture
async def peer(tmp_path: Path, flux: FluxStandin, openai: OpenAIStandin) -> AsyncIterator[Peer]:
    """In a call with a bot that hears through the one and thinks and speaks through the other."""
    settings = yaml.safe_load(DEFAULT_CONFIG.read_text())
    settings["profiles"]["flux"] = {"stt": ["deepgram.flux"], "llm": ["openai"], "tts": ["openai"]}
    settings["voice"]["providers"]["deepgram.flux"]["stt"]["options"]["url"] = flux.url
    config = tmp_path / "voice.yaml"
    config.write_text(yaml.safe_dump(settings))
    environment = {
        "DEEPGRAM_API_KEY": flux.key,
        "OPENAI_API_KEY": openai.key,
        "OPENAI_BASE_URL": openai.url,
        "PARLANTE_CONFIG": str(config),
    }
    with run_service(tmp_path, "--profile", "flux", environment=environment) as service:
        async with connect(service.url) as peer:
            await peer.hear_out(timeout=REPLY_SECS)
            yield peer


async def test_a_turn_ends_when_flux_says_so_and_is_answered_once(
    peer: Peer, speaker: Speaker, flux: FluxStandin, openai: OpenAIStandin
) -> None:
    half = (await speaker.say("Are you open")), silence(PAUSE_SECS), await speaker.say("on Sunday?")
    ended: list[float] = []
    telling = asyncio.create_task(_turn_end(peer, ended))
    asked_at = len(peer.messages)
    await peer.microphone.say(np.concatenate(half))
    await peer.hear_out(timeout=REPLY_SECS, after=asked_at)
    await telling
    said = peer.messages[asked_at:]
    assert [m["data"]["text"] for m in said if is_final_transcript(m)] == [QUESTION]
    assert [m["type"] for m in said].count("bot-started-speaking") == 1
    assert ended == [pytest.approx(flux.ended_at[0], abs=0.2)]
    # Each guess is answered ahead, and what was right is not asked for again.
    told = [event for event in flux.events if event != "Update"]
    assert told == ["StartOfTurn", "EagerEndOfTurn", "TurnResumed", "EagerEndOfTurn", "EndOfTurn"]
    assert len(openai.chats) == 2
    assert openai.spoken[-1].strip() == ANSWER
    assert flux.queries[0]["model"] == "flux-general-en"


async def _turn_end(peer: Peer, ended: list[float]) -> None:
    await peer.wait_for(
        lambda message: message["type"] == "user-stopped-speaking",
        timeout=REPLY_SECS,
        after=len(peer.messages),
    )
    ended.append(asyncio.get_running_loop().time())


async def test_the_bot_falls_silent_when_flux_hears_a_turn_begin(
    peer: Peer, speaker: Speaker, openai: OpenAIStandin
) -> None:
    openai.confirmation = " ".join([ANSWER] * 5)
    asked_at = len(peer.messages)
    await peer.microphone.say(await speaker.say(QUESTION))
    await peer.wait_for_state("speaking", timeout=REPLY_SECS, after=asked_at)
    interrupted_at = len(peer.messages)
    await peer.microphone.say((await speaker.say("Wait, one more thing."))[: FRAME_SAMPLES * 40])
    await peer.wait_for(
        lambda message: message["type"] == "bot-stopped-speaking", timeout=2, after=interrupted_at
    )
    heard, answer, _ = await ask(peer, speaker, QUESTION)
    assert heard == QUESTION
    assert ANSWER in answer
