"""Voices with a connection of their own that fail, and stand in for others that do."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import pytest

from processors.voice_failover import NO_VOICE
from tests.faulty_call import KEY, LONGEST_SECS, NOBODY, REFUSED, FaultyCall, calling, first_of
from tests.integration.conftest import FIRST
from tests.integration.test_speech_failover import FAULTS, ask_again, services
from tests.line import speak
from tests.speech import Speaker
from tests.standins.cartesia import CartesiaVoice, run_cartesia_voice
from tests.standins.elevenlabs import ElevenLabsVoice, run_elevenlabs_voice
from tests.standins.faults import WORD_SECS
from tests.standins.openai_server import Fault, OpenAIStandin, always

REASONS = {
    "401": "authentication",
    "429": "rate_limit",
    "500": "server",
    "hang": "timeout",
    "stall": "timeout",
}
"""By which a failure is counted; the others break the connection."""

LONG = " ".join(["We are open all day long and every caller is welcome here today."] * 4)

Voice: TypeAlias = tuple[str, ElevenLabsVoice | CartesiaVoice]


@pytest.fixture(params=["elevenlabs", "cartesia"])
async def voice(request: pytest.FixtureRequest) -> AsyncIterator[Voice]:
    """A provider, by its name, and what is in its place."""
    if request.param == "cartesia":
        async with run_cartesia_voice(CartesiaVoice(KEY)) as cartesia:
            yield request.param, cartesia
        return
    async with run_elevenlabs_voice(ElevenLabsVoice(KEY)) as standin:
        yield request.param, standin


def address(voice: Voice, fault: str) -> dict[str, str]:
    name, standin = voice
    if fault == REFUSED:
        return {name: NOBODY.replace("http", "ws")}
    standin.fault = Fault(fault)
    return {name: standin.url}


@asynccontextmanager
async def speaking(call: FaultyCall) -> AsyncIterator[None]:
    """Ask, and be silent behind it."""
    saying = asyncio.create_task(speak(call.line.mouth, call.question))
    try:
        yield
    finally:
        saying.cancel()
        await asyncio.gather(saying, return_exceptions=True)


class TestAVoiceWithASocketThatFails:
    @pytest.mark.parametrize("fault", first_of(FAULTS))
    async def test_has_its_words_said_by_another(
        self,
        tmp_path: Path,
        speaker: Speaker,
        first: OpenAIStandin,
        second: OpenAIStandin,
        voice: Voice,
        fault: str,
    ) -> None:
        tts = {**address(voice, fault), "backup": second.url}
        async with calling(tmp_path, speaker, **services(first, tts=tts)) as call:
            answer = await call.ask()
        assert answer.said.heard == FIRST
        assert second.spoken == [FIRST]
        assert answer.wait_secs < LONGEST_SECS
        [failure] = answer.failures
        assert (failure.provider, failure.successor) == (voice[0], "backup")
        assert failure.reason == REASONS.get(fault, failure.reason)

    @pytest.mark.parametrize("fault", first_of(["401", "hang", "stall", "garbage"]))
    async def test_is_owned_up_to_where_no_other_is_left(
        self,
        tmp_path: Path,
        speaker: Speaker,
        first: OpenAIStandin,
        voice: Voice,
        fault: str,
    ) -> None:
        tts = address(voice, fault)
        async with calling(tmp_path, speaker, **services(first, tts=tts)) as call:
            answer = await call.ask()
            begun = "On Friday we" if fault == "stall" else ""
            assert answer.said.heard == f"{begun} {NO_VOICE}".strip()
            assert answer.said.generated == FIRST
            assert answer.wait_secs < LONGEST_SECS
            voice[1].fault = None
            assert await ask_again(call, first) == [answer.said.heard]


class TestAVoiceWithASocket:
    async def test_stands_in_for_one_without(
        self,
        tmp_path: Path,
        speaker: Speaker,
        first: OpenAIStandin,
        voice: Voice,
    ) -> None:
        first.faults["tts"] = Fault.STALLS
        tts = {"openai": first.url, voice[0]: voice[1].url}
        async with calling(tmp_path, speaker, **services(first, tts=tts)) as call:
            answer = await call.ask()
        assert answer.said.heard == FIRST
        assert [said.strip() for said in voice[1].spoken.values()] == [FIRST]

    async def test_has_those_words_heard_whose_sound_was_played(
        self,
        tmp_path: Path,
        speaker: Speaker,
        first: OpenAIStandin,
        voice: Voice,
    ) -> None:
        first.reply = always(LONG)
        tts = {voice[0]: voice[1].url}
        async with calling(tmp_path, speaker, **services(first, tts=tts)) as call:
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
