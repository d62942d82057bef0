"""Whoever answers does not answer a question that comes after its withdrawal."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
from pipecat.frames.frames import (
    EagerEndOfTurnCancelFrame,
    LLMContextFrame,
    LLMTextFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.tests.utils import SleepFrame, run_test

from processors.agent_bridge import AgentLLMService
from processors.facts import parse_facts
from processors.knowledge import Knowledge
from processors.llm_failover import watched_llm
from processors.offline_knowledge import OfflineKnowledgeProcessor
from processors.switchboard import Line, Switchboard
from tests.caller import Parrot
from tests.unit.test_offline_knowledge import Words


class Greeter:
    """An agent with one answer."""

    async def stream_response(self, message: str, history: Sequence[Any]) -> AsyncIterator[str]:
        yield "Hello."

    async def aclose(self) -> None: ...


async def find_nobody(words: str) -> None:
    return None


def switchboard() -> Switchboard:
    line = Line("Knows it.", [Parrot()], [], None)
    return Switchboard(
        {"router": line}, first="router", announcement="", on_record=lambda it: it, find=find_nobody
    )


def fixed_facts() -> OfflineKnowledgeProcessor:
    facts = parse_facts('## Thanks\n> Thank you.\n- "You are welcome."\n')
    return OfflineKnowledgeProcessor(Knowledge(facts, Words()), nothing_known="")


@pytest.mark.parametrize(
    "make",
    [
        fixed_facts,
        switchboard,
        lambda: watched_llm(Parrot)(),
        lambda: AgentLLMService(Greeter(), apology=""),
    ],
    ids=["fixed facts", "switchboard", "language model", "agent"],
)
@pytest.mark.parametrize("is_withdrawn", [True, False])
async def test_a_question_ahead_is_answered_if_it_was_not_withdrawn_before_it_came(
    make: Callable[[], FrameProcessor], is_withdrawn: bool
) -> None:
    messages: Any = [{"role": "user", "content": "Thank you."}]
    question = LLMContextFrame(LLMContext(messages), speculation=True)
    withdrawal = [EagerEndOfTurnCancelFrame(), SleepFrame()] if is_withdrawn else []
    down, _ = await run_test(
        make(),
        frames_to_send=[
            UserStartedSpeakingFrame(),
            *withdrawal,
            UserStoppedSpeakingFrame(),
            SleepFrame(),
            question,
            SleepFrame(sleep=0.6),
        ],
    )
    assert any(isinstance(frame, LLMTextFrame) for frame in down) is not is_withdrawn
