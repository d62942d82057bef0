"""A bot whose tools do not do what they should."""

import asyncio

from pipecat.adapters.llm.schemas.direct_function import tool_options
from pipecat.services.llm_service import FunctionCallParams

from bots.registry import Bot
from bots.tools.desk import Result, tool

SECRET = "sk-in-an-error"


@tool_options(timeout_secs=1)
@tool
async def wait_for_ever(params: FunctionCallParams) -> Result:
    """Wait."""
    await asyncio.sleep(3600)
    return {"waited": True}


@tool
async def break_down(params: FunctionCallParams) -> Result:
    """Break down."""
    raise RuntimeError(SECRET)


BOT = Bot(
    description="For tests.",
    prompt="receptionist.md",
    greeting="Hello, this is nobody in particular.",
    tools=(wait_for_ever, break_down),
)
