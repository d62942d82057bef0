"""A pipe between two threads that work in turns."""

from io import BytesIO
from queue import Empty, SimpleQueue

STUCK_SECS = 10.0
"""A turn takes milliseconds, and seconds for minutes of sound."""


class Pipe:
    """Where one thread reads what another one writes, while that one waits.

    Who writes goes on when all of it has been used, and the reader wants more. So the reader can
    be a library that pulls, and nothing is late, nor piles up.

    Args:
        stops_once: Whether the reader takes for the end, once, that there is nothing more yet.
        padding: What is read behind the end, before nothing is.
        stuck_secs: When a reader that neither reads on nor leaves is given up.

    Attributes:
        written_bytes: How much was written.
        is_over: Whether the reader has come to the end of what was written.
        is_left: Whether there is no reader any more.
    """

    def __init__(
        self, *, stops_once: bool = False, padding: bytes = b"", stuck_secs: float = STUCK_SECS
    ) -> None:
        self.written_bytes = 0
        self.is_over = False
        self.is_left = False
        self._stops = stops_once
        self._padding = padding
        self._stuck_secs = stuck_secs
        self._pieces: SimpleQueue[bytes | None] = SimpleQueue()
        self._turns: SimpleQueue[None] = SimpleQueue()
        self._piece = BytesIO()

    def write(self, piece: bytes | None) -> None:
        """Write something, or the end if None, and wait until it is used.

        Raises:
            TimeoutError: If the reader is stuck.
        """
        if self.is_left:
            return
        self.written_bytes += len(piece or b"")
        self._pieces.put(piece)
        try:
            self._turns.get(timeout=self._stuck_secs)
        except Empty:
            self.is_left = True
            raise TimeoutError from None

    def open(self) -> None:
        """Wait for what is written first; to be called by the reader."""
        self._next()

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes; none only at the end."""
        while not (data := self._piece.read(size)) and not self.is_over:
            if self._stops:
                self._stops = False
                break
            self._turns.put(None)
            self._next()
        return data

    def leave(self) -> None:
        """Read no more."""
        self.is_left = True
        self._turns.put(None)

    def _next(self) -> None:
        piece = self._pieces.get()
        self.is_over = piece is None
        self._piece = BytesIO(self._padding if piece is None else piece)
