"""Answers made ahead of the end of a turn, in virtual time."""

import asyncio

import pytest
from pipecat.frames.frames import (
    EagerEndOfTurnCancelFrame,
    InterruptionFrame,
)
from pipecat.processors.frame_processor import FrameDirection

from tests.caller import HOLDS, READING_SECS, VAD_SECS, Caller, play, said_by


class TestAnAnswerMadeAhead:
    # The LLM takes 0.3 s, and the turn ends after a silence of 0.4. The words come after 0.15; a
    # judgement, for which an answer that is paid for waits, 0.1 later.
    @pytest.mark.parametrize(("ahead_from", "late"), [(0.0, 0.05), (0.5, 0.15)])
    def test_is_heard_soon_after_the_turn_ends_and_asked_for_once(
        self, ahead_from: float, late: float
    ) -> None:
        waits: list[float] = []

        async def script(caller: Caller) -> None:
            await caller.say("When do you open?")
            await caller.settle()
            waits.append(caller.spoken.answers[0][0] - caller.spoken.ends[0])

        caller, context = play(script, ahead_from=ahead_from)
        assert waits == [pytest.approx(late, abs=0.02)]
        assert caller.llm.asked == ["When do you open?"]
        assert said_by(context, "user") == ["When do you open?"]
        assert said_by(context, "assistant") == ["You said: When do you open?"]

    def test_is_never_heard_if_the_user_goes_on(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.say("I would like an appointment.")
            await asyncio.sleep(0.1)
            await caller.say("On Tuesday.")

        caller, context = play(script)
        [(_, answer)] = caller.spoken.answers
        assert answer == "You said: I would like an appointment. On Tuesday."
        assert said_by(context, "user") == ["I would like an appointment. On Tuesday."]

    def test_is_kept_if_only_the_spelling_of_the_transcript_changes(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.start()
            await caller.eager("when do you open")
            await caller.stop()
            await caller.final("When do you open?")

        caller, context = play(script)
        assert caller.llm.asked == ["when do you open"]
        assert said_by(context, "user") == ["When do you open?"]

    def test_is_made_anew_if_the_words_change(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.start()
            await caller.eager("When do you")
            await caller.stop()
            await caller.final("When do you open?")

        caller, _ = play(script)
        assert [text for _, text in caller.spoken.answers] == ["You said: When do you open?"]

    def test_is_made_anew_after_a_noise(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.say("When do you open?")
            await caller.start()
            await caller.stop()

        caller, _ = play(script)
        assert caller.llm.asked == ["When do you open?"] * 2
        assert len(caller.spoken.answers) == 1

    def test_is_withdrawn_when_the_speech_recognition_takes_it_back(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.start()
            await caller.eager("I would like")
            await caller.send(EagerEndOfTurnCancelFrame())
            await caller.stop()
            await caller.final("I would like a blood test.")

        caller, _ = play(script)
        assert [text for _, text in caller.spoken.answers] == [
            "You said: I would like a blood test."
        ]

    def test_is_made_again_when_the_speech_recognition_takes_it_back_and_proposes_the_same(
        self,
    ) -> None:
        async def script(caller: Caller) -> None:
            await caller.start()
            await caller.eager("When do you open?")
            await caller.send(EagerEndOfTurnCancelFrame())
            await caller.eager("When do you open?")
            await caller.stop()
            await caller.final("When do you open?")

        caller, _ = play(script)
        assert caller.llm.asked == ["When do you open?"] * 2
        assert len(caller.spoken.answers) == 1

    def test_is_not_made_again_for_the_same_words_when_the_llm_takes_it_back(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.start()
            await caller.eager("Book me in.")
            await caller.send(EagerEndOfTurnCancelFrame())
            await caller.stop()
            await caller.final("Book me in.")
            await asyncio.sleep(HOLDS.sure - VAD_SECS - 0.05)
            asked.append(len(caller.llm.asked))

        asked: list[int] = []
        caller, _ = play(script)
        assert asked == [1]
        assert len(caller.spoken.answers) == 1

    def test_is_made_again_when_the_llm_takes_it_back_as_the_turn_ends(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.say("Book me in.")
            await caller.until_end()
            await caller.llm.broadcast_frame(EagerEndOfTurnCancelFrame)

        caller, context = play(script)
        assert len(caller.llm.asked) == 2
        assert said_by(context, "user") == ["Book me in."]

    def test_is_kept_when_the_speech_recognition_takes_it_back_as_the_turn_ends(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.say("Book me in.")
            await caller.until_end()
            await caller.send(EagerEndOfTurnCancelFrame())

        caller, _ = play(script)
        assert caller.llm.asked == ["Book me in."]
        assert len(caller.spoken.answers) == 1

    @pytest.mark.parametrize("lookup_secs", [0.0, 0.1, 0.3])
    def test_is_never_begun_if_its_withdrawal_overtakes_the_question(
        self, lookup_secs: float
    ) -> None:
        async def script(caller: Caller) -> None:
            await caller.start()
            await caller.eager("When do you")
            await caller.stop()
            await caller.final("When do you open?")

        caller, context = play(script, lookup_secs=lambda: lookup_secs)
        assert [text for _, text in caller.spoken.answers] == ["You said: When do you open?"]
        assert said_by(context, "assistant") == ["You said: When do you open?"]
        if lookup_secs > VAD_SECS:
            assert caller.llm.asked == ["When do you open?"]

    def test_is_kept_if_what_the_llm_takes_back_is_an_older_one(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.start()
            older = EagerEndOfTurnCancelFrame()
            await caller.stop()
            await caller.final("When do you open?")
            await caller.llm.push_frame(older, FrameDirection.UPSTREAM)

        caller, _ = play(script)
        assert caller.llm.asked == ["When do you open?"]
        assert len(caller.spoken.answers) == 1

    def test_is_made_anew_if_the_client_writes_something_meanwhile(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.start()
            await caller.stop()
            await caller.final("When do you open?")
            await caller.send(InterruptionFrame())

        caller, _ = play(script)
        assert caller.llm.asked == ["When do you open?"] * 2
        assert len(caller.spoken.answers) == 1

    def test_is_not_made_for_what_was_coughed_over_the_bot(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.eager("mhm")

        caller, _ = play(script)
        assert not caller.llm.asked


class TestAnAnswerThatIsPaidFor:
    def test_is_not_asked_for_where_the_user_likely_goes_on(self) -> None:
        async def script(caller: Caller) -> None:
            caller.judge.probability = 0.1
            await caller.say("I would like to")
            await asyncio.sleep(HOLDS.cut - VAD_SECS - 0.1)
            caller.judge.probability = 0.98
            await caller.say("see a doctor.")

        caller, context = play(script, ahead_from=0.5)
        assert caller.llm.asked == ["I would like to see a doctor."]
        assert said_by(context, "user") == ["I would like to see a doctor."]

    def test_is_asked_for_at_the_end_if_it_comes_after_all(self) -> None:
        async def script(caller: Caller) -> None:
            caller.judge.probability = 0.1
            await caller.say("I would like to")

        caller, _ = play(script, ahead_from=0.5)
        assert caller.llm.asked == ["I would like to"]
        assert len(caller.spoken.answers) == 1


class TestWordsThatAreStillBeingSaid:
    def test_are_read_along_and_those_in_front_of_them(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.start()
            await caller.interim("I would")
            await asyncio.sleep(READING_SECS + 0.1)
            await caller.stop()
            await caller.final("I would like an appointment.")
            await caller.start()
            await caller.interim("on Tues")
            await asyncio.sleep(READING_SECS + 0.1)

        caller, _ = play(script)
        assert caller.reader.read == ["I would", "I would like an appointment. on Tues"]

    def test_are_left_out_while_others_are_read(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.start()
            await caller.interim("I would")
            await caller.interim("I would like")
            await asyncio.sleep(READING_SECS + 0.1)

        caller, _ = play(script)
        assert caller.reader.begun == ["I would"]

    def test_are_not_read_further_once_it_is_known_how_they_go_on(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.start()
            await caller.interim("When do")
            await caller.eager("When do you open?")
            await caller.interim("When do you open?")
            await asyncio.sleep(READING_SECS + 0.1)

        caller, _ = play(script)
        assert caller.reader.begun == ["When do"]
        assert caller.reader.read == []
