from datetime import UTC, datetime, timedelta

from processors.turn_order import TRANSCRIPT_WAIT, TurnOrder

START = datetime(2026, 1, 1, tzinfo=UTC)


def at(secs: float) -> datetime:
    return START + timedelta(seconds=secs)


class TestTurnOrder:
    def test_an_answer_waits_for_what_it_answers(self) -> None:
        order: TurnOrder[str] = TurnOrder()
        order.begin(at(0))
        order.end(at(1))
        order.add("the answer", at(2))
        assert order.take(at(3)) == []
        order.said("the question", at(4))
        assert order.take(at(4)) == ["the question", "the answer"]
        assert not order.is_waiting

    def test_what_was_spoken_over_goes_before_what_it_was_spoken_over_with(self) -> None:
        order: TurnOrder[str] = TurnOrder()
        order.begin(at(5))
        order.add("the answer", at(2))
        assert order.take(at(5)) == ["the answer"]
        order.said("the interruption", at(6))
        assert order.take(at(6)) == ["the interruption"]

    def test_transcripts_belong_to_turns_in_their_order(self) -> None:
        order: TurnOrder[str] = TurnOrder()
        order.begin(at(0))
        order.end(at(1))
        order.begin(at(2))
        assert order.times(at(3)) == (at(0), at(1))
        order.said("first", at(3))
        assert order.times(at(4)) == (at(2), at(4))
        order.said("second", at(4))
        assert order.take(at(4)) == ["first", "second"]

    def test_a_transcript_that_does_not_come_is_not_waited_for_for_ever(self) -> None:
        order: TurnOrder[str] = TurnOrder()
        order.begin(at(0))
        order.end(at(1))
        order.add("the answer", at(2))
        late = at(1) + TRANSCRIPT_WAIT
        assert order.take(late) == []
        assert order.take(late + timedelta(seconds=0.1)) == ["the answer"]

    def test_who_speaks_for_long_is_waited_for(self) -> None:
        order: TurnOrder[str] = TurnOrder()
        order.begin(at(0))
        order.add("a tool", at(1))
        assert order.take(at(60)) == []
        assert order.is_waiting

    def test_what_nobody_waited_for_is_taken_at_once(self) -> None:
        order: TurnOrder[str] = TurnOrder()
        order.said("typed", at(0))
        assert order.take(at(0)) == ["typed"]

    def test_at_the_end_everything_comes_that_there_is(self) -> None:
        order: TurnOrder[str] = TurnOrder()
        order.begin(at(0))
        order.add("the answer", at(2))
        assert order.take_all() == ["the answer"]
        assert not order.is_waiting
