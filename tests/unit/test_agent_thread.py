"""The thread of an agent is put right by what was heard."""

import json
from typing import Any

import pytest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage

from bots.agents.thread import IN_PROGRESS, cut, put_right
from processors.switchboard import TOOL
from processors.transcript import NOT_KNOWN


@pytest.mark.parametrize(
    ("texts", "heard", "cuts", "beyond"),
    [
        (["One two three."], "One two three.", ["One two three."], ""),
        (["One two three."], "One two", ["One two"], ""),
        (["One two three."], "", [""], ""),
        (["One, **two**\nthree!"], "One two three", ["One, **two**\nthree!"], ""),
        (["One two.", "Three four."], "One two. Three", ["One two.", "Three"], ""),
        (["One two.", "Three four."], "One", ["One", ""], ""),
        (["One two.", "Three four."], "One two. Three four.", ["One two.", "Three four."], ""),
        (["It costs $5."], "It costs five dollars.", ["It costs five dollars."], ""),
        (["One."], "One. Are you still there?", ["One."], "Are you still there?"),
        ([], "One", [], "One"),
        (["", "One."], "One.", ["", "One."], ""),
    ],
)
def test_words_are_cut_where_the_voice_was(
    texts: list[str], heard: str, cuts: list[str], beyond: str
) -> None:
    assert cut(texts, heard) == (cuts, beyond)


def said(role: str, words: str, **more: Any) -> Any:
    return {"role": role, "content": words, **more}


def called(*names: str) -> Any:
    calls = [
        {"id": name, "type": "function", "function": {"name": name, "arguments": '{"a": 1}'}}
        for name in names
    ]
    return {"role": "assistant", "tool_calls": calls}


def calling(words: str, *names: str) -> AIMessage:
    return AIMessage(words, tool_calls=[{"name": n, "args": {"a": 1}, "id": n} for n in names])


def shown(messages: list[AnyMessage]) -> list[tuple[str, str]]:
    return [(getattr(m, "tool_call_id", m.type), str(m.text)) for m in messages]


HELLO = said("user", "Hello.")
ASKED = put_right([], [], "Hello.")


def test_what_a_developer_says_is_not_the_user_s() -> None:
    history = [HELLO, said("developer", "The user coughed.")]
    asked, coughed = put_right(ASKED, history, "")
    assert (asked.name, coughed.name) == (None, "developer")
    assert put_right([asked, coughed], history, "") == [asked, coughed]


def test_what_is_right_is_left_as_it_is() -> None:
    kept = [*ASKED, calling("A moment.", "x"), ToolMessage("1", tool_call_id="x"), AIMessage("Hi.")]
    history = [HELLO, said("assistant", "A moment."), called("x"), said("assistant", "Hi.")]
    put = put_right(kept, history, "Thanks.")
    assert put[:-1] == kept
    assert shown(put[-1:]) == [("human", "Thanks.")]


@pytest.mark.parametrize(
    ("told", "result"),
    [
        ([said("tool", "CANCELLED", tool_call_id="y")], "CANCELLED"),
        ([said("tool", IN_PROGRESS, tool_call_id="y")], NOT_KNOWN),
        ([], NOT_KNOWN),
    ],
)
def test_each_call_has_one_result_behind_it(told: list[Any], result: str) -> None:
    kept = [*ASKED, calling("", "x", "y"), ToolMessage("1", tool_call_id="x")]
    put = put_right(kept, [HELLO, called("x", "y"), *told], "Stop.")
    assert shown(put) == [
        ("human", "Hello."),
        ("ai", ""),
        ("x", "1"),
        ("y", result),
        ("human", "Stop."),
    ]


def test_a_call_that_the_thread_had_no_time_to_keep_is_known_nevertheless() -> None:
    history = [HELLO, called("x"), said("tool", "1", tool_call_id="x"), said("assistant", "Hi.")]
    for kept in ([], ASKED):
        put = put_right(kept, history, "")
        assert shown(put) == [("human", "Hello."), ("ai", ""), ("x", "1"), ("ai", "Hi.")]
        assert put[1].tool_calls[0]["args"] == {"a": 1}  # type: ignore[union-attr]


@pytest.mark.parametrize("is_kept", [True, False], ids=["with its result", "cut off"])
def test_a_transfer_of_its_own_is_known_though_others_have_another_name_for_it(
    is_kept: bool,
) -> None:
    def transfer(call_id: str, to: str) -> list[Any]:
        function = {"name": TOOL, "arguments": json.dumps({"to": to, "why": ""})}
        call = {"id": call_id, "type": "function", "function": function}
        result = json.dumps({TOOL: to})
        return [
            {"role": "assistant", "tool_calls": [call]},
            said("tool", result, tool_call_id=call_id),
        ]

    arguments = {"to": "support", "why": "", "say": "One moment."}
    own = AIMessage("", tool_calls=[{"name": TOOL, "args": arguments, "id": "own"}])
    result = ToolMessage('{"put_through": "support"}', tool_call_id="own")
    kept = [*ASKED, own, *([result] if is_kept else [])]
    history = [HELLO, *transfer("shown", "support"), *transfer("back", "sales")]
    assert shown(put_right(kept, history, "")) == [
        ("human", "Hello."),
        ("ai", ""),
        ("own", '{"put_through": "support"}'),
        ("ai", ""),
        ("back", '{"put_through": "sales"}'),
    ]


def test_the_same_words_twice_are_two_turns() -> None:
    kept = [*ASKED, AIMessage("Hi.")]
    history = [HELLO, said("assistant", "Hi.")]
    put = put_right(kept, history, "Hello.")
    assert shown(put) == [("human", "Hello."), ("ai", "Hi."), ("human", "Hello.")]


def test_a_turn_that_was_not_asked_about_is_added() -> None:
    kept = [*ASKED, AIMessage("Hi.")]
    history = [HELLO, said("assistant", "Hi."), said("user", "Well."), said("assistant", "Yes?")]
    put = put_right(kept, history, "A quote.")
    assert shown(put[2:]) == [("human", "Well."), ("ai", "Yes?"), ("human", "A quote.")]


def test_a_summary_in_the_place_of_the_beginning_stays() -> None:
    summary = HumanMessage("They said hello.")
    kept = [summary, *ASKED, AIMessage("Hi.")]
    put = put_right(kept, [HELLO, said("assistant", "H")], "Bye.")
    assert shown(put) == [
        ("human", "They said hello."),
        ("human", "Hello."),
        ("ai", "H"),
        ("human", "Bye."),
    ]
    put = put_right([summary], [HELLO, said("assistant", "Hi.")], "Bye.")
    assert shown(put) == [("human", "They said hello."), ("human", "Bye.")]
