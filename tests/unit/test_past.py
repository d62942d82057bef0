"""A conversation that is taken up again, as the language model is shown it."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from processors.transcript import (
    NOT_KNOWN,
    Past,
    Speaker,
    ToolCall,
    ToolOutcome,
    Turn,
    to_messages,
)

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def user(words: str) -> Turn:
    return Turn(Speaker.USER, words, NOON, NOON)


def bot(heard: str, *, cut: bool = False) -> Turn:
    generated = f"{heard} And so on." if cut else heard
    return Turn(Speaker.BOT, heard, NOON, NOON, generated=generated, interrupted=cut)


def tool(outcome: ToolOutcome, **more: Any) -> ToolCall:
    return ToolCall("c1", "book", outcome, NOON, arguments={"day": "Dienstag", "ü": 1}, **more)


@pytest.mark.parametrize(
    ("past", "roles"),
    [
        ([], []),
        ([bot("Hello.")], ["assistant"]),
        ([bot("Hello."), user("Hi.")], ["assistant", "user"]),
        ([bot("Hel", cut=True)], []),
        ([bot("Hello."), user("Hi."), bot("How", cut=True)], ["assistant", "user"]),
        ([bot("Hel", cut=True), user("Hi."), bot("Yes?")], ["assistant", "user", "assistant"]),
        ([bot("", cut=True), user("Hi.")], ["user"]),
        ([user("Book."), tool(ToolOutcome.COMPLETED)], ["user", "assistant", "tool"]),
    ],
)
def test_it_holds_what_was_heard_and_ends_where_an_answer_is_due(
    past: Past, roles: list[str]
) -> None:
    messages = to_messages(past)
    assert [message["role"] for message in messages] == roles
    assert "And so on" not in str(messages)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (tool(ToolOutcome.COMPLETED, result={"booked": True}), '{"booked": true}'),
        (tool(ToolOutcome.COMPLETED, result=None), "null"),
        (tool(ToolOutcome.RUNNING), NOT_KNOWN),
        (tool(ToolOutcome.FAILED, error="ValueError: no"), "ValueError: no"),
        (tool(ToolOutcome.TIMED_OUT), "TIMED_OUT"),
        (tool(ToolOutcome.CANCELLED), "CANCELLED"),
    ],
)
def test_a_tool_is_shown_with_what_became_of_it(call: ToolCall, told: str) -> None:
    _, asked, answered = to_messages([user("Book."), call])
    [request] = asked["tool_calls"]  # type: ignore[typeddict-item]
    assert (request["id"], request["function"]["name"]) == ("c1", "book")
    assert json.loads(request["function"]["arguments"]) == {"day": "Dienstag", "ü": 1}
    assert answered["tool_call_id"] == "c1"  # type: ignore[typeddict-item]
    assert answered["content"] == told
