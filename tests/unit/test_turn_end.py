"""Ends of turns, in virtual time, counted from the last sound of the user."""

import asyncio
import random
import time

import pytest
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    EagerEndOfTurnCancelFrame,
    VADUserStoppedSpeakingFrame,
)

from processors.turn_end import LATE_SOUND_SECS, SECOND_THOUGHT_SECS, STIRRING_SECS
from processors.words_due import NothingSaidFrame
from tests.caller import HOLDS, MIN_SPEECH_SECS, TOOL_WORD, VAD_SECS, Caller, play, said_by


class TestTheEndOfATurn:
    @pytest.mark.parametrize(
        ("text", "probability", "hold"),
        [
            ("When do you open?", 0.98, HOLDS.sure),
            ("When do you open?", 0.1, HOLDS.likely),
            ("I would like to", 0.98, HOLDS.likely),
            ("I would like to", 0.1, HOLDS.cut),
        ],
    )
    def test_comes_after_a_silence_that_is_as_long_as_it_is_doubtful(
        self, text: str, probability: float, hold: float
    ) -> None:
        silences: list[float] = []

        async def script(caller: Caller) -> None:
            caller.judge.probability = probability
            silent_since = await caller.say(text)
            await caller.settle()
            silences.append(caller.spoken.ends[0] - silent_since)

        play(script)
        assert silences == [pytest.approx(hold, abs=0.02)]

    @pytest.mark.parametrize(
        ("trails", "hold"),
        [(0.0001, HOLDS.sure), (0.005, HOLDS.likely), (0.3, HOLDS.cut)],
    )
    def test_goes_by_what_the_speech_recognition_says_of_it(
        self, trails: float, hold: float
    ) -> None:
        silences: list[float] = []

        async def script(caller: Caller) -> None:
            caller.judge.probability = 0.5
            silent_since = await caller.say("When do you open", trails)
            await caller.settle()
            silences.append(caller.spoken.ends[0] - silent_since)

        play(script)
        assert silences == [pytest.approx(hold, abs=0.02)]

    def test_goes_by_how_the_silence_sounds_at_its_beginning(self) -> None:
        silences: list[float] = []

        async def script(caller: Caller) -> None:
            await caller.speak()
            silent_since = asyncio.get_running_loop().time()
            caller.judge.probability = 0.1
            await caller.hear(0.15, loud=False)
            caller.judge.probability = 0.98
            await caller.eager("When do you open?")
            await caller.hear(0.05, loud=False)
            await caller.send(VADUserStoppedSpeakingFrame(stop_secs=VAD_SECS))
            await caller.final("When do you open?")
            await caller.settle()
            silences.append(caller.spoken.ends[0] - silent_since)

        play(script)
        assert silences == [pytest.approx(HOLDS.likely, abs=0.03)]

    @pytest.mark.parametrize(
        ("last_sound_secs", "noticed_secs", "hold"),
        [
            (0.0, VAD_SECS + 0.1, HOLDS.likely),
            (0.0, VAD_SECS + 0.5, HOLDS.likely + 0.35),
            (0.1, VAD_SECS - 0.1, HOLDS.likely),
        ],
        ids=["noticed late", "noticed so late that it cannot be known", "no voice, but a sound"],
    )
    def test_is_counted_from_the_last_sound(
        self, last_sound_secs: float, noticed_secs: float, hold: float
    ) -> None:
        silences: list[float] = []

        async def script(caller: Caller) -> None:
            caller.judge.probability = 0.1
            await caller.speak()
            await caller.hear(last_sound_secs, loud=True)
            silent_since = asyncio.get_running_loop().time()
            await caller.hear(noticed_secs, loud=False)
            await caller.send(
                VADUserStoppedSpeakingFrame(stop_secs=VAD_SECS, timestamp=time.time())
            )
            await caller.final("When do you open?")
            await caller.settle()
            silences.append(caller.spoken.ends[0] - silent_since)

        play(script)
        assert silences == [pytest.approx(hold, abs=0.03)]

    @pytest.mark.parametrize(
        ("early_secs", "loud_secs", "quiet_secs"), [(0.06, 0.1, 0.0), (0.02, 0.02, 0.06)]
    )
    def test_does_not_come_while_the_user_begins_to_speak_again_if_softly(
        self, early_secs: float, loud_secs: float, quiet_secs: float
    ) -> None:
        ends: list[int] = []

        async def script(caller: Caller) -> None:
            await caller.ask("When do you open?")
            await caller.hear(HOLDS.sure - VAD_SECS - early_secs, loud=False)
            await caller.hear(loud_secs, loud=True)
            await caller.hear(quiet_secs, loud=False)
            ends.append(len(caller.spoken.ends))
            await caller.start()
            await caller.hear(0.5, loud=True)
            ends.append(len(caller.spoken.ends))
            await caller.hear(0.2, loud=False)
            await caller.stop()
            await caller.final("On Sunday?")
            await caller.settle()

        _, context = play(script)
        assert ends == [0, 0]
        assert said_by(context, "user") == ["When do you open? On Sunday?"]

    @pytest.mark.parametrize(
        ("late_secs", "silence"), [(0.1, HOLDS.sure + 0.1), (1.0, HOLDS.sure + LATE_SOUND_SECS)]
    )
    def test_waits_for_sound_that_is_late_but_not_for_ever(
        self, late_secs: float, silence: float
    ) -> None:
        silences: list[float] = []

        async def script(caller: Caller) -> None:
            await caller.ask("When do you open?")
            silent_since = asyncio.get_running_loop().time() - VAD_SECS
            await asyncio.sleep(late_secs)
            await caller.settle()
            silences.append(caller.spoken.ends[0] - silent_since)

        play(script)
        assert silences == [pytest.approx(silence, abs=0.03)]

    def test_is_not_put_off_for_long_by_sounds_that_are_no_speech(self) -> None:
        silences: list[float] = []

        async def script(caller: Caller) -> None:
            await caller.ask("When do you open?")
            silent_since = asyncio.get_running_loop().time() - VAD_SECS
            await caller.hear(3.0, loud=True)
            silences.append(caller.spoken.ends[0] - silent_since)

        play(script)
        assert silences == [pytest.approx(HOLDS.sure + STIRRING_SECS, abs=0.03)]

    @pytest.mark.parametrize(
        ("later_secs", "sound_secs", "quiet_secs", "told"),
        [
            (0.0, 0.2, 0.0, ["pause"]),
            (0.0, 0.5, 0.0, ["pause", "resume"]),
            (0.0, 0.02, 0.1, ["pause", "resume"]),
            (SECOND_THOUGHT_SECS, 0.2, 0.0, []),
        ],
        ids=["it may be speech", "a noise", "a click", "later"],
    )
    def test_is_thought_again_about_where_there_is_sound_at_once(
        self, later_secs: float, sound_secs: float, quiet_secs: float, told: list[str]
    ) -> None:
        heard: list[str] = []

        async def script(caller: Caller) -> None:
            await caller.ask("When do you open?")
            while not caller.spoken.ends:
                await caller.hear(0.02, loud=False)
            await caller.hear(later_secs, loud=False)
            caller.tongue.told.clear()
            await caller.hear(sound_secs, loud=True)
            await caller.hear(quiet_secs, loud=False)
            heard.extend(caller.tongue.told)

        play(script)
        assert heard == told

    @pytest.mark.parametrize(
        ("text", "hold"), [("When do you open?", 0.6), ("I would like to", 0.7)]
    )
    def test_comes_neither_before_the_least_nor_after_the_longest_silence(
        self, text: str, hold: float
    ) -> None:
        silences: list[float] = []

        async def script(caller: Caller) -> None:
            silent_since = await caller.say(text)
            await caller.settle()
            silences.append(caller.spoken.ends[0] - silent_since)

        play(script, min_delay=0.6, max_delay=0.7)
        assert silences == [pytest.approx(hold, abs=0.02)]

    def test_without_words_there_is_none_and_nothing_is_answered(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.start()
            await caller.stop()

        caller, _ = play(script)
        assert not caller.llm.asked

    def test_words_that_come_late_end_the_turn_at_once(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.start()
            await caller.stop()
            await asyncio.sleep(2.0)
            await caller.final("When do you open?", finalized=False)
            await asyncio.sleep(0.1)
            assert caller.spoken.ends

        caller, _ = play(script)
        assert [text for _, text in caller.spoken.answers] == ["You said: When do you open?"]

    def test_a_transcript_that_may_go_on_is_waited_for(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.start()
            await caller.stop()
            await caller.final("When do you", finalized=False)
            await asyncio.sleep(0.3)
            await caller.final("open?", finalized=False)

        caller, context = play(script)
        assert said_by(context, "user") == ["When do you open?"]
        assert len(caller.spoken.answers) == 1

    @pytest.mark.parametrize("is_slow", [True, False])
    def test_the_rest_of_what_was_said_is_waited_for_however_late(self, is_slow: bool) -> None:
        async def script(caller: Caller) -> None:
            await caller.start()
            await caller.stop()
            if not is_slow:
                await caller.final("My number is five.")
            await caller.start()
            await caller.stop()
            if is_slow:
                await caller.final("My number is five.")
            await asyncio.sleep(1.5)
            assert not caller.spoken.ends
            await caller.final("Zero.")

        caller, context = play(script)
        assert said_by(context, "user") == ["My number is five. Zero."]
        assert len(caller.spoken.answers) == 1

    @pytest.mark.parametrize("is_told", [True, False])
    def test_after_a_noise_it_is_not_waited_for_longer_than_needed(self, is_told: bool) -> None:
        silences: list[float] = []

        async def script(caller: Caller) -> None:
            await caller.start()
            await caller.stop()
            await caller.final("When do you open?")
            await caller.start()
            silent_since = asyncio.get_running_loop().time()
            await caller.stop()
            if is_told:
                await caller.send(NothingSaidFrame())
            await caller.settle()
            silences.append(caller.spoken.ends[0] - silent_since)

        caller, _ = play(script, max_delay=2.0)
        assert silences == [pytest.approx(HOLDS.sure if is_told else 2.0, abs=0.06)]
        assert [text for _, text in caller.spoken.answers] == ["You said: When do you open?"]


class TestTheEndByTheWordOfWhoeverSpeaks:
    def test_is_waited_for_no_longer_than_the_transcript(self) -> None:
        async def script(caller: Caller) -> None:
            caller.judge.probability = 0.1
            await caller.speak()
            await caller.release()
            await caller.stop()
            await asyncio.sleep(0.3)
            assert not caller.spoken.ends
            await caller.final("I would like to")
            await asyncio.sleep(0.02)
            assert caller.spoken.ends

        caller, _ = play(script)
        assert [text for _, text in caller.spoken.answers] == ["You said: I would like to"]
        assert caller.spoken.told == []

    def test_counts_for_what_was_said_just_before_and_not_for_what_comes_later(self) -> None:
        ends: list[int] = []

        async def script(caller: Caller) -> None:
            await caller.release()
            await caller.say("When do you open?")
            await caller.settle()
            caller.judge.probability = 0.1
            await caller.say("I would like to")
            await asyncio.sleep(HOLDS.sure)
            ends.append(len(caller.spoken.ends))

        play(script)
        assert ends == [1]

    def test_without_speech_is_told(self) -> None:
        caller, _ = play(Caller.release)
        assert caller.spoken.told == [{"type": "nothing-said"}]


@pytest.mark.parametrize("seed", range(4))
def test_two_hundred_turns_of_random_timing_have_one_answer_each(seed: int) -> None:
    """Some are spoken over the bot, and some answers want a tool, as questions come late."""
    chance = random.Random(seed)
    committed: list[str] = []

    async def script(caller: Caller) -> None:
        for turn in range(200):
            pieces = [f"piece {turn} {i}." for i in range(chance.randint(1, 3))]
            if chance.random() < 0.2:
                pieces[-1] = f"{TOOL_WORD} {pieces[-1]}"
            committed.append(" ".join(pieces))
            caller.judge.probability = chance.random()
            over_the_bot = chance.random() < 0.3
            if over_the_bot:
                await caller.send(BotStartedSpeakingFrame())
            for i, piece in enumerate(pieces):
                await speak(caller, piece, over_the_bot=over_the_bot and not i)
                if i < len(pieces) - 1:
                    # Shorter than any hold, if not by much: the turn goes on.
                    await asyncio.sleep(chance.uniform(0.0, HOLDS.sure - VAD_SECS - 0.01))
            await caller.settle()

    async def speak(caller: Caller, piece: str, *, over_the_bot: bool) -> None:
        await caller.start()
        await asyncio.sleep(chance.uniform(0.1, 0.5))
        if over_the_bot:
            await caller.interim(piece)
            await asyncio.sleep(MIN_SPEECH_SECS)
            await caller.send(BotStoppedSpeakingFrame())
        for _ in range(chance.randint(0, 2)):
            await caller.eager(piece[: chance.randint(1, len(piece))])
            await asyncio.sleep(chance.uniform(0.0, 0.3))
            if chance.random() < 0.5:
                await caller.send(EagerEndOfTurnCancelFrame())
        if chance.random() < 0.8:
            await caller.eager(piece)
        await caller.stop()
        # The transcript may overtake, or be overtaken by, what was sent before it.
        await caller.final(piece, finalized=chance.random() < 0.8)

    caller, context = play(script, lookup_secs=lambda: chance.choice([0.0, chance.random()]))
    assert said_by(context, "user") == committed
    # An answer is kept where only the punctuation of what it answers has changed.
    expected = [f"You said: {text}".replace(".", "") for text in committed]
    assert [text.replace(".", "") for _, text in caller.spoken.answers] == expected
    assert [text.replace(".", "") for text in said_by(context, "assistant")] == expected
    assert caller.llm.looked_up == [text for text in committed if TOOL_WORD in text]
