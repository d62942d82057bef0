"""The facts of a bot as a tool, for an agent that looks them up itself."""

from collections.abc import Awaitable, Callable

from pipecat.services.llm_service import FunctionCallParams

from bots.tools.desk import Result, tool
from processors.knowledge import Knowledge


def look_up_in(knowledge: Knowledge) -> Callable[..., Awaitable[None]]:
    """Return a tool that looks questions up."""

    @tool
    async def look_up(params: FunctionCallParams, question: str) -> Result:
        """Look up the facts that answer a question. Never answer with anything else.

        Args:
            params: The call in progress.
            question: What the caller wants to know, as one whole question.
        """
        return {"facts": [fact.text for fact in knowledge.lookup(question)] or "none"}

    return look_up
