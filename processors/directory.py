"""Whose business a question is: found by what each one knows, without a language model."""

import asyncio
from collections.abc import Mapping, Sequence

from processors.facts import Fact
from processors.knowledge import Encoder, Knowledge

MIN_SCORE = 0.6
"""A question is nobody's business whose best fact matches less well; see `Knowledge.scores`."""

MIN_LEAD = 0.1
"""Nor one that is somebody else's as well: whose best fact matches better by less than this."""


def who_is_meant(scores: Mapping[str, float]) -> str | None:
    """Return whose business a question is; None if that is not clear.

    Args:
        scores: How well it matches the best fact of each.
    """
    *_, (second, _), (best, name) = [(-1.0, ""), *sorted((it, name) for name, it in scores.items())]
    return name if best >= MIN_SCORE and best - second >= MIN_LEAD else None


class Directory:
    """Tells whose business a question is.

    Args:
        facts: What each one knows, by name.
        encoder: Finds facts by their meaning.
    """

    def __init__(self, facts: Mapping[str, Sequence[Fact]], encoder: Encoder) -> None:
        self._names = [name for name, some in facts.items() for _ in some]
        self._knowledge = Knowledge([it for some in facts.values() for it in some], encoder)

    async def find(self, question: str) -> str | None:
        """Return whose business it is; None if that is not clear."""
        if not self._names:
            return None
        # It computes for milliseconds: not on the event loop.
        scores = await asyncio.to_thread(self._knowledge.scores, question)
        best = dict.fromkeys(self._names, -1.0)
        for name, score in zip(self._names, scores, strict=True):
            best[name] = max(best[name], float(score))
        return who_is_meant(best)
