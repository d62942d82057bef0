"""Where the words of a text stand among the phonemes that it is spoken in.

A phonemizer joins words ("of the") and parts them ("25"), and says nothing of either. So each
beginning of the text is turned into phonemes: behind as many, and a space, the next word begins;
give or take one, since the last word of a text may be stressed otherwise than one in its midst.

Clauses are spoken each for itself: what stands before one is not read again, so that twice as many
words take twice as long, and not four times. Long clauses are cut for it.
"""

from collections.abc import Callable, Sequence

Phonemes = Sequence[str]
"""Of a sentence, with a space between words."""

ENDS = (",", ";", ":", ".", "!", "?")
"""Of clauses."""

LONG = 20
"""Words behind which a clause is cut. In English text without any punctuation, one word in seventy
is found beside its place for that; with 16, one in twenty-five."""


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
    # The word from which on is read, the phonemes before it, and whether another is to be that.
    first, known, is_new = 0, 0, False
    for count, word in enumerate(words if sentences else []):
        read = phonemize(" ".join(words[first:count]))
        before = known + sum(map(len, read)) - passed
        while number < len(sentences) - 1 and before >= len(sentences[number]):
            before -= len(sentences[number])
            passed += len(sentences[number])
            number += 1
        place = max([_begin_near(before, sentences[number]), *places[number][-1:]])
        places[number].append(place)
        if is_new and _is_begin(place, sentences[number]):
            first, known = count, passed + place
        is_new = word.endswith(ENDS) or count + 1 - first >= LONG
    return places


def _begin_near(before: int, phonemes: Phonemes) -> int:
    """Return where the word begins that has so many phonemes before it."""
    for begin in (before + 1, before, before + 2):
        if _is_begin(begin, phonemes):
            return begin
    return min(before, len(phonemes))


def _is_begin(place: int, phonemes: Phonemes) -> bool:
    return place == 0 or (place < len(phonemes) and phonemes[place - 1] == " ")
