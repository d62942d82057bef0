"""A reply that is held until its turn is confirmed is begun in secret: its first clause is made."""

from collections.abc import Callable

from pipecat.frames.frames import (
    Frame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
)

from processors.first_clause import FirstClauseAggregator, first_clause_of


class Rehearsal:
    """Follows a held reply, and has its first clause prepared as soon as it is written.

    Args:
        prepare: Makes the sound of a clause, to be used when the same clause is to be spoken.
    """

    def __init__(self, prepare: Callable[[str], None]) -> None:
        self._prepare = prepare
        self._aggregator = FirstClauseAggregator()
        self._expected = ""
        self._over = False

    async def expect(self, reply: str) -> None:
        """Have the first clause of the next reply prepared as soon as it begins like `reply`.

        No sooner: until then the language model reads, and needs the processor for itself.
        """
        self._expected = await first_clause_of(reply)

    async def follow(self, frame: Frame) -> None:
        """Take the next frame of the reply."""
        match frame:
            case LLMFullResponseStartFrame():
                await self._aggregator.reset()
                self._over = False
            case LLMTextFrame() if not self._over:
                expected, self._expected = self._expected, ""
                if frame.text.strip() and expected.startswith(frame.text.strip()):
                    self._prepare(expected)
                async for clause in self._aggregator.aggregate(frame.text):
                    self._begin(clause.text)
                    break
            case LLMFullResponseEndFrame() if not self._over:
                if rest := await self._aggregator.flush():
                    self._begin(rest.text)

    def _begin(self, clause: str) -> None:
        self._over = True
        self._prepare(clause)
