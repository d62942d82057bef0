import pytest

from processors.eager_turn import HOLDS, Holds, hold_secs, is_cut, is_sound_needed

HOLD = Holds(sure=1, likely=2, unsure=3, cut=4)


@pytest.mark.parametrize(
    "text",
    [
        "I would like to",
        "My number is",
        "I would like to come on Tuesday and",
        "Well, um",
        "I need an appointment for...",
        "On Tuesday,",
        "",
    ],
)
def test_words_that_others_have_to_follow_are_cut(text: str) -> None:
    assert is_cut(text)


@pytest.mark.parametrize(
    "text", ["When do you open?", "Yes.", "My name is Anna", "Where are you?", "What is it for?"]
)
def test_words_that_nothing_has_to_follow_are_not(text: str) -> None:
    assert not is_cut(text)


@pytest.mark.parametrize(
    ("words", "sound", "hold"),
    [
        (0.9, None, HOLD.sure),
        (0.9, 0.0, HOLD.sure),
        (0.3, None, HOLD.likely),
        (0.01, 0.9, HOLD.unsure),
        (0.01, 0.1, HOLD.cut),
    ],
)
def test_words_decide_and_the_sound_where_they_go_on(
    words: float, sound: float | None, hold: float
) -> None:
    assert hold_secs(HOLD, text="whatever", words=words, sound=sound) == hold
    assert is_sound_needed(words) is (hold in (HOLD.unsure, HOLD.cut))


@pytest.mark.parametrize(
    ("text", "sound", "hold"),
    [
        ("When do you open?", None, HOLD.sure),
        ("When do you open?", 0.9, HOLD.sure),
        ("When do you open?", 0.1, HOLD.likely),
        ("I would like to", 0.9, HOLD.unsure),
        ("I would like to", 0.1, HOLD.cut),
    ],
)
def test_without_a_judge_of_the_words_the_sound_and_the_last_word_decide(
    text: str, sound: float | None, hold: float
) -> None:
    assert hold_secs(HOLD, text=text, sound=sound) == hold
    assert is_sound_needed(None)


def test_a_pause_of_700_ms_is_answered_only_where_the_turn_very_likely_is_over() -> None:
    assert all(hold > 0.7 for hold in (HOLDS["balanced"].likely, HOLDS["balanced"].cut))
    assert HOLDS["patient"].sure > 0.7
