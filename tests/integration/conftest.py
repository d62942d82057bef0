"""Fixtures of several integration tests."""

from collections.abc import AsyncIterator

import pytest

from tests.faulty_call import KEY, QUESTION
from tests.standins.openai_server import OpenAIStandin, always, run_openai_standin

SECOND_HEARD = "Could you say when you are open on Friday?"
FIRST = "On Friday we are open from eight to six."
SECOND = "The practice opens at eight on Friday."


@pytest.fixture
async def first() -> AsyncIterator[OpenAIStandin]:
    """A provider of all that a call needs, to be asked first."""
    async with run_openai_standin(OpenAIStandin(KEY, QUESTION, always(FIRST))) as standin:
        yield standin


@pytest.fixture
async def second() -> AsyncIterator[OpenAIStandin]:
    """Another, which hears and answers in other words."""
    async with run_openai_standin(OpenAIStandin(KEY, SECOND_HEARD, always(SECOND))) as standin:
        yield standin
