"""Keeps a record of what tools do, before they do it: what may have been done is not forgotten."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import wraps
from typing import Any

from loguru import logger
from pipecat.frames.frames import FunctionCallResultProperties
from pipecat.services.llm_service import FunctionCallParams

from bots.errors import DatabaseUnavailable
from processors.transcript import ToolCall, ToolOutcome

Tool = Callable[..., Awaitable[None]]


def on_record(tool: Tool, record: Callable[[ToolCall], Awaitable[None]]) -> Tool:
    """Return a tool that is the same for the language model, and recorded before it runs and after.

    Args:
        tool: An async function, as Pipecat takes it.
        record: Returns when a call is kept. If it raises before the tool runs, the tool does not,
            and the language model is told so.
    """

    @wraps(tool)
    async def recorded(params: FunctionCallParams, **arguments: Any) -> None:
        call = ToolCall(
            params.tool_call_id,
            params.function_name,
            ToolOutcome.RUNNING,
            datetime.now(UTC),
            arguments=params.arguments,
        )

        async def tell(
            result: Any, *, properties: FunctionCallResultProperties | None = None
        ) -> None:
            if properties is None or properties.is_final:
                done = replace(
                    call,
                    outcome=ToolOutcome.COMPLETED,
                    at=datetime.now(UTC),
                    arguments=None,
                    result=result,
                )
                try:
                    await record(done)
                except DatabaseUnavailable as error:
                    # It has run: the language model has to know.
                    logger.warning("the result of {} is kept later: {}", call.tool, error.message)
            await params.result_callback(result, properties=properties)

        await record(call)
        await tool(params=replace(params, result_callback=tell), **arguments)

    return recorded
