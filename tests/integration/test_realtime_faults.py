"""A speech-to-speech service that fails in a call: the chained pipeline goes on with it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bots.config import AnnouncementConfig
from processors.realtime_session import ANSWER_SECS, PAUSE_SECS
from tests.faulty_call import KEY, LONGEST_SECS, QUESTION, FaultyCall, calling, first_of
from tests.integration.conftest import FIRST, SECOND
from tests.integration.test_cloud_profile import BOOKING
from tests.speech import Speaker
from tests.standins.openai_realtime import RealtimeStandin, run_realtime_standin
from tests.standins.openai_server import Fault, OpenAIStandin, Reply

pytestmark = pytest.mark.long

GREETING = "Hello, this is Grace."
ONE_MOMENT = "One moment, I am writing it down."
LOST = AnnouncementConfig().lost
BEGUN = "On Friday we are"
"""Half of an answer."""


def reply(items: list[Any]) -> str:
    """Answer what is spoken; what is written asks for a greeting."""
    return FIRST if "transcript" in items[-1]["content"][0] else GREETING


@pytest.fixture
async def realtime() -> AsyncIterator[RealtimeStandin]:
    async with run_realtime_standin(
        RealtimeStandin(KEY, "gpt-realtime", [QUESTION], reply)
    ) as standin:
        yield standin


@asynccontextmanager
async def calling_by(
    realtime: RealtimeStandin, chained: OpenAIStandin, folder: Path, speaker: Speaker, greeting: str
) -> AsyncIterator[FaultyCall]:
    where = {"openai": chained.url}
    services: dict[str, Any] = {"stt": where, "llm": where, "tts": where}
    services["realtime"] = {"openai": realtime.url}
    async with calling(folder, speaker, failover={}, greeting=greeting, **services) as call:
        yield call


@pytest.mark.parametrize("fault", first_of(["429", "500", "hang", "garbage"]))
async def test_where_no_answer_comes_the_caller_is_told_and_answered_the_next_time(
    tmp_path: Path, speaker: Speaker, realtime: RealtimeStandin, second: OpenAIStandin, fault: str
) -> None:
    async with calling_by(realtime, second, tmp_path, speaker, GREETING) as call:
        assert (await call.begin()).said.heard == GREETING
        realtime.fault = Fault(fault)
        answer = await call.ask()
        assert answer.said.heard == LOST
        assert answer.wait_secs < (LONGEST_SECS if fault == "hang" else ANSWER_SECS)
        assert (await call.ask()).said.heard == SECOND


@pytest.mark.parametrize("fault", first_of(["stall", "close"]))
async def test_an_answer_that_breaks_off_is_given_again_and_on_record_as_far_as_it_was_heard(
    tmp_path: Path, speaker: Speaker, realtime: RealtimeStandin, second: OpenAIStandin, fault: str
) -> None:
    async with calling_by(realtime, second, tmp_path, speaker, GREETING) as call:
        await call.begin()
        realtime.fault = Fault(fault)
        answer = await call.ask()
        assert answer.said.heard == LOST
        assert answer.wait_secs < LONGEST_SECS
        await call.witness.answer(len(call.witness.turns))
        heard = [turn.heard for turn in call.witness.turns]
    begun = heard.pop(2)
    assert heard == [GREETING, QUESTION, LOST, SECOND]
    assert BEGUN.startswith(begun)
    assert begun == BEGUN or fault == "close"


async def test_a_service_that_hears_nothing_is_found_out_though_nothing_was_said_before(
    tmp_path: Path, speaker: Speaker, realtime: RealtimeStandin, second: OpenAIStandin
) -> None:
    realtime.fault = Fault.HANGS
    async with calling_by(realtime, second, tmp_path, speaker, "") as call:
        await call.line.connect()
        assert (await call.ask()).said.heard == LOST
        assert (await call.ask()).said.heard == SECOND


async def test_a_service_that_writes_for_long_what_a_tool_is_to_do_is_not_given_up(
    tmp_path: Path, speaker: Speaker, realtime: RealtimeStandin, second: OpenAIStandin
) -> None:
    def book(items: list[Any]) -> Reply:
        if items[-1]["type"] == "function_call_output":
            return FIRST
        return ONE_MOMENT, ("book_appointment", BOOKING)

    realtime.reply, realtime.write_secs = book, PAUSE_SECS + 1
    async with calling_by(realtime, second, tmp_path, speaker, "") as call:
        await call.line.connect()
        assert (await call.ask()).said.heard == ONE_MOMENT
        await call.witness.answer(len(call.witness.turns))
        assert call.witness.turns[-1].heard == FIRST
