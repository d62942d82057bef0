"""The tools of a bot, typed async functions for Pipecat, as tools of LangChain."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, cast

from langchain.tools import ToolRuntime
from langchain_core.messages import convert_to_openai_messages
from langchain_core.tools import BaseTool, StructuredTool, ToolException
from loguru import logger
from pipecat.adapters.llm.schemas.direct_function import DirectFunctionWrapper
from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
from pipecat.frames.frames import FunctionCallResultProperties
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.services.llm_service import FunctionCallParams, LLMService

from bots.toolbox import handler_of
from bots.tools.desk import TOOL_SECS

NO_RESULT = LLMService.FUNCTION_CALL_ERROR_MESSAGE_TEMPLATE
"""What a language model is told of a tool that raised, or took too long: nothing of the cause."""


def to_langchain(
    tool: Callable[..., Awaitable[None]] | FunctionSchema, resources: object
) -> BaseTool:
    """Return a tool that an agent can call; its result is the artifact of the message it gives.

    Args:
        tool: A tool for Pipecat. Of what Pipecat gives a tool, it finds the call's name and its
            arguments, the messages of the thread, and `app_resources`; there is no pipeline to push
            frames into.
        resources: What it finds there.
    """
    wrapper = None if isinstance(tool, FunctionSchema) else DirectFunctionWrapper(tool)
    schema = (
        wrapper.to_function_schema() if wrapper else cast(FunctionSchema, tool)
    ).to_default_dict()
    name: str = schema["name"]
    handler = handler_of(tool) if isinstance(tool, FunctionSchema) else tool
    timeout_secs = getattr(handler, "_pipecat_timeout_secs", None) or TOOL_SECS

    async def run(runtime: ToolRuntime, **arguments: Any) -> tuple[str, Any]:
        results: list[Any] = []

        async def tell(
            result: Any, *, properties: FunctionCallResultProperties | None = None
        ) -> None:
            if properties is None or properties.is_final:
                results.append(result)

        params = FunctionCallParams(
            function_name=name,
            tool_call_id=runtime.tool_call_id or "",
            arguments=arguments,
            llm=cast(Any, None),
            pipeline_worker=cast(Any, None),
            context=LLMContext(convert_to_openai_messages(runtime.state["messages"])),
            result_callback=tell,
            app_resources=resources,
        )
        try:
            async with asyncio.timeout(timeout_secs):
                if wrapper:
                    await wrapper.invoke(args=arguments, params=params)
                else:
                    await handler(params)
        except Exception as error:
            logger.opt(exception=error).error("the tool {} has failed", name)
            raise ToolException(NO_RESULT.format(function_name=name)) from error
        result = results[-1] if results else None
        return json.dumps(result, ensure_ascii=False, default=str), result

    return StructuredTool(
        name=name,
        description=schema["description"],
        args_schema=schema["parameters"],
        coroutine=run,
        response_format="content_and_artifact",
        handle_tool_error=True,
    )
