"""Packets that come as the network wants, in virtual time."""

import random

import pytest

from processors.packet_order import MAX_STEP, MAX_WAIT_SECS, NUMBERS, PacketOrder

SPACING_SECS = 0.02


class Line:
    """A line on which packets named by their numbers arrive one by one, 20 ms apart."""

    def __init__(self) -> None:
        self._order: PacketOrder[int] = PacketOrder()
        self._now = 1000.0

    def arrive(self, *numbers: int, after: float = SPACING_SECS) -> list[int | None]:
        """Return what is passed on, None for each packet that is given up."""
        heard: list[int | None] = []
        for number in numbers:
            self._now += after
            for packet, lost in self._order.add(number, number, self._now):
                heard += [None] * lost
                heard.append(packet)
        return heard


@pytest.fixture
def line() -> Line:
    line = Line()
    assert line.arrive(9) == [9]
    return line


def test_a_packet_in_order_does_not_wait(line: Line) -> None:
    for number in range(10, 30):
        assert line.arrive(number) == [number]


def test_a_packet_that_was_overtaken_is_waited_for(line: Line) -> None:
    assert line.arrive(11) == []
    assert line.arrive(10, after=MAX_WAIT_SECS / 2) == [10, 11]
    assert line.arrive(12) == [12]


def test_packets_that_come_together_in_any_order_are_put_right(line: Line) -> None:
    assert line.arrive(13, 11, 12, after=0.001) == []
    assert line.arrive(10, after=0.001) == [10, 11, 12, 13]


def test_a_late_packet_is_still_taken_while_nothing_newer_has_come(line: Line) -> None:
    assert line.arrive(11) == []
    assert line.arrive(10, after=SPACING_SECS * 0.9) == [10, 11]


def test_a_lost_packet_is_given_up_with_the_next_but_one(line: Line) -> None:
    assert line.arrive(11) == []
    assert line.arrive(12) == [None, 11, 12]
    assert line.arrive(13) == [13]


def test_three_packets_lost_in_a_row_hold_up_no_longer_than_one(line: Line) -> None:
    assert line.arrive(13) == []
    assert line.arrive(14) == [None, None, None, 13, 14]


def test_a_second_gap_is_waited_for_on_its_own(line: Line) -> None:
    assert line.arrive(11) == []
    assert line.arrive(13) == [None, 11], "13 has not waited yet"
    assert line.arrive(12, after=MAX_WAIT_SECS / 2) == [12, 13]


def test_a_packet_that_was_given_up_is_not_wanted_any_more(line: Line) -> None:
    line.arrive(11, 12)
    assert line.arrive(10) == []
    assert line.arrive(13) == [13]


def test_a_packet_is_heard_once(line: Line) -> None:
    assert line.arrive(9, 10, 10, 12, 12) == [10, None, 12]
    assert line.arrive(12, 11, 13) == [13]


def test_numbers_start_again_at_0() -> None:
    line = Line()
    last = NUMBERS - 1
    assert line.arrive(last - 1, last, 0, 1) == [last - 1, last, 0, 1]

    line = Line()
    assert line.arrive(last - 1, 0) == [last - 1]
    assert line.arrive(last, after=0.001) == [last, 0]
    assert line.arrive(last, 1) == [1]


@pytest.mark.parametrize("first", [10 + MAX_STEP + 1, 10 - MAX_STEP - 1, 40_000])
def test_a_stream_that_starts_anew_is_heard_at_once(line: Line, first: int) -> None:
    line.arrive(11)
    first %= NUMBERS
    assert line.arrive(first, first + 1) == [first, first + 1]


def test_a_pause_of_nearly_two_seconds_is_made_up_for(line: Line) -> None:
    lost = MAX_STEP - 1
    assert line.arrive(10 + lost) == []
    assert line.arrive(11 + lost) == [None] * lost + [10 + lost, 11 + lost]


@pytest.mark.parametrize("seed", range(20))
def test_nothing_is_passed_on_out_of_order_or_kept_back(seed: int) -> None:
    chance = random.Random(seed)
    sent = [(i * SPACING_SECS + chance.random() * 0.06, i % NUMBERS) for i in range(65_000, 67_000)]
    arrived = sorted(packet for packet in sent if chance.random() > 0.05)
    arrived += [(arrived[-1][0] + 1.0, 67_000 % NUMBERS)]
    order: PacketOrder[int] = PacketOrder()
    heard: list[int | None] = []
    for now, number in arrived:
        for packet, lost in order.add(number, number, now):
            heard += [None] * lost
            heard.append(packet)
    first = heard[0]
    assert first is not None
    assert all(packet in (None, (first + i) % NUMBERS) for i, packet in enumerate(heard)), (
        "each in its own place"
    )
    assert (67_001 - first - len(heard)) % NUMBERS <= 3, "no more than the last ones wait"
    assert heard.count(None) < 0.25 * len(heard)
