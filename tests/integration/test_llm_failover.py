"""A language model that fails, over real connections: somebody answers, or says that none does."""

from pathlib import Path
from typing import Any

import pytest

from bots.config import AnnouncementConfig
from processors.transcript import Speaker as Who
from tests.faulty_call import (
    LONGEST_SECS,
    FaultyCall,
    calling,
    faulty_call,
    first_of,
    resources_for,
)
from tests.faulty_services import REFUSED, FaultyService
from tests.integration.conftest import FIRST, SECOND, SECOND_HEARD
from tests.speech import Speaker
from tests.standins.openai_server import BEGUN_WORDS, Fault, OpenAIStandin, Reply

pytestmark = pytest.mark.long

FAILOVER = {"llm": {"first_output": 1.0, "idle": 0.7}, "failures": 2, "rest": 600}
APOLOGY = AnnouncementConfig().cannot_answer
LOST = AnnouncementConfig().lost_thread
BEGUN = " ".join(FIRST.split()[:BEGUN_WORDS])

AT_ONCE = [REFUSED, "401", "429", "500", "hang", "garbage"]
MIDWAY = ["stall", "close"]


def failing(standin: OpenAIStandin, fault: str) -> dict[str, str]:
    """Have a language model fail, and return where it is."""
    return FaultyService("llm", "openai", standin).failing(fault)


@pytest.fixture
def speech(second: OpenAIStandin) -> dict[str, Any]:
    """Speech services that work."""
    return {"stt": {"openai": second.url}, "tts": {"openai": second.url}, "failover": FAILOVER}


class TestWhereAnotherIsLeft:
    @pytest.mark.parametrize("fault", first_of(AT_ONCE))
    async def test_it_answers_in_the_same_turn(
        self,
        tmp_path: Path,
        speaker: Speaker,
        first: OpenAIStandin,
        second: OpenAIStandin,
        speech: dict[str, Any],
        fault: str,
    ) -> None:
        llm = {**failing(first, fault), "groq": second.url}
        async with calling(tmp_path, speaker, llm=llm, **speech) as call:
            answer = await call.ask()
        assert (answer.said.heard, answer.said.generated) == (SECOND, SECOND)
        assert answer.wait_secs < LONGEST_SECS
        [failure] = answer.failures
        assert (failure.stage, failure.provider, failure.successor) == ("llm", "openai", "groq")

    @pytest.mark.parametrize("fault", first_of(MIDWAY))
    async def test_an_answer_that_was_held_when_it_broke_off_is_made_anew(
        self,
        tmp_path: Path,
        speaker: Speaker,
        first: OpenAIStandin,
        second: OpenAIStandin,
        speech: dict[str, Any],
        fault: str,
    ) -> None:
        llm = {**failing(first, fault), "groq": second.url}
        # The turn is over long after the answer has broken off.
        patient = {"min_delay": 2.5}
        async with calling(tmp_path, speaker, llm=llm, turns=patient, **speech) as call:
            answer = await call.ask()
        assert answer.said.heard == answer.said.spoken == SECOND
        assert second.chats[-1]["messages"] == first.chats[-1]["messages"]

    @pytest.mark.parametrize("fault", first_of(MIDWAY))
    async def test_it_goes_on_with_an_answer_that_was_begun(
        self,
        tmp_path: Path,
        speaker: Speaker,
        first: OpenAIStandin,
        second: OpenAIStandin,
        speech: dict[str, Any],
        fault: str,
    ) -> None:
        llm = {**failing(first, fault), "groq": second.url}
        # It begins when the turn is over.
        first.thinks_secs = 0.8
        async with calling(tmp_path, speaker, llm=llm, **speech) as call:
            answer = await call.ask()
            again = await call.ask()
        assert answer.said.heard == f"{BEGUN} ... {LOST} {SECOND}"
        assert "lost your thread" in second.chats[0]["messages"][-1]["content"]
        assert second.chats[0]["messages"][-2]["content"].startswith(BEGUN)
        said = [m["content"] for m in second.chats[-1]["messages"] if m["role"] == "assistant"]
        assert said[0] == answer.said.heard, "the next turn knows what was heard"
        assert again.said.heard

    async def test_a_tool_runs_once_though_another_answers(
        self,
        tmp_path: Path,
        speaker: Speaker,
        first: OpenAIStandin,
        second: OpenAIStandin,
        speech: dict[str, Any],
    ) -> None:
        def look(messages: list[Any]) -> Reply:
            return SECOND if messages[-1]["role"] == "tool" else ("opening_hours", {})

        first.faults["llm"] = Fault.BROKEN
        second.reply = look
        llm = {"openai": first.url, "groq": second.url}
        async with calling(tmp_path, speaker, llm=llm, **speech) as call:
            answer = await call.ask()
        assert answer.said.heard == SECOND
        told = [m for m in second.chats[-1]["messages"] if m["role"] == "tool"]
        assert len(told) == 1


