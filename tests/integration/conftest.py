"""Fixtures of several integration tests."""

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import pytest

from tests.faulty_call import KEY, QUESTION
from tests.faulty_services import HEARINGS, VOICES, FaultyService, faulty_service
from tests.shared_service import SharedService
from tests.standins.openai_server import OpenAIStandin, always, run_openai_standin

SECOND_HEARD = "Could you say when you are open on Friday?"
FIRST = "On Friday we are open from eight to six."
SECOND = "The practice opens at eight on Friday."


TIMEOUTS = {"first_output": 1.5, "idle": 0.7}
FAILOVER = {"stt": TIMEOUTS, "tts": TIMEOUTS, "failures": 2, "rest": 600}


def services(first: OpenAIStandin, **others: Mapping[str, str]) -> dict[str, Any]:
    """Return services that work, but for `others`."""
    works = {"openai": first.url}
    return {"stt": works, "llm": works, "tts": works, "failover": FAILOVER, **others}


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


@pytest.fixture(params=VOICES)
async def voice(request: pytest.FixtureRequest) -> AsyncIterator[FaultyService]:
    """A voice of each kind, which can fail."""
    words = {"heard": "", "reply": always("")}
    async with faulty_service("tts", request.param, key=KEY, **words) as service:
        yield service


@pytest.fixture(params=HEARINGS)
async def ear(request: pytest.FixtureRequest) -> AsyncIterator[FaultyService]:
    """A speech recognition of each kind, which can fail."""
    if request.param == "deepgram":
        pytest.importorskip("deepgram", reason="pipecat-ai[deepgram] is not installed")
    words = {"heard": QUESTION, "reply": always("")}
    async with faulty_service("stt", request.param, key=KEY, **words) as service:
        yield service


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
