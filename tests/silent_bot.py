"""A receptionist whose calendar falls silent when it has written an appointment down."""

import asyncio
from dataclasses import replace
from functools import wraps
from typing import Any

from pipecat.adapters.llm.schemas.direct_function import tool_options
from pipecat.services.llm_service import FunctionCallParams

from bots.receptionist import BOT as RECEPTIONIST
from bots.tools import appointments


@tool_options(timeout_secs=3600)
@wraps(appointments.book_appointment, assigned=("__doc__", "__annotations__"))
async def book_appointment(params: FunctionCallParams, **arguments: Any) -> None:
    async def say_nothing(*_: Any, **__: Any) -> None:
        await asyncio.Event().wait()

    silenced = replace(params, result_callback=say_nothing)
    await appointments.book_appointment(params=silenced, **arguments)


OTHER_TOOLS = [
    it for it in appointments.APPOINTMENT_TOOLS if it is not appointments.book_appointment
]
BOT = replace(RECEPTIONIST, tools=(book_appointment, *OTHER_TOOLS))
