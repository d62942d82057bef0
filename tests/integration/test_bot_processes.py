"""A call that has a process of its own, and what becomes of it."""

import asyncio
import json
import re
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest
from websockets.asyncio.client import connect as open_socket
from websockets.exceptions import ConnectionClosed

from bots.config import AnnouncementConfig
from runner.clients.client import TalkFailed
from runner.errors import WS_INTERNAL_ERROR, WS_REFUSED
from runner.peer import Peer, connect
from tests.integration.test_call import REPLY_SECS
from tests.integration.test_lifecycle import ended
from tests.integration.test_reload import greet
from tests.integration.test_rooms import delete, for_daily, post
from tests.integration.test_survival import hear_again, look
from tests.integration.test_transcript import read_when
from tests.service import ROOT, Service, run_service, until_no_session
from tests.shared_service import SharedService
from tests.socket_peer import connect_by_socket, join_by_socket, start
from tests.standins.daily_api import run_daily_standin
from tests.standins.mcp_server import COMMAND as MCP_COMMAND
from tests.standins.openai_server import Fault, OpenAIStandin, Reply, run_openai_standin

pytestmark = pytest.mark.long

KEY = "sk-standin"
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


@pytest.fixture(autouse=True)
async def standin(openai_port: int) -> AsyncIterator[OpenAIStandin]:
    standin = OpenAIStandin(key=KEY, heard="", reply=reply)
    async with run_openai_standin(standin, openai_port):
        yield standin


@pytest.fixture(scope="module")
def environment(openai_port: int) -> Mapping[str, str]:
    """Nothing runs on this machine but the calls."""
    return {
        "OPENAI_API_KEY": KEY,
        "OPENAI_BASE_URL": f"http://127.0.0.1:{openai_port}/v1",
        "PARLANTE_BOTS__RECKLESS__MODULE": "tests.reckless_bot",
        "PARLANTE_BOTS__BROKEN__MODULE": "tests.reckless_bot",
        "PARLANTE_BOTS__BROKEN__AGENT": "tests.reckless_bot:make_nothing",
        "PARLANTE_VOICE__REALTIME__WORKER__MEMORY_LIMIT": "200",
    }


@pytest.fixture(scope="module")
def shared(
    tmp_path_factory: pytest.TempPathFactory, environment: Mapping[str, str]
) -> Iterator[SharedService]:
    service = SharedService(tmp_path_factory, environment)
    yield service
    service.close()


def holders(service: Service) -> dict[str, int]:
    """Return the processes that hold or have held the calls of sessions, by session."""
    return {
        session: int(pid) for session, pid in re.findall(rf"session (\S+) {HELD}(\d+)", service.log)
    }


def children(service: Service) -> set[int]:
    return {process.pid for process in psutil.Process(service.process.pid).children(recursive=True)}


def is_mcp_server(process: psutil.Process) -> bool:
    return "tests.standins.mcp_server" in process.cmdline()


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
    shared: SharedService, tool: str
) -> None:
    async with (
        shared.alone() as service,
        connect(service.url) as other,
        connect(service.url, bot="reckless") as peer,
    ):
        await asyncio.gather(*(one.hear_out(timeout=REPLY_SECS) for one in (other, peer)))
        assert await ask(peer, "Marigold.") == "You said Marigold."
        ruined = holders(service)[session_of(peer)]
        peer.send("send-text", {"content": f"Please {tool}."})
        await until_gone(ruined, KILLED_SECS)
        assert await ask(other, "Juniper.") == "You said Juniper."
        status = await look(service.url, session_of(peer))
        assert (status["agent_connected"], status["agent_state"]) == (False, "disconnected")
        assert (status["is_active"], status["participant_count"]) == (True, 0)

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


async def test_a_call_over_a_websocket_has_a_process_of_its_own_too(shared: SharedService) -> None:
    async with shared.alone() as service, connect_by_socket(service.url) as peer:
        await peer.hear_out(timeout=REPLY_SECS)
        await peer.write("Marigold.")
        seen = len(peer.messages)
        await peer.hear_out(timeout=REPLY_SECS, after=seen)
        assert "You said Marigold." in str(peer.messages)
        [pid] = holders(service).values()
        assert pid != service.process.pid
        psutil.Process(pid).kill()
        await asyncio.wait_for(peer.closed.wait(), 10)
        assert peer.socket.close_code == WS_INTERNAL_ERROR
        await service.until_logged(f"the process {pid} of a bot has died: SIGKILL")


async def test_a_client_that_comes_again_over_a_websocket_has_another_process(
    shared: SharedService,
) -> None:
    async with shared.alone() as service:
        address = await start(service.url)
        async with join_by_socket(address) as old:
            await old.hear_out(timeout=REPLY_SECS)
            [first] = holders(service).values()
            async with join_by_socket(address) as new:
                assert old.closed.is_set()
                assert old.socket.close_code == WS_REFUSED
                await new.hear_out(timeout=REPLY_SECS)
                assert "nobody in particular" not in str(new.messages), "it greets once"
                assert list(holders(service).values()) != [first]
                await until_gone(first)
        await until_no_session(service.url, timeout=5)


