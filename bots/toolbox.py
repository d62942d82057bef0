"""What the language model of a bot may call: the bot's own tools, and those of its MCP servers."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from functools import wraps
from typing import TYPE_CHECKING, Any

from loguru import logger
from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
from pipecat.frames.frames import FunctionCallResultProperties
from pipecat.services.llm_service import FunctionCallParams

from bots.ledger import Tool, on_record
from bots.registry import Bot
from bots.trust import REFUSAL, Hearsay, is_read_only, server_of, strangers_in
from processors.transcript import ToolCall

if TYPE_CHECKING:
    from bots.resources import Resources


def tools_of(
    bot: Bot,
    resources: "Resources",
    record: Callable[[ToolCall], Awaitable[None]],
    hearsay: Hearsay | None = None,
) -> list[Tool | FunctionSchema]:
    """Return a bot's tools for one call: on record, and none at the bidding of a stranger.

    Args:
        bot: Whose.
        resources: What calls share. Of MCP servers that are not there now, there are no tools.
        record: Called before a tool runs and when it has, and waited for.
        hearsay: Knows whose words have come in, and is told of these tools'; None where the
            conversation says it.
    """
    own = [_if_asked(it, server=None, hearsay=hearsay) for it in bot.tools]
    tools: list[Tool | FunctionSchema] = [on_record(tool, record) for tool in own]
    names = {tool.__name__ for tool in own}
    for schema in resources.mcp_servers.tools(bot.mcp):
        if schema.name in names:
            logger.warning(
                "{} is a tool of the bot's own: the MCP server's is left out", schema.name
            )
            continue
        handler = _if_asked(handler_of(schema), server=server_of(schema.name), hearsay=hearsay)
        tools.append(with_handler(schema, on_record(handler, record)))
    return tools


def names_of(tools: Iterable[Tool | FunctionSchema]) -> set[str]:
    """Return the names by which language models call tools."""
    return {it.name if isinstance(it, FunctionSchema) else it.__name__ for it in tools}


def handler_of(schema: FunctionSchema) -> Tool:
    """Return what runs when a tool is called that comes with a schema."""
    assert schema.handler
    return schema.handler


def with_handler(
    schema: FunctionSchema, handler: Tool, *, name: str | None = None
) -> FunctionSchema:
    """Return a tool that is the same for the language model, and runs something else.

    Args:
        schema: The tool.
        handler: What runs, given Pipecat's `FunctionCallParams` alone.
        name: Its new name; None keeps it.
    """
    return FunctionSchema(
        name or schema.name,
        # Without one, a language model takes no tool.
        schema.description or schema.name,
        schema.properties,
        schema.required,
        handler,
    )


def _if_asked(tool: Tool, *, server: str | None, hearsay: Hearsay | None) -> Tool:
    """Return a tool that refuses while words of others have come in since the caller spoke.

    Args:
        tool: A tool; one that merely reads never refuses.
        server: Whose it is, and whose words it may follow; None for the bot's own.
        hearsay: See `tools_of`.
    """

    @wraps(tool)
    async def careful(params: FunctionCallParams, **arguments: Any) -> None:
        heard = hearsay.strangers if hearsay else strangers_in(params.context.messages)
        strangers = heard - {server}
        if strangers and not is_read_only(tool):
            logger.warning(
                "{} does not run: it may be what {} wants", params.function_name, sorted(strangers)
            )
            return await params.result_callback(REFUSAL)

        async def tell(
            result: Any, *, properties: FunctionCallResultProperties | None = None
        ) -> None:
            if hearsay:
                hearsay.told_by(server)
            await params.result_callback(result, properties=properties)

        await tool(replace(params, result_callback=tell), **arguments)

    return careful
