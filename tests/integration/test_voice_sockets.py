"""What is particular to voices with a connection of their own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.faulty_call import FaultyCall, calling
from tests.faulty_services import VOICES, FaultyService
from tests.integration.conftest import FAILOVER, FIRST, services
from tests.line import speak
from tests.speech import Speaker
from tests.standins.faults import WORD_SECS
from tests.standins.openai_server import Fault, OpenAIStandin, always

pytestmark = pytest.mark.long

LONG = " ".join(["We are open all day long and every caller is welcome here today."] * 4)


@asynccontextmanager
async def speaking(call: FaultyCall) -> AsyncIterator[None]:
    """Ask, and be silent behind it."""
    saying = asyncio.create_task(speak(call.line.mouth, call.question))
    try:
        yield
    finally:
        saying.cancel()
        await asyncio.gather(saying, return_exceptions=True)


@pytest.mark.parametrize("voice", VOICES[1:], indirect=True)
class TestAVoiceWithASocket:
    async def test_stands_in_for_one_without(
        self,
        tmp_path: Path,
        speaker: Speaker,
        first: OpenAIStandin,
        voice: FaultyService,
    ) -> None:
        first.faults["tts"] = Fault.STALLS
        tts = {"openai": first.url, **voice.address}
        async with calling(tmp_path, speaker, **services(first, tts=tts)) as call:
            answer = await call.ask()
        assert answer.said.heard == FIRST
        assert [said.strip() for said in voice.standin.spoken.values()] == [FIRST]

    async def test_stands_in_for_one_that_says_nothing_for_longer_than_pipecat_waits_for_sound(
        self,
        tmp_path: Path,
        speaker: Speaker,
        first: OpenAIStandin,
        voice: FaultyService,
    ) -> None:
        first.faults["tts"] = Fault.HANGS
        tts = {"openai": first.url, **voice.address}
        failover = {**FAILOVER, "tts": {"first_output": 3.5, "idle": 2.0}}
        faulty = services(first, tts=tts, failover=failover)
        async with calling(tmp_path, speaker, **faulty) as call:
            answer = await call.ask()
        assert answer.said.heard == FIRST

    async def test_has_those_words_heard_whose_sound_was_played(
        self,
        tmp_path: Path,
        speaker: Speaker,
        first: OpenAIStandin,
        voice: FaultyService,
    ) -> None:
        first.reply = always(LONG)
        async with calling(tmp_path, speaker, **services(first, tts=voice.address)) as call:
            ear = call.line.ear
            async with speaking(call):
                await ear.heard.wait()
                await asyncio.sleep(2.0)
            async with speaking(call):
                said = await call.witness.answer(0)
                played_secs = ear.played_secs
        assert said.interrupted
        assert LONG.startswith(said.heard)
        assert len(said.heard.split()) * WORD_SECS == pytest.approx(played_secs, abs=0.5)