async def test_a_process_waits_for_the_next_call_and_ends_with_it(shared: SharedService) -> None:
    seen = set()
    async with shared.alone() as service:
        before = await ended(service.url, "hung_up")
        for _ in range(2):
            async with connect(service.url) as peer:
                await peer.hear_out(timeout=REPLY_SECS)
                pid = holders(service)[session_of(peer)]
                assert pid not in seen
                seen.add(pid)
            await until_no_session(service.url, timeout=5)
            await until_gone(pid)
        assert await ended(service.url, "hung_up") == before + len(seen)


async def test_a_client_that_comes_many_times_at_once_gets_one_process(
    shared: SharedService,
) -> None:
    async with shared.alone() as service:
        started = await post(f"{service.url}/start", {"transport": "webrtc"})
        before = children(service)
        tries = [connect(service.url, session_id=started["sessionId"]) for _ in range(8)]
        async with AsyncExitStack() as stack:
            came = await asyncio.gather(
                *(stack.enter_async_context(one) for one in tries), return_exceptions=True
            )
            [peer] = [one for one in came if isinstance(one, Peer)]
            await peer.hear_out(timeout=REPLY_SECS)
            refused = [str(one) for one in came if isinstance(one, TalkFailed)]
            assert len(refused) == len(tries) - 1
            assert all("was faster" in message for message in refused)
            # One for the call, if none was ready, and one for the next.
            assert len(children(service) - before) <= 2


async def test_a_bot_that_breaks_as_it_is_made_is_refused_and_holds_no_line(
    shared: SharedService,
) -> None:
    async with shared.alone() as service:
        for transport in ("webrtc", "websocket"):
            wish = {"transport": transport, "body": {"bot": "broken"}}
            started = await post(f"{service.url}/start", wish)
            if transport == "webrtc":
                with pytest.raises(TalkFailed, match="cannot be made"):
                    async with connect(service.url, session_id=started["sessionId"]):
                        pass
                session_id = started["sessionId"].partition(".")[0]
                await delete(service, session_id)
            else:
                async with open_socket(started["wsUrl"]) as socket:
                    with pytest.raises(ConnectionClosed, match="the log of the service"):
                        await socket.recv()
                await delete(service, started["wsUrl"].rpartition("/")[2].partition(".")[0])
        assert "nothing can be made of it" in service.log


async def test_the_first_call_of_a_process_has_the_tools_of_mcp_servers_which_start_only_there(
    tmp_path: Path, environment: Mapping[str, str], standin: OpenAIStandin
) -> None:
    settings = {
        **environment,
        "PARLANTE_MCP": json.dumps({"calendar": {**MCP_COMMAND, "env": {"PYTHONPATH": str(ROOT)}}}),
        "PARLANTE_BOTS__RECKLESS__MCP": '["calendar"]',
        "PARLANTE_VOICE__REALTIME__WORKER__IDLE": "0",
    }
    with run_service(tmp_path, environment=settings) as service:
        async with connect(service.url, bot="reckless") as peer:
            await peer.hear_out(timeout=REPLY_SECS)
            assert await ask(peer, "Marigold.") == "You said Marigold."
            [holder] = holders(service).values()
            programs = [it for it in map(psutil.Process, children(service)) if is_mcp_server(it)]
            assert {program.ppid() for program in programs} == {holder}
    offered = {tool["function"]["name"] for tool in standin.chats[-1]["tools"]}
    assert {"crash", "calendar__notes"} <= offered


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


async def test_a_call_that_has_cost_its_budget_is_ended_when_the_answer_was_heard(
    tmp_path: Path, environment: Mapping[str, str]
) -> None:
    prices = {"openai": {"*": {"prompt": 500, "completion": 0}}}
    settings = {
        **environment,
        "PARLANTE_VOICE__PRICES__PROVIDERS": json.dumps(prices),
        "PARLANTE_VOICE__REALTIME__LIMITS__BUDGET": "0.8",
        "PARLANTE_BOTS__RECKLESS__BUDGET": "0.4",
    }
    with run_service(tmp_path, environment=settings) as service:
        async with connect(service.url, bot="reckless") as peer:
            await peer.hear_out(timeout=REPLY_SECS)
            peer.send("send-text", {"content": "Marigold."})
            goodbye = AnnouncementConfig().budget_spent
            transcript = await read_when(service.url, peer.session_id, said(goodbye))
            await until_no_session(service.url, timeout=20)
        status = await look(service.url, session_of(peer))
    heard = [entry["heard"] for entry in transcript["entries"] if entry["type"] == "turn"]
    assert heard[-2:] == ["You said Marigold.", goodbye]
    assert status["end_reason"] == "budget_spent"
    [llm] = [it for it in status["usage"]["services"] if it["kind"] == "llm"]
    assert (llm["provider"], llm["prompt_tokens"], llm["cost"]) == ("openai", 1000, 0.5)
    assert status["usage"]["cost"] >= 0.5


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


@pytest.mark.parametrize("words", ["Juniper.", "Please block."], ids=["well", "blocked"])
async def test_no_process_outlives_a_service_that_is_killed(
    tmp_path: Path, environment: Mapping[str, str], words: str
) -> None:
    with run_service(tmp_path, environment=environment) as service:
        async with connect(service.url, bot="reckless") as peer:
            await peer.hear_out(timeout=REPLY_SECS)
            before = len(peer.messages)
            peer.send("send-text", {"content": words})
            await peer.wait_for(
                lambda m: m["type"] in ("llm-function-call-started", "bot-started-speaking"),
                timeout=REPLY_SECS,
                after=before,
            )
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
