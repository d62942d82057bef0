"""Which words a speech recognition still owes, to those who wait for them."""

from dataclasses import dataclass

from pipecat.frames.frames import ControlFrame


@dataclass
class NothingSaidFrame(ControlFrame):
    """There were no words in what the voice activity detector took for speech.

    It comes in the place of a transcript, from a speech recognition that can tell: whoever waits
    for one need not wait on.
    """


def words_due_after(*, finalized: bool, before: int) -> int:
    """Return for how many pieces of speech a transcript is still due when one has come.

    Args:
        finalized: Whether that one was all of a piece: then others may still be on their way. Where
            it was not, it is not known which pieces it is of: none is taken to be due.
        before: How many were due.
    """
    return max(0, before - 1) if finalized else 0
