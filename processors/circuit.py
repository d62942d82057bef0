"""When a service that fails is left alone, and when it is tried again. The clock is passed in."""

from dataclasses import dataclass
from enum import Enum


class CircuitState(Enum):
    """What is done with a service."""

    CLOSED = "closed"
    """It is given work."""
    OPEN = "open"
    """It has failed too often: it is given none until it has rested."""
    HALF_OPEN = "half_open"
    """It has rested, and one try is under way; what comes of it decides."""


@dataclass(frozen=True)
class CircuitRecord:
    """What is known of a service, for calls of other processes on the same machine.

    Attributes:
        failures: How often it has failed in a row.
        resting_since: When it was begun to be left alone, by the clock of `Circuit`; None if it is
            given work.
    """

    failures: int = 0
    resting_since: float | None = None


class Circuit:
    """Keeps work away from a service that fails; all sessions of a process share it.

    Whoever was admitted tells what came of it, by `succeeded`, `failed` or `given_up`.

    Args:
        failures: After so many in a row the service is left alone.
        rest_secs: For how long, and how long a try may take to end that.
    """

    def __init__(self, *, failures: int, rest_secs: float) -> None:
        self._max_failures = failures
        self._rest_secs = rest_secs
        self._failures = 0
        self._resting_since: float | None = None
        self._trying_since: float | None = None

    @property
    def state(self) -> CircuitState:
        """What is done with the service."""
        if self._resting_since is None:
            return CircuitState.CLOSED
        return CircuitState.OPEN if self._trying_since is None else CircuitState.HALF_OPEN

    @property
    def record(self) -> CircuitRecord:
        """What is known of the service."""
        return CircuitRecord(self._failures, self._resting_since)

    def recall(self, record: CircuitRecord) -> None:
        """Go by what calls of other processes have found."""
        self._failures = record.failures
        self._resting_since = record.resting_since
        self._trying_since = None

    def admit(self, now: float) -> bool:
        """Return whether the service may be given work; after its rest, one try is let through.

        A try that is told nothing of makes room for another after `rest_secs`.

        Args:
            now: In seconds, by any clock that does not go back.
        """
        if self._resting_since is None:
            return True
        since = self._resting_since if self._trying_since is None else self._trying_since
        if now - since < self._rest_secs:
            return False
        self._trying_since = now
        return True

    def succeeded(self) -> None:
        """Take that the service has done its work."""
        self._failures = 0
        self._resting_since = self._trying_since = None

    def failed(self, now: float, *, lasting: bool = False) -> None:
        """Take that the service has not done its work.

        Args:
            now: See `admit`.
            lasting: Whether the next try is sure to fail as well, as with a key that is refused.
        """
        self._failures += 1
        if lasting or self._failures >= self._max_failures or self._resting_since is not None:
            self._resting_since = now
            self._trying_since = None

    def given_up(self) -> None:
        """Take that nobody waited for the end of it: after a rest, another may try."""
        self._trying_since = None
