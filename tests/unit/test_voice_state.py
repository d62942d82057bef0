import pytest
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    Frame,
    FunctionCallsStartedFrame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.processors.filters.identity_filter import IdentityFilter
from pipecat.tests.utils import SleepFrame, run_test

from processors.voice_state import State, VoiceState, VoiceStateObserver, path

CONTRACT = {
    ("listening", "processing"),
    ("processing", "thinking"),
    ("thinking", "speaking"),
    ("speaking", "listening"),
    ("listening", "disconnecting"),
    ("processing", "disconnecting"),
    ("thinking", "disconnecting"),
    ("speaking", "disconnecting"),
    ("disconnecting", "disconnected"),
    ("connecting", "disconnected"),
    ("initializing", "disconnected"),
}


class Recorder:
    def __init__(self) -> None:
        self.states: list[str] = []
        self.voice = VoiceState(self.publish)

    async def publish(self, state: State) -> None:
        self.states.append(state.value)


async def listening() -> Recorder:
    recorder = Recorder()
    for goal in (State.CONNECTING, State.INITIALIZING, State.LISTENING):
        await recorder.voice.move(goal)
    recorder.states.clear()
    return recorder


class TestPath:
    @pytest.mark.parametrize(("start", "goal"), sorted(CONTRACT))
    def test_every_transition_of_the_contract_is_one_step(self, start: str, goal: str) -> None:
        assert path(State(start), State(goal)) == [State(goal)]

    def test_a_barge_in_passes_through_listening(self) -> None:
        assert path(State.SPEAKING, State.PROCESSING) == [State.LISTENING, State.PROCESSING]

    def test_a_greeting_passes_through_thinking(self) -> None:
        assert path(State.LISTENING, State.SPEAKING) == [State.THINKING, State.SPEAKING]

    def test_staying_is_no_transition(self) -> None:
        assert path(State.THINKING, State.THINKING) == []

    @pytest.mark.parametrize("start", State)
    @pytest.mark.parametrize("goal", State)
    def test_there_is_a_way_between_any_two(self, start: State, goal: State) -> None:
        assert [start, *path(start, goal)][-1] is goal


class TestVoiceState:
    async def test_a_whole_turn_is_published_in_order(self) -> None:
        recorder = await listening()
        for goal in (State.PROCESSING, State.THINKING, State.SPEAKING, State.LISTENING):
            await recorder.voice.move(goal)
        assert recorder.states == ["processing", "thinking", "speaking", "listening"]

    async def test_a_late_frame_does_not_bring_back_a_call_that_has_ended(self) -> None:
        recorder = await listening()
        await recorder.voice.move(State.DISCONNECTED)
        await recorder.voice.move(State.SPEAKING)
        assert recorder.states == ["disconnecting", "disconnected"]

    async def test_a_call_that_fails_while_connecting_is_disconnected_at_once(self) -> None:
        recorder = Recorder()
        await recorder.voice.move(State.CONNECTING)
        await recorder.voice.move(State.DISCONNECTED)
        assert recorder.states == ["connecting", "disconnected"]


async def states_after(*frames: Frame) -> list[str]:
    recorder = Recorder()
    await recorder.voice.move(State.CONNECTING)
    await run_test(
        IdentityFilter(),
        frames_to_send=[*frames],
        observers=[VoiceStateObserver(recorder.voice)],
    )
    return recorder.states


class TestVoiceStateObserver:
    async def test_frames_of_a_barge_in_lead_back_to_hearing_the_user(self) -> None:
        states = await states_after(
            BotStartedSpeakingFrame(), UserStartedSpeakingFrame(), BotStoppedSpeakingFrame()
        )
        assert states == [
            "connecting",
            "initializing",
            "listening",
            "thinking",
            "speaking",
            "listening",
            "processing",
        ]

    async def test_a_bot_that_falls_silent_over_the_user_leaves_the_word_to_them(self) -> None:
        states = await states_after(
            UserStartedSpeakingFrame(), BotStartedSpeakingFrame(), BotStoppedSpeakingFrame()
        )
        assert states[-2:] == ["listening", "processing"]

    async def test_a_bot_that_falls_silent_after_the_users_turn_listens(self) -> None:
        states = await states_after(
            UserStartedSpeakingFrame(),
            UserStoppedSpeakingFrame(),
            BotStartedSpeakingFrame(),
            BotStoppedSpeakingFrame(),
        )
        assert states[-1] == "listening"

    async def test_a_bot_that_thinks_on_while_it_speaks_speaks(self) -> None:
        states = await states_after(
            LLMFullResponseStartFrame(),
            SleepFrame(),
            BotStartedSpeakingFrame(),
            LLMFullResponseStartFrame(),
            SleepFrame(),
            BotStoppedSpeakingFrame(),
        )
        assert states[-3:] == ["thinking", "speaking", "listening"]

    async def test_a_bot_that_was_interrupted_thinks_before_it_is_silent(self) -> None:
        states = await states_after(
            BotStartedSpeakingFrame(),
            InterruptionFrame(),
            SleepFrame(),
            LLMFullResponseStartFrame(),
            SleepFrame(),
            BotStoppedSpeakingFrame(),
        )
        assert states[-2:] == ["listening", "thinking"]

    async def test_a_bot_whose_answer_is_read_listens_when_it_is_written(self) -> None:
        states = await states_after(
            *written(FunctionCallsStartedFrame([])), SleepFrame(), *written(), SleepFrame()
        )
        assert states[-2:] == ["thinking", "listening"]
        assert states.count("listening") == 2, "it does not while it uses a tool"


def written(*frames: Frame) -> list[Frame]:
    """Return an answer that is not to be spoken."""
    begin, end = LLMFullResponseStartFrame(), LLMFullResponseEndFrame()
    begin.skip_tts = end.skip_tts = True
    return [begin, *frames, end]
