"""Who may start a session now: by counts, by rates, and by how well the service keeps up."""

import math
import time
from collections import defaultdict, deque
from collections.abc import Callable
from statistics import mean, median

from bots.config import LimitConfig
from bots.local_models import cpu_threads
from bots.settings import Settings
from runner.errors import Overloaded, ServiceDraining, SessionLimitExceeded, StartRateExceeded

LINES = 10
"""Calls at once where other machines do the work."""

LAG_SECS = 10.0
WAIT_SECS = 60.0
BUSY_SECS = 10.0
"""How long a lag of the event loop, a wait for an answer, and how busy the machine was, tell of the
service's load."""

ENOUGH_LAGS = 20
ENOUGH_WAITS = 3
ENOUGH_LOADS = 5
"""Fewer may have been long for reasons of their own."""

RATE_SECS = 60.0


class Admission:
    """Decides about starts, and forgets what is over.

    Args:
        limits: The bounds.
        lines: How many sessions there may be at once.
        clock: Seconds, on any clock that does not go back.

    Attributes:
        limits: The same.
        lines: The same.
        load_threshold: Share of the machine's cores that may be busy for it to be ready.
        is_draining: Whether no more sessions are started, because the service stops.
    """

    def __init__(
        self, limits: LimitConfig, lines: int, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.limits = limits
        self.lines = lines
        self.load_threshold = 1.0
        self.is_draining = False
        self._clock = clock
        self._starts: defaultdict[str, deque[float]] = defaultdict(deque)
        self._lags: deque[tuple[float, float]] = deque()
        self._waits: deque[tuple[float, float]] = deque()
        self._loads: deque[tuple[float, float]] = deque()

    def lagged(self, secs: float) -> None:
        """Take how late the event loop was; to be told again and again."""
        self._lags.append((self._clock(), secs))
        self._forget(self._lags, LAG_SECS)

    def answered(self, wait_secs: float) -> None:
        """Take how long a user waited for an answer."""
        self._waits.append((self._clock(), wait_secs))
        self._forget(self._waits, WAIT_SECS)

    def loaded(self, share: float) -> None:
        """Take which share of the machine's cores was busy; to be told again and again."""
        self._loads.append((self._clock(), share))
        self._forget(self._loads, BUSY_SECS)

    def is_full(self, sessions: int) -> bool:
        """Say whether so many sessions have all lines."""
        return sessions >= self.lines

    def check(self, sessions: int) -> None:
        """Let a session start beside so many.

        Raises:
            ServiceDraining: If the service is about to stop.
            SessionLimitExceeded: If all lines are busy: whoever comes then is told that, and not
                that calls are slow as well.
            Overloaded: If calls are slow.
        """
        self.check_not_draining()
        self.check_line(sessions)
        self.check_load(sessions)

    def check_not_draining(self) -> None:
        """Take clients.

        Raises:
            ServiceDraining: If the service is about to stop.
        """
        if self.is_draining:
            raise ServiceDraining("the service is about to stop: please try again in a moment")

    def check_line(self, sessions: int) -> None:
        """Have a line beside so many sessions.

        Raises:
            SessionLimitExceeded: If all are busy.
        """
        if self.is_full(sessions):
            raise SessionLimitExceeded("all lines are busy: please try again in a moment")

    def check_load(self, sessions: int) -> None:
        """Let a session start beside so many, if these are served in time.

        The first is always taken: with nobody there, what was measured is of the past.

        Raises:
            Overloaded: If they are not.
        """
        self._forget(self._lags, LAG_SECS)
        self._forget(self._waits, WAIT_SECS)
        lags = [secs for _, secs in self._lags]
        waits = [secs for _, secs in self._waits]
        max_lag, max_wait = self.limits.max_lag, self.limits.max_wait
        is_late = max_lag and len(lags) >= ENOUGH_LAGS and mean(lags) > max_lag
        is_slow = max_wait and len(waits) >= ENOUGH_WAITS and median(waits) > max_wait
        if sessions and (is_late or is_slow):
            raise Overloaded("calls are slow at the moment: please try again in a moment")

    def check_machine(self, sessions: int) -> None:
        """See whether more sessions should be sent here beside so many, rather than elsewhere.

        Raises:
            Overloaded: If the machine is busy.
        """
        self._forget(self._loads, BUSY_SECS)
        loads = [share for _, share in self._loads]
        is_busy = len(loads) >= ENOUGH_LOADS and mean(loads) > self.load_threshold
        if sessions and is_busy:
            raise Overloaded("this machine is busy: please try another, or again in a moment")

    def check_share(self, sessions: int) -> None:
        """Let a user have a line beside so many of theirs.

        Raises:
            SessionLimitExceeded: If they have as many as they may.
        """
        most = self.limits.sessions_per_user
        if most and sessions >= most:
            raise SessionLimitExceeded(f"you have {most} sessions: end one of them first")

    def check_user(self, user: str, sessions: int) -> None:
        """Let a user start a session beside so many of theirs, and count it as started.

        Raises:
            SessionLimitExceeded: If they have as many as they may.
            StartRateExceeded: If they have started as many within a minute as they may.
        """
        self.check_share(sessions)
        rate = self.limits.starts_per_minute
        if not rate:
            return
        now = self._clock()
        over = [name for name, starts in self._starts.items() if starts[-1] <= now - RATE_SECS]
        for name in over:
            del self._starts[name]
        starts = self._starts[user]
        while starts and starts[0] <= now - RATE_SECS:
            starts.popleft()
        if len(starts) >= rate:
            raise StartRateExceeded(
                f"you have started {rate} sessions within a minute: please wait",
                retry_after_secs=math.ceil(starts[0] + RATE_SECS - now),
            )
        starts.append(now)

    def _forget(self, samples: deque[tuple[float, float]], age_secs: float) -> None:
        while samples and samples[0][0] < self._clock() - age_secs:
            samples.popleft()


def lines(settings: Settings) -> int:
    """Return how many sessions there may be at once: as many as are answered in time.

    With offline models on two cores two calls wait 1.5 times as long as one (docs/latency.md), and
    a third would make all of them wait.
    """
    if settings.voice.realtime.limits.sessions:
        return settings.voice.realtime.limits.sessions
    providers = [settings.service(kind)[0] for kind in settings.kinds if kind != "tts"]
    return cpu_threads() if "local" in providers else LINES
