from engines.word_places import word_places

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
