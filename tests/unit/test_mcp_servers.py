"""Tools of a real MCP server, by pipes and by HTTP, and whose word is enough to have a tool run."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import Any, cast

import psutil
import pytest
from loguru import logger
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.services.llm_service import FunctionCallParams
from pydantic import ValidationError

from bots.config import McpServerConfig
from bots.errors import ConfigError, ServiceUnavailable
from bots.mcp_servers import FIRST_LOOK_SECS, LATE, LONGEST_RESULT, SILENT, McpServers
from bots.registry import Bot
from bots.settings import load_settings
from bots.toolbox import tools_of
from bots.tools.desk import tool
from bots.trust import OWN, REFUSAL, SUMMARY, Hearsay, read_only, strangers_in
from processors.agent_bridge import TOOL_SECS
from tests.service import ROOT, free_port
from tests.standins.mcp_server import COMMAND, FREE, ORDER, run_mcp_standin

ENTRY = {**COMMAND, "env": {"PYTHONPATH": str(ROOT)}, "timeout": 5}


class House:
    """Bots with one MCP server."""

    def __init__(self, servers: McpServers) -> None:
        self.mcp_servers = servers


async def run(it: Any, messages: Iterable[Any] = (), **arguments: Any) -> Any:
    results: list[Any] = []

    async def told(result: Any, *, properties: Any = None) -> None:
        results.append(result)

    nobody = cast(Any, None)
    name = getattr(it, "name", None) or it.__name__
    params = FunctionCallParams(
        name, "1", arguments, nobody, nobody, LLMContext([*messages]), told, nobody
    )
    await it.handler(params) if hasattr(it, "handler") else await it(params, **arguments)
    [result] = results
    return result


async def record(_call: object) -> None: ...


@pytest.fixture
def elsewhere() -> Iterator[dict[str, Any]]:
    with run_mcp_standin(free_port()) as entry:
        yield {**entry, "timeout": 5}


@pytest.fixture(params=["by pipes", "by http"])
async def servers(request: pytest.FixtureRequest) -> AsyncIterator[McpServers]:
    is_here = request.param == "by pipes"
    entry = ENTRY if is_here else request.getfixturevalue("elsewhere")
    servers = McpServers({"calendar": McpServerConfig.model_validate(entry)})
    yield servers
    await servers.close()


async def test_one_that_is_not_there_holds_up_nothing_and_is_looked_for_now_and_then() -> None:
    log: list[str] = []
    sink = logger.add(log.append, level="WARNING")
    servers = McpServers({"gone": McpServerConfig(command="/no/such/program")})
    for _ in range(5):
        await servers.until_looked(["gone"])
        assert servers.tools(["gone"]) == []
    logger.remove(sink)
    assert str(log).count("mcp.gone does not answer") == 1
    with pytest.raises(ServiceUnavailable, match=r"mcp\.gone"):
        await asyncio.wait_for(servers.count_tools("gone"), 20)
    await servers.close()


async def test_the_first_call_waits_for_a_server_that_is_being_connected_to(
    servers: McpServers,
) -> None:
    await servers.until_looked(["calendar"])
    assert servers.tools(["calendar"])


async def test_one_that_says_nothing_is_waited_for_a_few_seconds_once() -> None:
    enough = asyncio.Event()

    async def listen(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await enough.wait()
        writer.close()

    port = free_port()
    async with await asyncio.start_server(listen, "127.0.0.1", port):
        silent = McpServerConfig(url=f"http://127.0.0.1:{port}/mcp")
        servers = McpServers({"silent": silent})
        began = time.monotonic()
        await servers.until_looked(["silent"])
        await servers.until_looked(["silent"])
        assert FIRST_LOOK_SECS - 0.1 < time.monotonic() - began < FIRST_LOOK_SECS + 1
        enough.set()
        await servers.close()


async def test_a_program_that_hangs_as_it_is_connected_to_has_ended_when_it_is_left() -> None:
    has_begun, has_ended = asyncio.Event(), asyncio.Event()
    program = "import socket, time; it = socket.create_connection({}); time.sleep(600)"

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        has_begun.set()
        await reader.read()
        has_ended.set()
        writer.close()

    async with await asyncio.start_server(listen, "127.0.0.1", 0) as listening:
        address = listening.sockets[0].getsockname()
        hanging = McpServerConfig(command=sys.executable, args=["-c", program.format(address)])
        servers = McpServers({"hanging": hanging})
        servers.look(["hanging"])
        await asyncio.wait_for(has_begun.wait(), 20)
        await servers.close()
        await asyncio.wait_for(has_ended.wait(), 1)


async def test_one_that_was_started_anew_has_its_tools_at_the_next_look() -> None:
    port = free_port()
    with run_mcp_standin(port) as entry:
        servers = McpServers({"calendar": McpServerConfig.model_validate(entry)})
        count = await servers.count_tools("calendar")
        [of_a_call] = [it for it in servers.tools(["calendar"]) if it.name == FREE_TIMES]
    with run_mcp_standin(port):
        assert await servers.count_tools("calendar") == count
        assert FREE in await run(of_a_call, day="Monday")
    with pytest.raises(ServiceUnavailable):
        await servers.count_tools("calendar")
    with run_mcp_standin(port):
        assert FREE in await run(of_a_call, day="Monday"), "a look that failed took nothing away"
    await servers.close()


async def test_a_program_that_was_killed_is_started_anew_at_the_next_look() -> None:
    servers = McpServers({"calendar": McpServerConfig.model_validate(ENTRY)})
    count = await servers.count_tools("calendar")
    [program] = [it for it in psutil.Process().children() if "mcp_server" in str(it.cmdline())]
    program.kill()
    assert await servers.count_tools("calendar") == count
    await servers.close()


def told(name: str, result: str) -> list[dict[str, Any]]:
    function = {"name": name, "arguments": "{}"}
    call = {"id": name, "type": "function", "function": function}
    return [
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "content": result, "tool_call_id": name},
    ]


FREE_TIMES = "calendar__free_times"
ASKED = {"role": "user", "content": "What is on Monday?"}
TOLD = told("calendar__notes", f'"{ORDER}"')


async def test_what_a_server_says_has_no_tool_run_until_the_caller_has_spoken(
    servers: McpServers,
) -> None:
    done: list[str] = []

    @tool
    async def cancel_appointment(params: FunctionCallParams) -> dict[str, Any]:
        """Cancel."""
        done.append("cancelled")
        return {"cancelled": True}

    @read_only
    @tool
    async def opening_hours(params: FunctionCallParams) -> dict[str, Any]:
        """Tell."""
        return {"open": True}

    await servers.count_tools("calendar")
    bot = Bot("For tests.", tools=(cancel_appointment, opening_hours), mcp=("calendar",))
    cancel, hours, *foreign = tools_of(bot, cast(Any, House(servers)), record)
    assert await run(cancel, [ASKED, *TOLD]) == REFUSAL
    assert done == []
    assert await run(hours, [ASKED, *TOLD]) == {"open": True}
    [free] = [it for it in foreign if cast(Any, it).name == "calendar__free_times"]
    assert await run(free, [ASKED, *TOLD], day="Monday") == f"Monday: {FREE}"
    assert await run(free, [ASKED, *told("crm__find", '"x"')], day="Monday") == REFUSAL
    assert await run(cancel, [ASKED, *TOLD, {"role": "user", "content": "Yes."}])
    assert done == ["cancelled"]


@pytest.mark.parametrize(
    ("messages", "strangers"),
    [
        ([], set()),
        ([ASKED, *TOLD], {"calendar"}),
        ([ASKED, *TOLD, {"role": "assistant", "content": "One moment."}], {"calendar"}),
        ([ASKED, *TOLD, {"role": "developer", "content": "Be brief."}], {"calendar"}),
        ([ASKED, *told("calendar__notes", "IN_PROGRESS")], set()),
        ([ASKED, *told("opening_hours", '"nine"')], set()),
        ([ASKED, *told("opening_hours", '"nine"'), *TOLD], {"calendar"}),
        ([ASKED, *TOLD, *told("opening_hours", '"nine"')], {"calendar", OWN}),
        ([ASKED, *TOLD, *told("book_appointment", json.dumps(REFUSAL))], {"calendar"}),
        ([ASKED, *TOLD, *told("put_through", '{"put_through": "sales"}')], {"calendar"}),
        ([ASKED, *TOLD, {**ASKED, "name": "developer"}], {"calendar"}),
        ([{"role": "user", "content": "Conversation summary: x"}], {SUMMARY}),
    ],
)  # fmt: skip
def test_who_has_spoken_since_the_caller_did(messages: list[Any], strangers: set[str]) -> None:
    assert strangers_in(messages) == strangers


async def test_what_a_server_has_had_looked_up_is_told_to_no_server(servers: McpServers) -> None:
    @read_only
    @tool
    async def list_appointments(params: FunctionCallParams) -> dict[str, Any]:
        """List."""
        return {"appointments": ["Monday at ten"]}

    await servers.count_tools("calendar")
    bot = Bot("For tests.", tools=(list_appointments,), mcp=("calendar",))
    hearsay = Hearsay([])
    own, *foreign = tools_of(bot, cast(Any, House(servers)), record, hearsay)
    [notes] = [it for it in foreign if cast(Any, it).name == "calendar__notes"]
    assert await run(own)
    assert ORDER in await run(notes, day="Monday"), "nobody has put it up to looking"
    assert ORDER in await run(notes, day="Tuesday")
    assert await run(own)
    assert await run(notes, day="your appointments are on Monday") == REFUSAL
    hearsay.caller_speaks()
    assert ORDER in await run(notes, day="Monday")


def test_a_server_that_a_bot_names_must_be_there(tmp_path: Path) -> None:
    file = tmp_path / "voice.yaml"
    file.write_text("bots: {receptionist: {module: bots.receptionist, mcp: [calendar]}}\n")
    with pytest.raises(ConfigError, match=r"bots\.receptionist\.mcp: 'calendar'"):
        load_settings(file)


def test_a_tool_may_not_take_longer_than_an_agent_is_waited_for() -> None:
    with pytest.raises(ValidationError, match="timeout"):
        McpServerConfig(command="x", timeout=16)
    assert McpServerConfig(command="x", timeout=15).timeout < TOOL_SECS


async def test_its_tools_give_results_in_bounded_time_whatever_happens(servers: McpServers) -> None:
    assert await servers.count_tools("calendar") == 8, "two cannot be told to a language model"
    tools = {it.name: it for it in servers.tools(["calendar"])}
    assert await run(tools["calendar__free_times"], day="Monday") == f"Monday: {FREE}"
    assert tools["calendar__fail_silently"].description == "fail_silently"
    assert await run(tools["calendar__fail_silently"]) == SILENT
    assert len(await run(tools["calendar__long"])) < LONGEST_RESULT + 100
    assert "Error" in await run(tools["calendar__fail"])
    assert await run(tools["calendar__hang"]) == LATE
    assert "Error" in await run(tools["calendar__die"])
