"""A reply whose words are likely known is not written word by word."""

from collections.abc import AsyncIterator

import pytest
from openai import AsyncOpenAI
from pipecat.processors.aggregators.llm_context import LLMContext

from processors.local_llm import LocalLLM, Slot
from tests.standins.openai_server import OpenAIStandin, always, run_openai_standin

WRITTEN = "Parking is free."
QUESTION = {"role": "user", "content": "Where can I park?"}


@pytest.fixture
async def standin() -> AsyncIterator[OpenAIStandin]:
    standin = OpenAIStandin(key="sk-none", heard="", reply=always(WRITTEN))
    async with run_openai_standin(standin):
        yield standin


async def answer(standin: OpenAIStandin, *expected: str | None) -> str:
    """Ask the same question with each expectation, or none; return the last answer."""
    async with AsyncOpenAI(base_url=standin.url, api_key=standin.key) as client:
        llm = LocalLLM(
            client,
            slot=Slot(0),
            kept=None,
            context_tokens=1000,
            settings=LocalLLM.Settings(model="any", max_tokens=100),
        )
        said = ""
        for reply in expected:
            if reply is not None:
                await llm.expect(reply)
            chunks = await llm.get_chat_completions(LLMContext([QUESTION]))
            said = "".join([c.delta.content or "" async for chunk in chunks for c in chunk.choices])
        return said.strip()


async def test_where_it_begins_as_expected_its_first_clause_is_taken_and_the_model_goes_on(
    standin: OpenAIStandin,
) -> None:
    said = await answer(standin, "Parking costs nothing, so come by car.")

    assert said == f"Parking costs nothing,{WRITTEN}"
    assert [chat["messages"] for chat in standin.chats] == [
        [QUESTION],
        [QUESTION, {"role": "assistant", "content": "Parking costs nothing,"}],
    ]


async def test_what_is_expected_is_the_whole_reply_where_it_is_one_clause(
    standin: OpenAIStandin,
) -> None:
    assert await answer(standin, "Parking costs nothing.") == "Parking costs nothing."
    assert len(standin.chats) == 1


@pytest.mark.parametrize("expected", ["The car park is free.", ""])
async def test_where_it_begins_otherwise_the_model_writes_all_of_it(
    standin: OpenAIStandin, expected: str
) -> None:
    assert await answer(standin, expected) == WRITTEN
    assert len(standin.chats) == 1


async def test_what_was_expected_of_one_reply_is_not_of_the_next(standin: OpenAIStandin) -> None:
    assert await answer(standin, "Parking costs nothing.", None) == WRITTEN
