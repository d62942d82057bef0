import re
from itertools import pairwise

import pytest

from engines.word_places import LONG, word_places

SPOKEN = {
    "": [],
    "We": [*"wi."],
    "We are": [*"wi aR."],
    "We are of": [*"wi aR Ov."],
    "We are of the": [*"wi aR Ovðə."],
    "We are of the 25.": [*"wi aR Ovðə tw5nti faiv."],
    "We are of the 25. It": [*"wi aR Ovðə tw5nti faiv.", *"it."],
}


def phonemize(text: str) -> list[list[str]]:
    """Return what a phonemizer makes of a text: words joined and parted, and a stop at the end."""
    sentences = "".join(SPOKEN[text]).split(".")
    return [[*sentence] for sentence in sentences if sentence]


def test_words_begin_behind_spaces_where_there_are_any() -> None:
    text = "We are of the 25. It"
    [first, second] = word_places(text, phonemize(text), phonemize)
    assert first == [0, 3, 6, 8, 11]
    assert second == [0]


def test_a_text_without_words_has_none() -> None:
    assert word_places(" ", [], phonemize) == []


def spell(text: str) -> list[list[str]]:
    """Return the letters of a text, sentence by sentence, as a phonemizer would its phonemes."""
    return [[*sentence] for sentence in re.findall(r"[^.]+\.?", text.replace(". ", "."))]


@pytest.mark.parametrize("comma", ["", ","])
def test_a_long_text_is_not_read_again_from_its_beginning_for_each_word(comma: str) -> None:
    clause = f"one two three four five six seven eight nine ten{comma}"
    text = f"A long one. {' '.join([clause] * 12)} end."
    lengths: list[int] = []

    def phonemize(part: str) -> list[list[str]]:
        lengths.append(len(part.split()))
        return spell(part)

    sentences = spell(text)
    places = word_places(text, sentences, phonemize)
    words = [
        "".join(sentence[begin:end]).strip()
        for sentence, begins in zip(sentences, places, strict=True)
        for begin, end in pairwise([*begins, len(sentence)])
    ]
    assert words == text.split()
    assert max(lengths) <= (10 if comma else LONG)
