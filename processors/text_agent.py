"""An agent that streams text: what any agent has to be that answers for a bot, and gives out."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pipecat.processors.aggregators.llm_context import LLMStandardMessage

ASKING = ("user", "developer")
"""Roles of messages that are answered."""

IN_PROGRESS = "IN_PROGRESS"
"""What Pipecat writes in the place of the result of a tool that runs."""

CANCELLED = "CANCELLED"
"""What it writes there of a tool whose result will not come."""


@dataclass(frozen=True)
class ToolStarted:
    """A tool begins to run.

    Attributes:
        call_id: Names the call, once in a conversation.
        tool: Which tool.
        arguments: What it is given.
    """

    call_id: str
    tool: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class ToolFinished:
    """A tool has run.

    Attributes:
        call_id: That of its `ToolStarted`.
        result: What it returned, or what the agent is told instead.
        error: What went wrong; None if nothing did.
    """

    call_id: str
    result: Any
    error: str | None = None


@dataclass(frozen=True)
class Handoff:
    """Somebody else is to answer from now on.

    Attributes:
        to: Who, by a name that the handler knows.
        reason: Why, for who takes over.
    """

    to: str
    reason: str = ""


@dataclass(frozen=True)
class TokensUsed:
    """A language model of the agent's has answered, and tells what that took.

    What is written or stopped without it is estimated.

    Attributes:
        prompt: Tokens that it has read.
        completion: Tokens that it has written.
        cached: Of `prompt`, those that it had read before.
        provider: Whose it is; None for that of the bot.
        model: Which one; None for that of the bot.
        is_estimated: Whether the model has not told, and it was estimated.
        cache_write: Of `prompt`, those that it kept for later.
    """

    prompt: int
    completion: int
    cached: int = 0
    provider: str | None = None
    model: str | None = None
    is_estimated: bool = False
    cache_write: int = 0


Chunk = str | ToolStarted | ToolFinished | Handoff | TokensUsed
"""What an agent gives out: words, spaces between them included, and what it does."""


class TextAgent(Protocol):
    """What answers in a conversation. It is asked again when it has answered, or was stopped."""

    def stream_response(
        self, message: str, history: Sequence[LLMStandardMessage]
    ) -> AsyncIterator[Chunk]:
        """Answer, piece by piece. Each `ToolStarted` is followed by its `ToolFinished`.

        It is stopped in the midst of it when the user interrupts: an async generator is closed,
        and what it awaits is cancelled.

        Args:
            message: The user's last words; "" if `history` ends with what is to be gone on with,
                such as the result of a tool.
            history: The conversation before, in OpenAI's form, with those words of the bot that
                were heard, and all its tool calls. Instructions are the agent's own.
        """

    async def aclose(self) -> None:
        """Free what it uses; the conversation is over."""


class AgentFailed(Exception):
    """An agent cannot answer."""
