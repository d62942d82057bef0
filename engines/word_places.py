"""Where the words of a text stand among the phonemes that it is spoken in.

A phonemizer joins words ("of the") and parts them ("25"), and says nothing of either. So each
beginning of the text is turned into phonemes: behind as many, and a space, the next word begins;
give or take one, since the last word of a text may be stressed otherwise than one in its midst.
"""

from collections.abc import Callable, Sequence

Phonemes = Sequence[str]
"""Of a sentence, with a space between words."""


def word_places(
    text: str, sentences: Sequence[Phonemes], phonemize: Callable[[str], Sequence[Phonemes]]
) -> list[list[int]]:
    """Return for each sentence the phonemes with which its words begin.

    Args:
        text: Its words stand between spaces.
        sentences: What `phonemize` makes of it.
        phonemize: Turns a text into the phonemes of its sentences.
    """
    words = text.split()
    places: list[list[int]] = [[] for _ in sentences]
    number = passed = 0
    for count in range(len(words)):
        before = sum(map(len, phonemize(" ".join(words[:count]))))
        while number < len(sentences) - 1 and before >= passed + len(sentences[number]):
            passed += len(sentences[number])
            number += 1
        if sentences:
            place = _begin_near(before - passed, sentences[number])
            places[number].append(max([place, *places[number][-1:]]))
    return places


def _begin_near(before: int, phonemes: Phonemes) -> int:
    """Return where the word begins that has so many phonemes before it."""
    for begin in (before + 1, before, before + 2):
        if 0 < begin < len(phonemes) and phonemes[begin - 1] == " ":
            return begin
    return min(before, len(phonemes))
