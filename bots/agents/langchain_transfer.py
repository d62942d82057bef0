"""The tool by which an agent of LangChain's puts a caller through, to others who can answer."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from langchain.agents.middleware import AgentMiddleware, ModelRequest, ModelResponse
from langchain_core.messages import convert_to_openai_messages
from langchain_core.tools import BaseTool
from pipecat.services.llm_service import FunctionCallParams

from bots.agents.langchain_tools import to_langchain
from processors.switchboard import MAX_TRANSFERS, TOOL, transfer_tool, transfers_since_asked


def transfer(colleagues: Mapping[str, str]) -> BaseTool:
    """Return the tool, with which an answer ends.

    Args:
        colleagues: Whom a caller may be put through to, by name, and what they are for.
    """
    tool = to_langchain(transfer_tool(colleagues, _put_through), None)
    tool.return_direct = True
    return tool


async def _put_through(params: FunctionCallParams) -> None:
    """Do nothing but remember it: the caller is put through when the answer has ended."""
    await params.result_callback({TOOL: params.arguments.get("to")})


class TransferLimit(AgentMiddleware[Any, Any, Any]):
    """Has whoever has the caller answer, where they were put through often enough."""

    async def awrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]],
    ) -> ModelResponse[Any]:
        """Ask the model, and offer it the tool if it may."""
        messages: Any = convert_to_openai_messages(request.messages)
        if transfers_since_asked(messages) >= MAX_TRANSFERS:
            left = [it for it in request.tools if getattr(it, "name", "") != TOOL]
            request = request.override(tools=left)
        return await handler(request)
