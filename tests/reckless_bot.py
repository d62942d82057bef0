"""A bot whose tools do to their process what should not take other calls with it."""

import ctypes
import time

from pipecat.services.llm_service import FunctionCallParams

from bots.agents.factory import AgentCall
from bots.registry import Bot
from bots.tools.desk import Result, tool
from processors.text_agent import TextAgent

_kept: list[bytes] = []


@tool
async def crash(params: FunctionCallParams) -> Result:
    """Crash in native code."""
    return {"read": ctypes.string_at(0)}


@tool
async def block(params: FunctionCallParams) -> Result:
    """Compute for ever, on the event loop."""
    while True:
        time.sleep(1)  # noqa: ASYNC251 - what must not be done


@tool
async def leak(params: FunctionCallParams) -> Result:
    """Take 300 MB and keep them."""
    _kept.append(b"\1" * 300_000_000)
    return {"megabytes": 300}


def make_nothing(call: AgentCall) -> TextAgent:
    """Break, as no agent should."""
    raise KeyError("nothing can be made of it")


BOT = Bot(
    description="For tests.",
    prompt="receptionist.md",
    greeting="Hello, this is nobody in particular.",
    tools=(crash, block, leak),
)
