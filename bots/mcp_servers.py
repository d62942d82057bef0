"""The MCP servers of the settings: each is connected to once, for all calls of a process."""

import asyncio
import json
import math
import re
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from loguru import logger
from pipecat.adapters.llm.schemas.direct_function import tool_options
from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
from pipecat.services.llm_service import FunctionCallParams

from bots.config import McpServerConfig
from bots.errors import ServiceUnavailable
from bots.toolbox import handler_of, with_handler
from bots.trust import SEPARATOR

if TYPE_CHECKING:
    # Its package is an extra.
    from bots.mcp_client import OwningMCPClient

LOOK_SECS = 30.0
"""How long a server may take to be started and to say which tools it has."""

FIRST_LOOK_SECS = 4.0
"""So long after it was first looked for, calls begin without a server that has not answered."""

LOOK_AGAIN_SECS = 10.0
"""How long what was last heard of a server is taken to hold, however many calls begin."""

LEAVE_SECS = 5.0
"""How long it waits for a connection to end that is made anew."""

CLOSE_SECS = 10.0
"""How long the end of a process waits for servers; one that was started here is killed sooner."""

MARGIN_SECS = 5.0
"""Pipecat ends a tool that does not keep to its own deadline so long after that."""

LONGEST_RESULT = 8_000
"""Characters; the rest would push the conversation out of what a language model is given."""

TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
"""What language models take for the name of a tool."""

NO_TEXT = "Sorry, could not call the mcp tool"
"""What Pipecat's client says of a tool that has returned no text, be it because it has failed."""

SILENT = {
    "error": "no_text",
    "ask": "It has returned nothing that can be read, not even whether it was done. If no other "
    "tool can tell, say to the caller that it is not known.",
}

LATE = {
    "error": "no_answer_in_time",
    "ask": "It is not known whether this was done. Tell the caller that it could not be found out.",
}


def check_package() -> None:
    """Import what it takes to connect, which takes a second, before there is a call.

    Raises:
        ServiceUnavailable: If the package is missing.
    """
    if not find_spec("mcp"):
        raise ServiceUnavailable(
            "MCP servers need a package that is not installed (mcp). "
            "Run: uv pip install -e '.[mcp]'"
        )
    import_module("bots.mcp_client")


class McpServers:
    """Looks in the background for what servers have, at the start and with calls that begin.

    So a server that is away holds up nothing but the first call, and that not for long: calls that
    begin go on without its tools, and those that begin when it is back have them.

    Args:
        configs: The servers, by name.
    """

    def __init__(self, configs: Mapping[str, McpServerConfig]) -> None:
        self._servers = {name: McpServer(name, config) for name, config in configs.items()}

    def look(self, names: Iterable[str]) -> None:
        """Begin to find out which tools servers have, unless that was heard just now."""
        for name in names:
            self._servers[name].look()

    async def until_looked(self, names: Iterable[str]) -> None:
        """Wait until servers have been heard of once, or have had `FIRST_LOOK_SECS` for it."""
        await asyncio.gather(*(self._servers[name].until_looked() for name in names))

    def tools(self, names: Iterable[str]) -> list[FunctionSchema]:
        """Return the tools of servers as they are known now, and look again for later calls."""
        names = list(names)
        if away := [name for name in names if not self._servers[name].tools]:
            logger.warning("a call begins without the tools of the MCP servers {}", away)
        tools = [tool for name in names for tool in self._servers[name].tools]
        self.look(names)
        return tools

    async def count_tools(self, name: str) -> int:
        """Ask a server now how many tools it has.

        Raises:
            ServiceUnavailable: If it does not answer.
        """
        await self._servers[name].begin_to_look()
        return len(self._servers[name].tools)

    async def close(self) -> None:
        """Leave all servers; those that were started here end."""
        closing = [server.close() for server in self._servers.values()]
        with suppress(TimeoutError):
            # What goes wrong with the one is none of the others' business.
            await asyncio.wait_for(asyncio.gather(*closing, return_exceptions=True), CLOSE_SECS)


