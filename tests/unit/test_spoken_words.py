from pipecat.frames.frames import (
    Frame,
    InterruptionFrame,
    LLMFullResponseStartFrame,
    TextType,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)
from pipecat.tests.utils import SleepFrame, run_test

from processors.spoken_words import CHARACTERS_PER_SEC, SpokenWords

RATE_HZ = 24_000
WORDS = ["There ", "are ", "fifteen ", "characters ", "a ", "second."]


def text(words: str) -> TTSTextFrame:
    return TTSTextFrame(words, text_type=TextType.SENTENCE)


def sound(secs: float) -> TTSAudioRawFrame:
    return TTSAudioRawFrame(bytes(round(secs * RATE_HZ) * 2), RATE_HZ, 1)


async def let_through(*frames: Frame) -> list[str | float]:
    """Return what comes out: words, and seconds of sound."""
    down, _ = await run_test(SpokenWords(), frames_to_send=[TTSStartedFrame(), *frames])
    return [
        frame.text if isinstance(frame, TTSTextFrame) else len(frame.audio) / RATE_HZ / 2
        for frame in down
        if isinstance(frame, TTSTextFrame | TTSAudioRawFrame)
    ]


async def test_a_word_goes_behind_the_sound_that_it_is_spoken_in() -> None:
    out = await let_through(*map(text, WORDS), sound(0.5), sound(0.5), sound(2.0))
    assert out == [0.5, "There ", 0.5, "are ", 2.0, *WORDS[2:]]
    assert len("There ") <= 0.5 * CHARACTERS_PER_SEC < len("There are ")


async def test_the_end_of_the_sound_brings_the_rest() -> None:
    assert await let_through(text("Slowly."), sound(0.1), TTSStoppedFrame()) == [0.1, "Slowly."]


async def test_words_that_come_late_go_at_once() -> None:
    assert await let_through(sound(1.0), text("Yes.")) == [1.0, "Yes."]


async def test_of_what_was_interrupted_nothing_comes_any_more() -> None:
    out = await let_through(
        text("Never "),
        InterruptionFrame(),
        SleepFrame(0.05),
        text("heard."),
        sound(1.0),
        LLMFullResponseStartFrame(),
        TTSStartedFrame(),
        sound(1.0),
        text("Heard."),
    )
    assert out == [1.0, "Heard."]
