"""Voices and speech recognition that fail, over real connections."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bots.config import AnnouncementConfig
from processors.voice_failover import NO_VOICE
from tests.faulty_call import LONGEST_SECS, REFUSED, FaultyCall, address, calling, first_of
from tests.integration.conftest import FIRST, SECOND_HEARD
from tests.speech import Speaker
from tests.standins.openai_server import Fault, OpenAIStandin

TIMEOUTS = {"first_output": 1.5, "idle": 0.7}
FAILOVER = {"stt": TIMEOUTS, "tts": TIMEOUTS, "failures": 2, "rest": 600}
CANNOT_HEAR = AnnouncementConfig().cannot_hear

FAULTS = [REFUSED, "401", "429", "500", "hang", "stall", "close", "garbage"]


def services(first: OpenAIStandin, **others: Mapping[str, str]) -> dict[str, Any]:
    """Return services that work, but for `others`."""
    works = {"openai": first.url}
    return {"stt": works, "llm": works, "tts": works, **others, "failover": FAILOVER}


def known(standin: OpenAIStandin) -> list[str]:
    """Return what the language model was last told of its own words."""
    messages = standin.chats[-1]["messages"]
    return [message["content"] for message in messages if message["role"] == "assistant"]


async def ask_again(call: FaultyCall, standin: OpenAIStandin) -> list[str]:
    """Ask once more where nothing fails, and return what the bot knows that it has said before."""
    standin.faults.clear()
    assert (await call.ask()).said.heard == FIRST
    return known(standin)


class TestAVoiceThatFails:
    @pytest.mark.parametrize("fault", first_of(FAULTS))
    async def test_has_its_words_said_by_another(
        self,
        tmp_path: Path,
        speaker: Speaker,
        first: OpenAIStandin,
        second: OpenAIStandin,
        fault: str,
    ) -> None:
        tts = {"openai": address(first, "tts", fault), "backup": second.url}
        async with calling(tmp_path, speaker, **services(first, tts=tts)) as call:
            answer = await call.ask()
        assert answer.said.heard == FIRST
        assert second.spoken == [FIRST]
        assert answer.wait_secs < LONGEST_SECS
        [failure] = answer.failures
        assert (failure.stage, failure.provider, failure.successor) == ("tts", "openai", "backup")

    @pytest.mark.parametrize("fault", first_of(["500", "hang", "garbage"]))
    async def test_is_owned_up_to_in_a_recording_where_no_other_is_left(
        self, tmp_path: Path, speaker: Speaker, first: OpenAIStandin, fault: str
    ) -> None:
        first.faults["tts"] = Fault(fault)
        async with calling(tmp_path, speaker, **services(first)) as call:
            answer = await call.ask()
            assert (answer.said.heard, answer.said.generated) == (NO_VOICE, FIRST)
            assert answer.wait_secs < LONGEST_SECS
            assert await ask_again(call, first) == [NO_VOICE]

    async def test_is_spared_by_its_circuit(
        self, tmp_path: Path, speaker: Speaker, first: OpenAIStandin, second: OpenAIStandin
    ) -> None:
        first.faults["tts"] = Fault.UNAUTHORIZED
        tts = {"openai": first.url, "backup": second.url}
        async with calling(tmp_path, speaker, **services(first, tts=tts)) as call:
            assert len((await call.ask()).failures) == 1
            again = await call.ask()
        assert (again.failures, again.said.heard) == ([], FIRST)
        assert len(second.spoken) == 2


class TestASpeechRecognitionThatFails:
    @pytest.mark.parametrize("fault", first_of(FAULTS))
    async def test_has_another_hear_the_same_words(
        self,
        tmp_path: Path,
        speaker: Speaker,
        first: OpenAIStandin,
        second: OpenAIStandin,
        fault: str,
    ) -> None:
        stt = {"openai": address(first, "stt", fault), "backup": second.url}
        async with calling(tmp_path, speaker, **services(first, stt=stt)) as call:
            answer = await call.ask()
            said = [turn.heard for turn in call.witness.turns]
        assert said == [SECOND_HEARD, FIRST]
        assert second.heard_secs[0] > 0.5
        [failure] = answer.failures
        assert (failure.stage, failure.provider, failure.successor) == ("stt", "openai", "backup")

    @pytest.mark.parametrize("fault", first_of([REFUSED, "401", "hang", "garbage"]))
    async def test_is_owned_up_to_where_no_other_is_left(
        self, tmp_path: Path, speaker: Speaker, first: OpenAIStandin, fault: str
    ) -> None:
        stt = {"openai": address(first, "stt", fault)}
        async with calling(tmp_path, speaker, **services(first, stt=stt)) as call:
            answer = await call.ask()
            assert answer.said.heard == CANNOT_HEAR
            if fault != REFUSED:
                assert await ask_again(call, first) == [CANNOT_HEAR]
