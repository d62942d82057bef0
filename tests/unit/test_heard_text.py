"""What is left out of the words of users."""

import pytest

from bots.heard_text import without_fillers, without_profanity
from processors.eager_turn import is_cut


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("Um, what are your hours?", "What are your hours?"),
        ("I, um, would like one.", "I would like one."),
        ("i would uh like one", "i would like one"),
        ("So, um... I need, uh... a room.", "So I need a room."),
        ("Uh, um, yes. Erm, no.", "Yes. No."),
        ("uh I think so", "I think so"),
        ("Is it, uh?", "Is it?"),
        ("It is um um late.", "It is late."),
    ],
)
def test_fillers_are_left_out(said: str, kept: str) -> None:
    assert without_fillers(said) == kept


@pytest.mark.parametrize(
    "said", ["Uh-huh.", "I was in the ER.", "Umbrella, mum, per hour", "To err is human.", "Um."]
)
def test_words_that_only_look_like_fillers_stay_and_so_does_what_has_no_other_words(
    said: str,
) -> None:
    assert without_fillers(said) == said


@pytest.mark.parametrize("said", ["I would like one, um", "I would like one. Um.", "one uh, um..."])
def test_who_ends_with_a_filler_still_sounds_as_if_they_went_on(said: str) -> None:
    kept = without_fillers(said)
    assert kept.endswith("one...")
    assert is_cut(kept)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("What the fuck, damn it", "What the f***, d*** it"),
        ("Bullshit!", "B*******!"),
        ("Scunthorpe, a classic shitake, assess", "Scunthorpe, a classic shitake, assess"),
    ],
)
def test_of_swear_words_the_first_letter_stays(said: str, kept: str) -> None:
    assert without_profanity(said) == kept
