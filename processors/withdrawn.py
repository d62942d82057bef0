"""Answers ahead of the end of a turn that are withdrawn before they are begun."""

from pipecat.frames.frames import EagerEndOfTurnCancelFrame, Frame, LLMContextFrame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor


class HeedsWithdrawals(FrameProcessor):
    """Goes among the parents of a processor that answers questions ahead of the end of a turn.

    A withdrawal is a system frame, and overtakes the question that it withdraws wherever that has
    to wait: the answer would be made all the same, and heard when the turn ends. Frames are
    numbered in the order in which they are made, so a question ahead is void that is older than a
    withdrawal.
    """

    _withdrawn_until = 0

    def note_withdrawal(self, frame: Frame) -> None:
        """Take note of a frame, if it is a withdrawal."""
        if isinstance(frame, EagerEndOfTurnCancelFrame):
            self._withdrawn_until = max(self._withdrawn_until, frame.id)

    def is_withdrawn(self, question: LLMContextFrame) -> bool:
        """Return whether nobody wants an answer to `question` any more."""
        return question.speculation and question.id < self._withdrawn_until

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        """Push a frame; it may be a withdrawal of its own."""
        self.note_withdrawal(frame)
        await super().push_frame(frame, direction)
