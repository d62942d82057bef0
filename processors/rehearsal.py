"""A reply that is held until its turn is confirmed is begun in secret: its first clause is made."""

from collections.abc import Callable

from pipecat.frames.frames import (
    Frame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
)

from processors.first_clause import FirstClauseAggregator


class Rehearsal:
    """Follows a held reply, and has its first clause prepared as soon as it is written.

    Args:
        prepare: Makes the sound of a clause, to be used when the same clause is to be spoken.
    """

    def __init__(self, prepare: Callable[[str], None]) -> None:
        self._prepare = prepare
        self._aggregator = FirstClauseAggregator()
        self._over = False

    async def follow(self, frame: Frame) -> None:
        """Take the next frame of the reply."""
        match frame:
            case LLMFullResponseStartFrame():
                await self._aggregator.reset()
                self._over = False
            case LLMTextFrame() if not self._over:
                async for clause in self._aggregator.aggregate(frame.text):
                    self._begin(clause.text)
                    break
            case LLMFullResponseEndFrame() if not self._over:
                if rest := await self._aggregator.flush():
                    self._begin(rest.text)

    def _begin(self, clause: str) -> None:
        self._over = True
        self._prepare(clause)
