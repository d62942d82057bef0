"""What every test gets: silence in the log, and a check that it leaves nothing running."""

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Iterator

import pytest
from loguru import logger

from tests.database import Postgres, postgres_programs, run_postgres
from tests.script import KEY, run_script
from tests.service import OFFLINE_SPEECH, Service, run_service
from tests.shared_service import SharedService
from tests.speech import Listener, Speaker, open_listener, open_speaker
from tests.standins.openai_server import OpenAIStandin
from tests.standins.serving import reserved_port
from tests.turn import TurnServer, run_turn_server, turn_program

logger.remove()

NO_WAY_OUT = {name: "http://127.0.0.1:9" for name in ("http_proxy", "https_proxy", "HTTP_PROXY")}
"""A proxy where nobody listens: offline, nothing may be asked by way of one."""

LINES = {"PARLANTE_VOICE__REALTIME__LIMITS__SESSIONS": "10"}
"""A call that has just ended may still be torn down when the next test calls."""

LEAK_GRACE_SECS = 5
"""Threads of executors end a moment after they were told to."""


def _threads() -> set[str]:
    return {t.name for t in threading.enumerate() if not t.name.startswith("asyncio_")}


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture(autouse=True)
def nothing_left_running(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves a thread or a descriptor behind.

    Fixtures of a module or session are made before this one looks, so that what they own does
    not count. Tasks are checked where the event loop is, by `no_tasks_left`.
    """
    threads, descriptors = _threads(), _descriptors()
    yield
    deadline = time.monotonic() + LEAK_GRACE_SECS
    while (_threads() - threads or _descriptors() > descriptors) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _threads() - threads, "threads are left running"
    assert _descriptors() <= descriptors, "descriptors are left open"


@pytest.fixture(autouse=True)
async def no_tasks_left() -> Iterator[None]:
    """Fail a test that leaves a task behind."""
    before = asyncio.all_tasks()
    yield
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    assert not left, "tasks are left running"


@pytest.fixture(scope="session")
def speaker() -> Iterator[Speaker]:
    with open_speaker() as speaker:
        yield speaker


@pytest.fixture(scope="session")
def listener() -> Iterator[Listener]:
    with open_listener() as listener:
        yield listener


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service that most tests share."""
    folder = tmp_path_factory.mktemp("service")
    with run_service(folder, environment={**NO_WAY_OUT, **LINES}) as service:
        yield service


@pytest.fixture(scope="session")
def openai_port() -> Iterator[int]:
    """Where services look for OpenAI: for a stand-in of each test."""
    with reserved_port() as port:
        yield port


@pytest.fixture(scope="session")
def realtime_port() -> Iterator[int]:
    """Where services look for OpenAI's Realtime service: for a stand-in of each test."""
    with reserved_port() as port:
        yield port


@pytest.fixture(scope="session")
def half_cloud(
    tmp_path_factory: pytest.TempPathFactory, openai_port: int, realtime_port: int
) -> Iterator[SharedService]:
    """The service with OpenAI's language model and speech to speech, and offline ears and voice."""
    environment = {
        "OPENAI_API_KEY": KEY,
        "OPENAI_BASE_URL": f"http://127.0.0.1:{openai_port}/v1",
        "PARLANTE_VOICE__PROVIDERS__OPENAI__REALTIME__BASE_URL": (
            f"ws://127.0.0.1:{realtime_port}/v1/realtime"
        ),
        **OFFLINE_SPEECH,
        **LINES,
    }
    service = SharedService(tmp_path_factory, environment)
    yield service
    service.close()


@pytest.fixture
async def llm(
    openai_port: int, realtime_port: int, speaker: Speaker
) -> AsyncIterator[OpenAIStandin]:
    """The language model of `scripted`."""
    async with run_script(openai_port, realtime_port, speaker) as standin:
        yield standin


@pytest.fixture
async def scripted(half_cloud: SharedService, llm: OpenAIStandin) -> AsyncIterator[Service]:
    """A service whose language models follow `tests/script.py`; its ears and voice are offline."""
    async with half_cloud.alone() as service:
        yield service


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    programs = postgres_programs()
    if not programs:
        pytest.skip("PostgreSQL is not installed: make .make/test-tools")
    with run_postgres(programs) as server:
        yield server


@pytest.fixture(scope="session")
def turn_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TurnServer]:
    program = turn_program()
    if not program:
        pytest.skip("coturn is not installed: make .make/test-tools")
    with run_turn_server(program, tmp_path_factory.mktemp("turn")) as server:
        yield server
