"""A conversation that is too long for the model that is to go on with it."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from processors.recent import estimate_tokens, recent

MAX_TOKENS = 200


def said(*turns: str) -> list[Any]:
    roles = {"u": "user", "a": "assistant", "t": "tool"}
    return [{"role": roles[turn[0]], "content": turn[1:]} for turn in turns]


def exchange(number: int) -> list[Any]:
    return said(f"uquestion {number}", f"aanswer {number}")


def long(exchanges: int) -> list[Any]:
    return [message for number in range(exchanges) for message in exchange(number)]


def test_a_short_conversation_is_given_whole() -> None:
    assert recent(long(8), MAX_TOKENS) == long(8)
    assert recent([], MAX_TOKENS) == []


def test_the_end_of_a_long_one_is_given_and_begins_with_the_user() -> None:
    for exchanges in range(1, 200):
        whole = long(exchanges)
        given_to_it = recent(whole, MAX_TOKENS)
        assert given_to_it == whole[len(whole) - len(given_to_it) :]
        assert given_to_it[0]["role"] == "user"
        assert min(estimate_tokens(whole), MAX_TOKENS / 4) <= estimate_tokens(given_to_it)
        assert estimate_tokens(given_to_it) <= MAX_TOKENS


def test_it_begins_with_the_same_words_for_many_turns() -> None:
    firsts = [recent(long(exchanges), MAX_TOKENS)[0]["content"] for exchanges in range(1, 101)]
    assert len(set(firsts)) < 25


def test_the_result_of_a_tool_never_stands_without_its_call() -> None:
    turn = said("uBook it.", "aI call the tool.", "tDone.", "aIt is booked.")
    for turns in range(1, 60):
        assert recent(turn * turns, MAX_TOKENS)[0]["role"] == "user"


def test_the_last_words_are_given_however_long_they_are() -> None:
    last = {"role": "user", "content": "why? " * 1000}
    assert recent([*long(20), last], MAX_TOKENS) == [last]


@given(st.lists(st.tuples(st.sampled_from("uat"), st.integers(0, 900)), min_size=1))
def test_the_last_message_is_always_there(turns: list[tuple[str, int]]) -> None:
    messages = said(*(role + "x" * size for role, size in turns))
    kept = recent(messages, MAX_TOKENS)
    assert kept
    assert kept == messages[-len(kept) :]
    assert estimate_tokens(kept) <= MAX_TOKENS or len(kept) == 1
