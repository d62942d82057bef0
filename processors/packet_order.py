"""Puts the packets of a live stream of sound back into order, with the least wait."""

from typing import Generic, TypeVar

Packet = TypeVar("Packet")

NUMBERS = 1 << 16
"""Sequence numbers of RTP have 16 bits (RFC 3550, section 5.1)."""

MAX_WAIT_SECS = 0.01
"""How long a packet that came too early waits for those before it. Less than the 20 ms between
two packets, so that the next but one after a lost packet ends the wait; enough for packets that
overtake one another on their way."""

MAX_STEP = 100
"""A number further from the one expected is that of a stream which has started anew: 2 s of
packets, and MAX_MISORDER of RFC 3550, appendix A.1."""


class PacketOrder(Generic[Packet]):
    """The order of one stream: decides when each packet is passed on, and which are lost.

    A packet that comes in order is passed on at once. One that comes after a gap waits for those
    missing; the first packet to come later than `MAX_WAIT_SECS` after it ends the wait. It has no
    clock of its own, so that the wait ends no earlier than with the next packet.
    """

    def __init__(self) -> None:
        self._expected: int | None = None
        self._waiting: dict[int, tuple[Packet, float]] = {}

    def add(self, number: int, packet: Packet, now: float) -> list[tuple[Packet, int]]:
        """Take a packet as it comes from the network.

        Args:
            number: Its sequence number, 16 bits.
            packet: What is passed on.
            now: Seconds on a clock that does not go back.

        Returns:
            The packets whose turn it is, each with how many before it are given up as lost; empty
            if this one has to wait, comes too late or has come before.
        """
        if self._expected is None:
            self._expected = number
        ahead = self._distance(number)
        if ahead >= NUMBERS - MAX_STEP:
            return []
        if ahead > MAX_STEP:
            self._waiting.clear()
            self._expected = number
        self._waiting.setdefault(number, (packet, now))
        ready = self._take(lost=0)
        while self._waiting and now - self._oldest_arrival() >= MAX_WAIT_SECS:
            lost = min(map(self._distance, self._waiting))
            self._expected = (self._expected + lost) % NUMBERS
            ready += self._take(lost)
        return ready

    def _distance(self, number: int) -> int:
        """Return how far a number is ahead of the one expected; those behind are the furthest."""
        assert self._expected is not None
        return (number - self._expected) % NUMBERS

    def _oldest_arrival(self) -> float:
        return next(arrival for _, arrival in self._waiting.values())

    def _take(self, lost: int) -> list[tuple[Packet, int]]:
        """Take what is waiting from the number expected on, up to the next gap."""
        assert self._expected is not None
        taken = []
        while self._expected in self._waiting:
            packet, _ = self._waiting.pop(self._expected)
            taken.append((packet, lost))
            lost = 0
            self._expected = (self._expected + 1) % NUMBERS
        return taken
