"""What a wait is reported to have been spent on, by frames with times of their own."""

import pytest
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    ClientConnectedFrame,
    EagerEndOfTurnCancelFrame,
    Frame,
    LLMContextFrame,
    UserStoppedSpeakingFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.filters.identity_filter import IdentityFilter
from pipecat.tests.utils import SleepFrame, run_test

from processors.latency import TurnLatency, TurnLatencyObserver


def ahead() -> LLMContextFrame:
    return LLMContextFrame(LLMContext(), speculation=True)


TURN = (VADUserStartedSpeakingFrame(), VADUserStoppedSpeakingFrame(stop_secs=0.2))
ANSWER = (UserStoppedSpeakingFrame(), SleepFrame(), BotStartedSpeakingFrame(), SleepFrame())


async def reports_of(*frames: Frame) -> list[TurnLatency]:
    reports: list[TurnLatency] = []

    async def report(latency: TurnLatency) -> None:
        reports.append(latency)

    await run_test(
        IdentityFilter(), frames_to_send=[*frames], observers=[TurnLatencyObserver(report)]
    )
    return reports


async def test_the_stages_of_a_wait_add_up_to_it() -> None:
    [latency] = await reports_of(*TURN, SleepFrame(sleep=0.1), *ANSWER)
    assert latency.total_ms >= 300
    assert sum(latency.stages_ms.values()) == pytest.approx(latency.total_ms, abs=1)
    assert latency.stages_ms["endpointing_wait"] == pytest.approx(200, abs=1)


@pytest.mark.parametrize(
    ("frames", "made_ahead", "withdrawn"),
    [
        ([LLMContextFrame(LLMContext())], False, 0),
        ([ahead()], True, 0),
        ([ahead(), SleepFrame(), EagerEndOfTurnCancelFrame(), SleepFrame(), ahead()], True, 1),
        (
            [
                ahead(),
                SleepFrame(),
                EagerEndOfTurnCancelFrame(),
                SleepFrame(),
                LLMContextFrame(LLMContext()),
            ],
            False,
            1,
        ),
    ],
)
async def test_it_is_told_whether_the_answer_was_made_ahead(
    frames: list[Frame], made_ahead: bool, withdrawn: int
) -> None:
    [latency] = await reports_of(*TURN, *frames, SleepFrame(), *ANSWER)
    assert (latency.made_ahead, latency.withdrawn) == (made_ahead, withdrawn)


async def test_a_greeting_is_no_answer() -> None:
    greeting = (ClientConnectedFrame(), SleepFrame(), BotStartedSpeakingFrame(), SleepFrame())
    assert await reports_of(*greeting) == []
