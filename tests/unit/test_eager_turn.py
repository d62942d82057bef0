import pytest

from processors.eager_turn import HOLDS, SURE, Holds, hold_secs, is_cut, over_probability

HOLD = Holds(sure=1, likely=2, cut=3)


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
    ("trails", "words", "sound", "hold"),
    [
        (0.001, 0.6, 0.95, HOLD.sure),
        (0.001, 0.01, 0.95, HOLD.likely),
        (0.001, 0.6, 0.02, HOLD.likely),
        (0.03, 0.6, 0.95, HOLD.likely),
        (0.2, 0.01, 0.1, HOLD.cut),
        (0.0003, None, 0.95, HOLD.sure),
        (0.0003, None, None, HOLD.sure),
        (0.001, None, 0.02, HOLD.likely),
        (0.03, None, 0.95, HOLD.likely),
        (0.2, None, 0.1, HOLD.cut),
        (1.0, None, 0.5, HOLD.cut),
    ],
)
def test_what_would_be_written_what_the_words_say_and_how_it_sounds_decide_together(
    trails: float, words: float | None, sound: float | None, hold: float
) -> None:
    over = over_probability("whatever", trails=trails, words=words, sound=sound)
    assert hold_secs(HOLD, over) == hold


def test_where_a_language_model_ends_a_sentence_it_may_end_with_any_word() -> None:
    def over(said: str) -> float:
        return over_probability(said, trails=0.001, words=0.5, sound=0.9)

    assert over("I can hardly wait until then.") == over("I can hardly wait.") > SURE


@pytest.mark.parametrize(
    ("words", "sound", "hold"),
    [(0.9, 0.98, HOLD.sure), (0.9, None, HOLD.sure), (0.1, 0.98, HOLD.likely), (0, 0.1, HOLD.cut)],
)
def test_with_another_speech_recognition_the_words_and_the_sound_decide(
    words: float, sound: float | None, hold: float
) -> None:
    over = over_probability("When do you open", trails=None, words=words, sound=sound)
    assert hold_secs(HOLD, over) == hold


@pytest.mark.parametrize(
    ("text", "sound", "hold"),
    [
        ("When do you open?", 0.98, HOLD.sure),
        ("When do you open?", None, HOLD.likely),
        ("When do you open?", 0.1, HOLD.likely),
        ("I would like to", 0.9, HOLD.likely),
        ("I would like to", 0.1, HOLD.cut),
    ],
)
def test_where_nothing_else_is_known_of_the_words_the_last_word_and_the_sound_decide(
    text: str, sound: float | None, hold: float
) -> None:
    over = over_probability(text, trails=None, words=None, sound=sound)
    assert hold_secs(HOLD, over) == hold


def test_no_signal_is_so_sure_that_the_other_does_not_count() -> None:
    def over(trails: float, sound: float) -> float:
        return over_probability("whatever", trails=trails, words=0.5, sound=sound)

    assert 0 < over(1, 0) < over(1, 1) < over(0, 0) < over(0, 1) < 1


def test_who_wants_to_be_answered_soon_is_where_the_end_is_less_sure() -> None:
    snappy, balanced = HOLDS["snappy"], HOLDS["balanced"]
    assert hold_secs(snappy, 0.75) == snappy.sure
    assert hold_secs(balanced, 0.75) == balanced.likely


def test_a_pause_of_700_ms_is_answered_only_where_the_turn_very_likely_is_over() -> None:
    assert all(hold > 0.7 for hold in (HOLDS["balanced"].likely, HOLDS["balanced"].cut))
    assert HOLDS["patient"].sure > 0.7
