"""Voices and speech recognition that fail, over real connections of every kind."""

from pathlib import Path

import pytest

from bots.config import AnnouncementConfig
from processors.voice_failover import NO_VOICE
from tests.faulty_call import LONGEST_SECS, QUESTION, FaultyCall, calling, first_of
from tests.faulty_services import FAULTS, REFUSED, FaultyService
from tests.integration.conftest import FAILOVER, FIRST, SECOND_HEARD, services
from tests.speech import Speaker
from tests.standins.openai_server import Fault, OpenAIStandin

# Deepgram's SDK uses what `websockets` will not have for ever.
pytestmark = [
    pytest.mark.long,
    pytest.mark.filterwarnings("ignore:websockets.* deprecated:DeprecationWarning"),
]

CANNOT_HEAR = AnnouncementConfig().cannot_hear

REASONS = {
    "401": {"authentication"},
    # OpenAI's client tries again, and is not waited for.
    "429": {"rate_limit", "timeout"},
    "500": {"server", "timeout"},
    "hang": {"timeout"},
    "stall": {"timeout"},
}
"""By which a failure is counted; the others break the connection, or cannot be read."""


async def ask_again(call: FaultyCall, service: FaultyService, first: OpenAIStandin) -> list[str]:
    """Ask once more where nothing fails, and return what the bot knows that it has said before."""
    service.mend()
    assert (await call.ask()).said.heard == FIRST
    messages = first.chats[-1]["messages"]
    return [message["content"] for message in messages if message["role"] == "assistant"]


class TestAVoiceThatFails:
    @pytest.mark.parametrize("fault", first_of(FAULTS))
    async def test_has_its_words_said_by_another(
        self,
        tmp_path: Path,
        speaker: Speaker,
        first: OpenAIStandin,
        second: OpenAIStandin,
        voice: FaultyService,
        fault: str,
    ) -> None:
        tts = {**voice.failing(fault), "backup": second.url}
        async with calling(tmp_path, speaker, **services(first, tts=tts)) as call:
            answer = await call.ask()
        assert answer.said.heard == FIRST
        assert second.spoken == [FIRST]
        assert answer.wait_secs < LONGEST_SECS
        [failure] = answer.failures
        assert (failure.stage, failure.provider) == ("tts", voice.provider)
        assert failure.successor == "backup"
        assert failure.reason in REASONS.get(fault, {failure.reason})

    @pytest.mark.parametrize("fault", first_of(FAULTS))
    async def test_is_owned_up_to_in_a_recording_where_no_other_is_left(
        self,
        tmp_path: Path,
        speaker: Speaker,
        first: OpenAIStandin,
        voice: FaultyService,
        fault: str,
    ) -> None:
        tts = voice.failing(fault)
        async with calling(tmp_path, speaker, **services(first, tts=tts)) as call:
            answer = await call.ask()
            # Those with a WebSocket tell when they say each word.
            is_begun = fault in ("stall", "close") and voice.provider != "openai"
            begun = "On Friday we" if is_begun else ""
            assert answer.said.heard == f"{begun} {NO_VOICE}".strip()
            assert answer.said.generated == FIRST
            assert answer.wait_secs < LONGEST_SECS
            if fault != REFUSED:
                assert await ask_again(call, voice, first) == [answer.said.heard]

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
        ear: FaultyService,
        fault: str,
    ) -> None:
        stt = {**ear.failing(fault), "backup": second.url}
        async with calling(tmp_path, speaker, **services(first, stt=stt)) as call:
            answer = await call.ask()
            said = [turn.heard for turn in call.witness.turns]
        assert said == [SECOND_HEARD, FIRST]
        assert second.heard_secs[0] > 0.5
        assert answer.wait_secs < LONGEST_SECS
        # One with a connection of its own may have failed before anything was said.
        failure = answer.failures[0]
        assert (failure.stage, failure.provider) == ("stt", ear.provider)
        assert failure.successor == "backup"
        if ear.provider != "openai":
            # Pipecat's service does not tell why.
            assert failure.reason in REASONS.get(fault, {failure.reason})

    @pytest.mark.parametrize("fault", first_of(FAULTS))
    async def test_is_owned_up_to_where_no_other_is_left(
        self,
        tmp_path: Path,
        speaker: Speaker,
        first: OpenAIStandin,
        ear: FaultyService,
        fault: str,
    ) -> None:
        stt = ear.failing(fault)
        async with calling(tmp_path, speaker, **services(first, stt=stt)) as call:
            answer = await call.ask()
            assert answer.said.heard == CANNOT_HEAR
            assert answer.wait_secs < LONGEST_SECS
            if fault != REFUSED:
                assert await ask_again(call, ear, first) == [CANNOT_HEAR]


RESTS_SHORTLY = {**FAILOVER, "rest": 0.1}


class TestAServiceThatHasRested:
    @pytest.mark.parametrize("voice", first_of(["elevenlabs", "cartesia", "openai"]), indirect=True)
    async def test_speaks_again_when_it_can(
        self,
        tmp_path: Path,
        speaker: Speaker,
        first: OpenAIStandin,
        second: OpenAIStandin,
        voice: FaultyService,
    ) -> None:
        tts = {**voice.failing("401"), "backup": second.url}
        wishes = services(first, tts=tts, failover=RESTS_SHORTLY)
        async with calling(tmp_path, speaker, **wishes) as call:
            tried = [await call.ask() for _ in range(2)]
            assert [len(answer.failures) for answer in tried] == [1, 1]
            voice.mend()
            spoken = [await call.ask() for _ in range(2)]
        assert [answer.failures for answer in spoken] == [[], []]
        assert {answer.said.heard for answer in tried + spoken} == {FIRST}
        assert second.spoken == [FIRST] * 2

    @pytest.mark.parametrize("ear", first_of(["elevenlabs", "deepgram", "openai"]), indirect=True)
    async def test_hears_again_when_it_can(
        self,
        tmp_path: Path,
        speaker: Speaker,
        first: OpenAIStandin,
        second: OpenAIStandin,
        ear: FaultyService,
    ) -> None:
        stt = {**ear.failing("401"), "backup": second.url}
        wishes = services(first, stt=stt, failover=RESTS_SHORTLY)
        async with calling(tmp_path, speaker, **wishes) as call:
            tried = [await call.ask() for _ in range(2)]
            assert [len(answer.failures) for answer in tried] == [1, 1]
            ear.mend()
            heard = [await call.ask() for _ in range(2)]
            said = [turn.heard for turn in call.witness.turns]
        assert [answer.failures for answer in heard] == [[], []]
        assert said == [SECOND_HEARD, FIRST] * 2 + [QUESTION, FIRST] * 2
