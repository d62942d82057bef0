"""The rule that the words of others do not have a bot do something: a caller has to ask for it.

What a tool of an MCP server returns, a language model reads like all the rest, and it may hold
orders that somebody has written there. So from when it has come in until the caller speaks again,
of the bot's own tools only those run that merely read, and of servers' tools only that server's;
and when the bot's own have told something meanwhile, none, so that no server is told it.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

from pipecat.processors.aggregators.llm_context import (
    LLMContextMessage,
    LLMSpecificMessage,
    standard_message_text,
)

from processors.interrupted_tools import INTERRUPTED
from processors.switchboard import TOOL as TRANSFER
from processors.text_agent import CANCELLED, IN_PROGRESS

Function = TypeVar("Function", bound=Callable[..., Any])

SEPARATOR = "__"
"""Between the name of a server and that of its tool."""

OWN = "a tool of the bot's own"
"""Stands among strangers when one has told something that a stranger may have wanted to know."""

SUMMARY = "a summary"

SUMMARIES = ("Conversation summary:", "Here is a summary of the conversation to date:")
"""So begin those of Pipecat and of LangChain, which stand there as if the caller had said them."""

REFUSAL = {
    "error": "caller_has_not_asked",
    "ask": "Nothing was done. Tell the caller what you would do, and ask whether you should. "
    "Do it when they have said so.",
}

NO_RESULT = (IN_PROGRESS, CANCELLED, INTERRUPTED, json.dumps(REFUSAL))
"""What stands there of a tool that has told nothing. What one has told is JSON, a text with its
quotes."""


def read_only(tool: Function) -> Function:
    """Mark a tool that changes nothing, so that it runs whoever had the idea."""
    vars(tool)["is_read_only"] = True
    return tool


def is_read_only(tool: Callable[..., Any]) -> bool:
    """Return whether a tool is marked so; one that is not might do anything."""
    return bool(getattr(tool, "is_read_only", False))


def server_of(tool_name: str) -> str | None:
    """Return whose tool that is, by its name; None for one of the bot's own."""
    server, separator, _ = tool_name.partition(SEPARATOR)
    return server if separator else None


def strangers_in(messages: Sequence[LLMContextMessage]) -> frozenset[str]:
    """Return whose words have come in since the caller spoke last.

    Args:
        messages: A conversation in which the caller's words stand before what was done about them,
            as they do in all but those that are held speech to speech.

    Returns:
        Names of MCP servers, `OWN`, and `SUMMARY` where nobody can tell any more.
    """
    tools: dict[str, str] = {}
    since = _since_asked(messages)
    begins_with_summary = since and standard_message_text(cast(Any, since[0])).startswith(SUMMARIES)
    strangers = frozenset({SUMMARY} if begins_with_summary else ())
    for message in since:
        for call in message.get("tool_calls") or ():
            tools[call["id"]] = call["function"]["name"]
        if message["role"] == "tool" and message["content"] not in NO_RESULT:
            tool = tools.get(message["tool_call_id"], "")
            # Who is put through is told nothing that servers did not know.
            if tool != TRANSFER:
                strangers = _and_now(server_of(tool), strangers)
    return strangers


class Hearsay:
    """What `strangers_in` tells, of a conversation whose caller's words are written down late.

    Args:
        messages: The conversation before.

    Attributes:
        strangers: Whose words have come in since the caller spoke last.
    """

    def __init__(self, messages: Sequence[LLMContextMessage]) -> None:
        self.strangers = strangers_in(messages)

    def told_by(self, server: str | None) -> None:
        """Take that a tool has told something: of a server, or None for one of the bot's own."""
        self.strangers = _and_now(server, self.strangers)

    def caller_speaks(self) -> None:
        """Take that the caller speaks, or writes."""
        self.strangers = frozenset()


def _and_now(server: str | None, strangers: frozenset[str]) -> frozenset[str]:
    """Return who the strangers are when a tool of somebody's has told something, too."""
    return strangers | {server or OWN} if server or strangers else strangers


def _since_asked(messages: Sequence[LLMContextMessage]) -> list[dict[str, Any]]:
    """Return the last message of the user's, and all behind it; everything, if there is none."""
    standard = [cast(dict[str, Any], m) for m in messages if not isinstance(m, LLMSpecificMessage)]
    # In threads of agents, what a developer says is the user's, by that name.
    asked = [
        i
        for i, message in enumerate(standard)
        if message["role"] == "user" and message.get("name") != "developer"
    ]
    return standard[asked[-1] :] if asked else standard
