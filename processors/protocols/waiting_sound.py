"""Sound that a client has sent, and that is not heard yet."""

from collections import deque


class WaitingSound:
    """Keeps the latest, where more comes than may wait, and all of what comes at once.

    The end of an utterance outlives its sound: without it, that one and the next would be one.

    Args:
        max_bytes: How much may wait.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._pcm = bytearray()
        # Where in the whole of the sound, gone or not, `_pcm` begins, and utterances end.
        self._begin = 0
        self._ends: deque[int] = deque()

    def __len__(self) -> int:
        return len(self._pcm)

    def put(self, pcm: bytes, *, is_final: bool) -> int:
        """Let some more wait; return how many bytes of the oldest are dropped for that.

        Args:
            pcm: At least one sample.
            is_final: Whether an utterance ends with it.
        """
        too_many = min(len(self._pcm), max(0, len(self._pcm) + len(pcm) - self._max_bytes))
        self._forget(too_many)
        self._pcm += pcm
        if is_final:
            self._ends.append(self._begin + len(self._pcm))
        while len(self._ends) > 1 and self._ends[1] <= self._begin:
            self._ends.popleft()
        return too_many

    def take(self, size: int) -> tuple[bytes, bool]:
        """Return the oldest that waits, and whether an utterance ends with it.

        Args:
            size: So many bytes, or less.
        """
        is_final = bool(self._ends) and self._ends[0] <= self._begin + size
        if is_final:
            # One whose sound is gone ends with what comes next.
            length = self._ends.popleft() - self._begin
            size = length if length > 0 else size
        pcm = bytes(self._pcm[:size])
        self._forget(size)
        return pcm, is_final

    def _forget(self, size: int) -> None:
        before = len(self._pcm)
        del self._pcm[:size]
        self._begin += before - len(self._pcm)