class McpServer:
    """One server.

    Args:
        name: As the settings have it.
        config: Where it is.

    Attributes:
        tools: What it has, as last heard; nothing while it does not answer.
    """

    def __init__(self, name: str, config: McpServerConfig) -> None:
        self.tools: list[FunctionSchema] = []
        self._name = name
        self._config = config
        self._client: OwningMCPClient | None = None
        self._looking: asyncio.Task[None] | None = None
        # By the clock: when it was looked for last, and until when the first calls wait for that.
        self._looked_at = -math.inf
        self._wait_until: float | None = None

    def look(self) -> None:
        """Find out in the background which tools it has, unless that was heard just now."""
        if time.monotonic() - self._looked_at >= LOOK_AGAIN_SECS:
            self.begin_to_look()

    async def until_looked(self) -> None:
        """See `McpServers`."""
        self.look()
        if self._looking and self._wait_until:
            remaining_secs = max(0.0, self._wait_until - time.monotonic())
            await asyncio.wait({self._looking}, timeout=remaining_secs)

    def begin_to_look(self) -> "asyncio.Task[None]":
        """Find out in the background which tools it has, once at a time."""
        if not self._looking or self._looking.done():
            self._looked_at = time.monotonic()
            self._wait_until = self._wait_until or self._looked_at + FIRST_LOOK_SECS
            self._looking = asyncio.create_task(self._look())
            self._looking.add_done_callback(_tell_of_failure)
        return self._looking

    async def close(self) -> None:
        """Leave it, whatever is going on."""
        if self._looking:
            self._looking.cancel()
            await asyncio.wait({self._looking})
        if self._client:
            await self._client.close()

    async def _look(self) -> None:
        """Find out which tools it has; connect to it, if that has not been done.

        A session may have ended unnoticed, with a server that was started anew: it is left, and
        another begun. If that fails, too, calls that have its tools connect with the next of them.

        Raises:
            ServiceUnavailable: If it does not answer.
        """
        found: list[FunctionSchema] = []
        tries = 2 if self._client else 1
        try:
            self._client = self._client or _make_client(self._config)
            while tries:
                tries -= 1
                try:
                    async with asyncio.timeout(LOOK_SECS):
                        found = [*(await self._client.tools()).standard_tools]
                    break
                except Exception as error:
                    if not tries:
                        raise self._silent(error) from error
                    await _leave(self._client)
        finally:
            self.tools = self._usable(found)

    def _silent(self, error: Exception) -> ServiceUnavailable:
        why = f"nothing within {LOOK_SECS:.0f} s" if isinstance(error, TimeoutError) else error
        return ServiceUnavailable(f"mcp.{self._name} does not answer: {why}")

    def _usable(self, found: Iterable[FunctionSchema]) -> list[FunctionSchema]:
        """Return tools by names that tell whose they are, without those that no model takes."""
        tools = []
        for schema in found:
            name = f"{self._name}{SEPARATOR}{schema.name}"
            if why := _why_unusable(name, schema):
                logger.warning("the MCP tool {} is left out: language models take no {}", name, why)
            else:
                tools.append(with_handler(schema, self._handler(schema), name=name))
        return tools

    def _handler(self, schema: FunctionSchema) -> Any:
        @tool_options(timeout_secs=self._config.timeout + MARGIN_SECS)
        async def call(params: FunctionCallParams) -> None:
            results: list[Any] = []

            async def keep(result: Any, *, properties: Any = None) -> None:
                results.append(result)

            its_own = replace(params, function_name=schema.name, result_callback=keep)
            try:
                async with asyncio.timeout(self._config.timeout):
                    await handler_of(schema)(its_own)
            except TimeoutError:
                results.append(LATE)
            await params.result_callback(_readable(results[-1]))

        return call


def _why_unusable(name: str, schema: FunctionSchema) -> str | None:
    """Return what a language model would refuse about a tool, and answer nothing any more."""
    if not TOOL_NAME.fullmatch(name):
        return "such name"
    # Pipecat hands on the arguments, but not the definitions that they refer to.
    if '"$ref":' in json.dumps(schema.properties):
        return "arguments that are defined elsewhere ($ref)"
    if not all(isinstance(argument, dict) for argument in schema.properties.values()):
        return "arguments that may be anything"
    return None


async def _leave(client: "OwningMCPClient") -> None:
    """End a connection, whatever becomes of it."""
    with suppress(TimeoutError):
        # Where its transport has failed, that is raised here, be it as a cancellation.
        await asyncio.wait_for(asyncio.gather(client.close(), return_exceptions=True), LEAVE_SECS)


def _readable(result: Any) -> Any:
    """Return a result as a language model can be given it."""
    if result == NO_TEXT:
        return SILENT
    if isinstance(result, str) and len(result) > LONGEST_RESULT:
        return f"{result[:LONGEST_RESULT]} [cut off: {len(result)} characters]"
    return result


def _make_client(config: McpServerConfig) -> "OwningMCPClient":
    from mcp import StdioServerParameters
    from mcp.client.session_group import StreamableHttpParameters

    from bots.mcp_client import OwningMCPClient

    if config.command:
        here = StdioServerParameters(command=config.command, args=config.args, env=config.env)
        return OwningMCPClient(here, tools_filter=config.tools)
    assert config.url
    there = StreamableHttpParameters(url=config.url, headers=config.headers, timeout=config.timeout)
    return OwningMCPClient(there, tools_filter=config.tools)


def _tell_of_failure(looking: asyncio.Task[None]) -> None:
    """Log it at once: calls go on without the tools."""
    if not looking.cancelled() and (error := looking.exception()):
        logger.warning("{}", error)
