"""A reply whose beginning is known is not waited for."""

from collections.abc import AsyncIterator

import pytest
from openai import AsyncOpenAI
from pipecat.processors.aggregators.llm_context import LLMContext

from processors.local_llm import LocalLLM, Slot
from processors.words_judge import LlamaWords
from tests.standins.openai_server import OpenAIStandin, always, run_openai_standin

WRITTEN = "Parking is free."
QUESTION = {"role": "user", "content": "Where can I park?"}


@pytest.fixture
async def standin() -> AsyncIterator[OpenAIStandin]:
    standin = OpenAIStandin(key="sk-none", heard="", reply=always(WRITTEN))
    async with run_openai_standin(standin):
        yield standin


def make_llm(client: AsyncOpenAI) -> LocalLLM:
    settings = LocalLLM.Settings(model="any", max_tokens=100)
    return LocalLLM(
        client,
        slot=Slot(0),
        kept=None,
        context_tokens=1000,
        words=LlamaWords(client, slot=1),
        settings=settings,
    )


async def answer(standin: OpenAIStandin, *beginnings: str | None) -> str:
    """Ask the same question with each beginning, or none; return the last answer."""
    async with AsyncOpenAI(base_url=standin.url, api_key=standin.key) as client:
        llm = make_llm(client)
        said = ""
        for reply in beginnings:
            if reply is not None:
                await llm.begin_with(reply, LLMContext([QUESTION]))
            chunks = await llm.get_chat_completions(LLMContext([QUESTION]))
            said = "".join([c.delta.content or "" async for chunk in chunks for c in chunk.choices])
        return said.strip()


async def test_its_first_clause_is_said_and_the_model_goes_on(standin: OpenAIStandin) -> None:
    said = await answer(standin, "You need no coins, so come by car.")

    assert said == f"You need no coins,{WRITTEN}"
    assert [chat["messages"] for chat in standin.chats] == [
        [QUESTION, {"role": "assistant", "content": "You need no coins,"}],
    ]


async def test_it_is_the_whole_reply_where_it_is_one_clause(standin: OpenAIStandin) -> None:
    assert await answer(standin, "Parking costs nothing.") == "Parking costs nothing."
    assert not standin.chats


async def test_its_first_clause_is_there_before_the_model_is_asked(standin: OpenAIStandin) -> None:
    async with AsyncOpenAI(base_url=standin.url, api_key=standin.key) as client:
        llm = make_llm(client)
        await llm.begin_with("You need no coins, so come by car.", LLMContext([QUESTION]))
        async for chunk in await llm.get_chat_completions(LLMContext([QUESTION])):
            assert chunk.choices[0].delta.content == "You need no coins,"
            assert not standin.chats
            assert not standin.summarised
            break


async def test_where_it_is_not_known_the_model_writes_all_of_it(standin: OpenAIStandin) -> None:
    assert await answer(standin, "") == WRITTEN
    assert len(standin.chats) == 1


async def test_what_one_reply_begins_with_the_next_does_not(standin: OpenAIStandin) -> None:
    assert await answer(standin, "Parking costs nothing.", None) == WRITTEN
