"""Runs tools as a language model has them run."""

from typing import Any, cast

from pipecat.services.llm_service import FunctionCallParams

from bots.tools.desk import Desk, ToolResources, Transfer


async def run_tool(
    tool: Any, desk: Desk, *, transfer: Transfer | None = None, **arguments: Any
) -> dict[str, Any]:
    """Return the one thing that a tool tells."""
    results: list[dict[str, Any]] = []

    async def result_callback(result: Any, *, properties: Any = None) -> None:
        results.append(result)

    nobody = cast(Any, None)
    params = FunctionCallParams(
        function_name=tool.__name__,
        tool_call_id="1",
        arguments=arguments,
        llm=nobody,
        pipeline_worker=nobody,
        context=nobody,
        result_callback=result_callback,
        app_resources=ToolResources(desk, transfer),
    )
    await tool(params, **arguments)
    [result] = results
    return result
