"""A text agent that anybody might write."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from bots.agents.factory import AgentCall
from processors.text_agent import Chunk

ECHO = "echo"


class Echo:
    """Says again what was said."""

    async def stream_response(self, message: str, history: Sequence[Any]) -> AsyncIterator[Chunk]:
        yield "You said: "
        yield message

    async def aclose(self) -> None: ...


def make_agent(call: AgentCall) -> Echo:
    return Echo()
