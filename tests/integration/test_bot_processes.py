"""A call that has a process of its own, and what becomes of it."""

import asyncio
import json
import re
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from bots.config import AnnouncementConfig
from runner.errors import WS_INTERNAL_ERROR
from runner.peer import Peer, connect
from tests.integration.test_call import REPLY_SECS
from tests.integration.test_lifecycle import ended, until_no_session
from tests.integration.test_reload import greet
from tests.integration.test_rooms import for_daily, post
from tests.integration.test_survival import hear_again
from tests.integration.test_transcript import read_when
from tests.service import Service, run_service
from tests.socket_peer import connect_by_socket
from tests.standins.daily_api import run_daily_standin
from tests.standins.openai_server import Fault, OpenAIStandin, Reply, run_openai_standin

HELD = "is held by process "
KILLED_SECS = 30
"""A blocked event loop is asked every 5 s and waited for 10 s; memory is looked at every 10 s."""


def reply(messages: list[Any]) -> Reply:
    """Say after the user, or do what they want to be done."""
    last = messages[-1]
    if last["role"] == "tool":
        return "It is done."
    if found := re.search(r"Please (crash|block|leak)\.", last["content"]):
        return found[1], {}
    [word] = re.findall("Marigold|Juniper|Tamarind", last["content"])
    return f"You said {word}."


@pytest.fixture
async def environment() -> AsyncIterator[Mapping[str, str]]:
    """Nothing runs on this machine but the calls."""
    standin = OpenAIStandin(key="sk-standin", heard="", reply=reply)
    async with run_openai_standin(standin):
        yield {
            "OPENAI_API_KEY": standin.key,
            "OPENAI_BASE_URL": standin.url,
            "PARLANTE_BOTS__RECKLESS__MODULE": "tests.reckless_bot",
            "PARLANTE_VOICE__REALTIME__WORKER__MEMORY_LIMIT": "200",
        }


@pytest.fixture
def service(tmp_path: Path, environment: Mapping[str, str]) -> Iterator[Service]:
    with run_service(tmp_path, environment=environment) as service:
        yield service


def holders(service: Service) -> dict[str, int]:
    """Return the processes that hold or have held the calls of sessions, by session."""
    return {
        session: int(pid) for session, pid in re.findall(rf"session (\S+) {HELD}(\d+)", service.log)
    }


def children(service: Service) -> set[int]:
    return {process.pid for process in psutil.Process(service.process.pid).children(recursive=True)}


def said(words: str) -> Callable[[Any], bool]:
    """Wait for a transcript that has these words of the bot."""
    return lambda transcript: words in [entry.get("heard") for entry in transcript["entries"]]


def session_of(peer: Peer) -> str:
    return peer.session_id.partition(".")[0]


async def ask(peer: Peer, words: str) -> str:
    """Type something; return what the bot says to it."""
    seen = len(peer.messages)
    peer.send("send-text", {"content": words})
    await peer.hear_out(timeout=REPLY_SECS, after=seen)
    said = [m for m in peer.messages[seen:] if m["type"] == "bot-tts-text"]
    return " ".join(m["data"]["text"] for m in said)


async def until_gone(pid: int, timeout: float = 10) -> None:
    async with asyncio.timeout(timeout):
        while psutil.pid_exists(pid):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("tool", ["crash", "block", "leak"])
async def test_a_bot_that_ruins_its_process_takes_no_other_call_with_it_and_its_own_goes_on(
    service: Service, tool: str
) -> None:
    async with connect(service.url) as other, connect(service.url, bot="reckless") as peer:
        await asyncio.gather(*(one.hear_out(timeout=REPLY_SECS) for one in (other, peer)))
        assert await ask(peer, "Marigold.") == "You said Marigold."
        ruined = holders(service)[session_of(peer)]
        peer.send("send-text", {"content": f"Please {tool}."})
        await until_gone(ruined, KILLED_SECS)
        assert await ask(other, "Juniper.") == "You said Juniper."

        async with connect(service.url, session_id=peer.session_id) as again:
            await again.hear_out(timeout=REPLY_SECS)
            assert await ask(again, "Tamarind.") == "You said Tamarind."
            transcript = await read_when(service.url, peer.session_id, said("You said Tamarind."))
        assert holders(service)[session_of(peer)] != ruined
    heard = [entry["heard"] for entry in transcript["entries"] if entry["type"] == "turn"]
    assert "You said Marigold." in heard
    assert heard.count("Hello, this is nobody in particular.") == 1, "it greets once"
    calls = [entry for entry in transcript["entries"] if entry.get("tool") == tool]
    assert len(calls) == 1, "and does not do it again"


