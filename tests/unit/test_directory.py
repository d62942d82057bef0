"""Whose business a question is, where the language model is too small to tell."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from processors.directory import MIN_LEAD, MIN_SCORE, Directory, who_is_meant
from processors.facts import Fact

FACTS = {
    "clinic": [Fact("The clinic opens at eight."), Fact("Parking is free.")],
    "shop": [Fact("A plan costs nineteen dollars.")],
}


class Bag:
    """Two texts mean the same as far as they have words in common."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        vectors = np.zeros((len(texts), 512), np.float32)
        for row, text in zip(vectors, texts, strict=True):
            for word in text.lower().strip(".?").split():
                row[sum(map(ord, word)) % 512] = 1
            row /= np.linalg.norm(row)
        return vectors


@pytest.mark.parametrize(
    ("scores", "name"),
    [
        ({"clinic": 0.9, "shop": 0.2}, "clinic"),
        ({"clinic": 0.2, "shop": 0.9}, "shop"),
        ({"clinic": MIN_SCORE - 0.01, "shop": 0.1}, None),
        ({"clinic": 0.9, "shop": 0.9 - MIN_LEAD / 2}, None),
        ({"clinic": 0.9}, "clinic"),
        ({"clinic": 0.9, "shop": 0.2, "help": 0.89}, None),
    ],
    ids=["one", "other", "nobody", "both", "alone", "two-of-three"],
)
def test_it_is_theirs_who_know_it_best_and_by_far(
    scores: dict[str, float], name: str | None
) -> None:
    assert who_is_meant(scores) == name


@pytest.mark.parametrize(
    ("question", "name"),
    [
        ("When the clinic opens?", "clinic"),
        ("What a plan costs dollars", "shop"),
        ("Parking is free?", "clinic"),
        ("Good morning.", None),
    ],
)
async def test_a_question_belongs_to_who_has_the_fact(question: str, name: str | None) -> None:
    assert await Directory(FACTS, Bag()).find(question) == name


async def test_who_knows_nothing_is_asked_nothing() -> None:
    assert await Directory({"clinic": []}, Bag()).find("Parking?") is None