class TestWhereNoneIsLeft:
    @pytest.mark.parametrize("fault", first_of(AT_ONCE))
    async def test_the_bot_apologises_and_the_call_goes_on(
        self,
        tmp_path: Path,
        speaker: Speaker,
        first: OpenAIStandin,
        speech: dict[str, Any],
        fault: str,
    ) -> None:
        llm = failing(first, fault)
        async with calling(tmp_path, speaker, llm=llm, **speech) as call:
            answer = await call.ask()
            assert (answer.said.heard, answer.said.generated) == (APOLOGY, "")
            assert answer.wait_secs < LONGEST_SECS
            if fault != REFUSED:
                first.faults.clear()
                assert (await call.ask()).said.heard == FIRST
                spoken = [m["content"] for m in first.chats[-1]["messages"]]
                assert spoken[-3:-1] == [SECOND_HEARD, APOLOGY]

    @pytest.mark.parametrize("fault", first_of(MIDWAY))
    async def test_the_bot_breaks_off_with_an_apology(
        self,
        tmp_path: Path,
        speaker: Speaker,
        first: OpenAIStandin,
        speech: dict[str, Any],
        fault: str,
    ) -> None:
        first.thinks_secs = 0.8
        llm = failing(first, fault)
        async with calling(tmp_path, speaker, llm=llm, **speech) as call:
            answer = await call.ask()
        assert answer.said.heard == f"{BEGUN} ... {APOLOGY}"

    async def test_two_that_fail_lead_to_one_apology(
        self,
        tmp_path: Path,
        speaker: Speaker,
        first: OpenAIStandin,
        second: OpenAIStandin,
        speech: dict[str, Any],
    ) -> None:
        first.faults["llm"], second.faults["llm"] = Fault.BROKEN, Fault.HANGS
        llm = {"openai": first.url, "groq": second.url}
        async with calling(tmp_path, speaker, llm=llm, **speech) as call:
            answer = await call.ask()
        assert answer.said.heard == APOLOGY
        assert [failure.successor for failure in answer.failures] == ["groq", None]


class TestACircuit:
    async def test_spares_all_calls_a_service_that_fails_until_it_has_rested(
        self,
        tmp_path: Path,
        speaker: Speaker,
        first: OpenAIStandin,
        second: OpenAIStandin,
        speech: dict[str, Any],
    ) -> None:
        first.faults["llm"] = Fault.UNAUTHORIZED
        llm = {"openai": first.url, "groq": second.url}
        speech["failover"] = {**FAILOVER, "rest": 8}
        async with (
            resources_for(tmp_path, llm=llm, **speech) as resources,
            faulty_call(resources, speaker) as one,
            faulty_call(resources, speaker) as other,
        ):
            assert (await one.ask()).said.heard == SECOND
            first.faults.clear()
            asked = len(first.chats)
            spared = await other.ask()
            assert spared.said.heard == SECOND
            assert (spared.failures, len(first.chats)) == ([], asked)
            assert await until_first_is_back(one) <= 3

    async def test_is_opened_again_by_a_try_that_fails(
        self,
        tmp_path: Path,
        speaker: Speaker,
        first: OpenAIStandin,
        second: OpenAIStandin,
        speech: dict[str, Any],
    ) -> None:
        first.faults["llm"] = Fault.UNAUTHORIZED
        llm = {"openai": first.url, "groq": second.url}
        speech["failover"] = {**FAILOVER, "rest": 0.1}
        async with calling(tmp_path, speaker, llm=llm, **speech) as call:
            for _ in range(2):
                answer = await call.ask()
                assert answer.said.heard == SECOND
                assert len(answer.failures) >= 1


async def until_first_is_back(call: FaultyCall) -> int:
    """Ask until the first language model answers; return how often."""
    for times in range(1, 5):
        answer = await call.ask()
        assert answer.said.speaker is Who.BOT
        if answer.said.heard == FIRST:
            return times
    raise AssertionError("the first language model does not come back")