async def test_a_call_over_a_websocket_has_a_process_of_its_own_too(service: Service) -> None:
    async with connect_by_socket(service.url) as peer:
        await peer.hear_out(timeout=REPLY_SECS)
        await peer.send_message("send-text", {"content": "Marigold."})
        seen = len(peer.messages)
        await peer.hear_out(timeout=REPLY_SECS, after=seen)
        assert "You said Marigold." in str(peer.messages)
        [pid] = holders(service).values()
        assert pid != service.process.pid
        psutil.Process(pid).kill()
        await asyncio.wait_for(peer.closed.wait(), 10)
        assert peer.socket.close_code == WS_INTERNAL_ERROR
    await service.until_logged(f"the process {pid} of a bot has died: SIGKILL")


async def test_a_room_elsewhere_gets_another_bot_when_the_process_of_the_first_dies(
    tmp_path: Path, environment: Mapping[str, str]
) -> None:
    async with run_daily_standin() as daily:
        settings = {**environment, **for_daily(daily)}
        with run_service(tmp_path, environment=settings) as service:
            made = await post(f"{service.url}/start", {"transport": "daily"})
            await service.until_logged(HELD)
            tokens = daily.tokens
            psutil.Process(holders(service)[made["sessionId"]]).kill()
            await daily.until_tokens(tokens + 1)
            await service.until_logged(HELD, times=2)
            assert len(daily.made) == 1
        assert await asyncio.to_thread(service.process.wait, 20) == 0


async def test_a_service_that_one_call_found_broken_is_left_alone_by_the_next(
    tmp_path: Path, environment: Mapping[str, str]
) -> None:
    broken = OpenAIStandin("sk-standin", "", reply, faults={"llm": Fault.UNAUTHORIZED})
    async with run_openai_standin(broken):
        provider = {
            "pipecat": "openai",
            "model": "m",
            "api_key": broken.key,
            "base_url": broken.url,
        }
        settings = {
            **environment,
            "PARLANTE_PROFILES__AUTO__LLM": '["broken", "openai"]',
            "PARLANTE_VOICE__PROVIDERS__BROKEN__LLM": json.dumps(provider),
        }
        with run_service(tmp_path, environment=settings) as service:
            for _ in range(2):
                async with connect(service.url) as peer:
                    await peer.hear_out(timeout=REPLY_SECS)
                    assert await ask(peer, "Marigold.") == "You said Marigold."
    assert len(broken.chats) == 1


async def test_a_process_waits_for_the_next_call_and_ends_with_it(service: Service) -> None:
    seen = set()
    for _ in range(2):
        async with connect(service.url) as peer:
            await peer.hear_out(timeout=REPLY_SECS)
            pid = holders(service)[session_of(peer)]
            assert pid not in seen
            seen.add(pid)
        await until_no_session(service.url, timeout=5)
        await until_gone(pid)
        assert await ended(service.url, "hung_up") == len(seen)


async def test_no_process_outlives_a_service_that_is_killed(service: Service) -> None:
    async with connect(service.url) as peer:
        await peer.hear_out(timeout=REPLY_SECS)
        left = children(service)
        assert holders(service)[session_of(peer)] in left
        service.process.kill()
        service.process.wait()
    for pid in left:
        await until_gone(pid)


async def test_calls_in_processes_end_with_a_word_when_the_service_stops(
    tmp_path: Path, environment: Mapping[str, str]
) -> None:
    settings = {**environment, "PARLANTE_SERVER__DRAIN_TIMEOUT": "1"}
    with run_service(tmp_path, environment=settings) as service:
        async with connect(service.url) as peer:
            await peer.hear_out(timeout=REPLY_SECS)
            left = children(service)
            # To everybody, as systemd and terminals do it.
            for pid in (service.process.pid, *left):
                psutil.Process(pid).send_signal(signal.SIGTERM)
            await asyncio.wait_for(peer.closed.wait(), 30)
        assert AnnouncementConfig().closing in str(peer.messages)
        assert await asyncio.to_thread(service.process.wait, 20) == 0
        for pid in left:
            await until_gone(pid)
    assert "Traceback" not in service.log
    assert "has died" not in service.log


async def test_processes_that_wait_are_renewed_when_the_settings_change(
    tmp_path: Path, environment: Mapping[str, str]
) -> None:
    config = tmp_path / "voice.yaml"
    greet(config, "Good morning.")
    with run_service(tmp_path, "--config", str(config), environment=environment) as service:
        async with connect(service.url) as before:
            assert await hear_again(before) == "Good morning."
            greet(config, "Good evening.")
            service.process.send_signal(signal.SIGHUP)
            await service.until_logged("sessions have other settings")
            async with connect(service.url) as after:
                assert await hear_again(after) == "Good evening."
            assert await ask(before, "Marigold.") == "You said Marigold."
