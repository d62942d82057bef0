"""Fixtures of several integration tests."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.faulty_call import KEY, QUESTION
from tests.shared_service import SharedService
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


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory, openai_port: int) -> Iterator[SharedService]:
    """The service with a key of OpenAI's, and with bots that only tests have."""
    environment = {
        "OPENAI_API_KEY": KEY,
        "OPENAI_BASE_URL": f"http://127.0.0.1:{openai_port}/v1",
        "PARLANTE_BOTS__SLOW__MODULE": "tests.slow_bot",
        "PARLANTE_BOTS__ECHO__MODULE": "bots.receptionist",
        "PARLANTE_BOTS__ECHO__AGENT": "tests.echo_agent:make_agent",
        "PARLANTE_BOTS__EDITING__MODULE": "tests.editing_bot",
        "PARLANTE_VOICE__REALTIME__TRANSCRIPTS__DROP_FILLERS": "true",
        "PARLANTE_VOICE__REALTIME__TRANSCRIPTS__MASK_PROFANITY": "true",
        "PARLANTE_BOTS__READER__MODULE": "bots.receptionist",
        "PARLANTE_BOTS__READER__LEXICON": '{"Dana": "Day na"}',
    }
    service = SharedService(tmp_path_factory, environment)
    yield service
    service.close()
