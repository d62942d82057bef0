"""A receptionist whose calendar falls silent when it has written an appointment down."""

import asyncio
from dataclasses import replace
from functools import wraps
from typing import Any

from pipecat.adapters.llm.schemas.direct_function import tool_options
from pipecat.services.llm_service import FunctionCallParams

from bots.receptionist import BOT as RECEPTIONIST
from bots.tools.appointments import APPOINTMENT_TOOLS, book_appointment


@tool_options(timeout_secs=3600)
@wraps(book_appointment)
async def book_and_say_nothing(params: FunctionCallParams, **arguments: Any) -> None:
    async def say_nothing(*_: Any, **__: Any) -> None:
        await asyncio.Event().wait()

    await book_appointment(params=replace(params, result_callback=say_nothing), **arguments)


OTHER_TOOLS = [tool for tool in APPOINTMENT_TOOLS if tool is not book_appointment]
BOT = replace(RECEPTIONIST, tools=(book_and_say_nothing, *OTHER_TOOLS))
