"""The service on a voice that says which piece of which text it is instead of the text."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from typing import Any

import pytest
from pipecat.frames.frames import (
    AggregatedTextProgressFrame,
    Frame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TTSAudioRawFrame,
    TTSTextFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.tests.utils import run_test

from bots.facts import study_sounds
from bots.receptionist import BOT
from engines.piper import Speech
from processors.first_clause import first_clause_of
from processors.piper_tts import PiperTTS

PIECES = 3


class Voice:
    """Stands in for the engine: the work and its order are real, the sound is not.

    Attributes:
        made: The pieces in the order in which they were made.
        texts: What it was asked to say, and whether it was to begin at once.
        kept: What it was asked to keep, and at which speed.
        begins_at: When the words of each text begin.
    """

    def __init__(self, executor: ThreadPoolExecutor) -> None:
        self.made: list[bytes] = []
        self.texts: list[tuple[str, bool]] = []
        self.kept: list[tuple[str, float]] = []
        self.begins_at: list[float] = []
        self._executor = executor

    async def keep(self, text: str, *, speed: float) -> None:
        self.kept.append((text, speed))

    def speak(self, text: str, *, rate_hz: int, speed: float, trim: bool) -> Speech:
        assert rate_hz > 0
        self.texts.append((text, trim))

        def pieces() -> Iterator[bytes]:
            for number in range(PIECES):
                # Two bytes a sample, so that no piece is cut in half.
                self.made.append(f"{number} {text}".encode().ljust(80))
                yield self.made[-1]

        return Speech(pieces(), self._executor, self.begins_at)

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Be busy with another session."""
        done = Event()
        self._executor.submit(done.wait, 5)
        yield
        done.set()

    async def idle(self) -> None:
        """Wait until everything that was asked for is done."""
        await asyncio.wrap_future(self._executor.submit(int))


class AtStart(FrameProcessor):
    """Does something when a reply begins, before the voice learns of it."""

    def __init__(self, action: Callable[[], Any]) -> None:
        super().__init__()
        self._action = action

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMFullResponseStartFrame):
            self._action()
        await self.push_frame(frame, direction)


@pytest.fixture
def voice() -> Iterator[Voice]:
    with ThreadPoolExecutor(max_workers=1) as executor:
        yield Voice(executor)


async def reply(tts: FrameProcessor, *tokens: str) -> list[str]:
    """Have a reply spoken; return its pieces as they are heard."""
    frames = [
        LLMFullResponseStartFrame(),
        *(LLMTextFrame(token) for token in tokens),
        LLMFullResponseEndFrame(),
    ]
    heard, _ = await run_test(tts, frames_to_send=frames)
    return [frame.audio.decode().strip() for frame in heard if isinstance(frame, TTSAudioRawFrame)]


def spoken(text: str) -> list[str]:
    return [f"{number} {text}" for number in range(PIECES)]


async def test_the_first_clause_is_spoken_first_and_then_the_sentence(voice: Voice) -> None:
    tts = PiperTTS(voice)  # type: ignore[arg-type]
    heard = await reply(tts, "Sure,", " I can", " help you.", " When?")
    assert heard == spoken("Sure,") + spoken("I can help you.") + spoken("When?")


async def test_only_the_first_sound_of_a_reply_comes_without_the_silence_before_it(
    voice: Voice,
) -> None:
    await reply(PiperTTS(voice), "Sure, I can. When?")  # type: ignore[arg-type]
    assert voice.texts == [("Sure,", True), ("I can.", False), ("When?", False)]


async def test_what_is_said_is_the_text_of_the_reply(voice: Voice) -> None:
    frames = [
        LLMFullResponseStartFrame(),
        LLMTextFrame("Sure, I can. When?"),
        LLMFullResponseEndFrame(),
    ]
    heard, _ = await run_test(PiperTTS(voice), frames_to_send=frames)  # type: ignore[arg-type]
    said = " ".join(frame.text for frame in heard if isinstance(frame, TTSTextFrame))
    assert said == "Sure, I can. When?"


async def test_a_word_stands_in_the_sound_where_the_next_one_begins(voice: Voice) -> None:
    tts = PiperTTS(voice, sample_rate=16_000)  # type: ignore[arg-type]
    # A piece is 40 samples long.
    voice.begins_at = [0.0, 50 / 16_000, 100 / 16_000]
    frames = [LLMFullResponseStartFrame(), LLMTextFrame("It's $5."), LLMFullResponseEndFrame()]
    tts.add_text_transformer(spell_out)
    heard, _ = await run_test(tts, frames_to_send=frames)
    order = [
        frame.text if isinstance(frame, TTSTextFrame) else frame.num_frames
        for frame in heard
        if isinstance(frame, TTSTextFrame | TTSAudioRawFrame)
    ]
    assert order == [40, 10, "It's", 30, 20, 20, "$5."]
    progress = [frame for frame in heard if isinstance(frame, AggregatedTextProgressFrame)]
    assert [(it.accumulated_text, it.remaining_text) for it in progress] == [
        ("It's", "$5."),
        ("It's $5.", ""),
    ]


async def spell_out(text: str, _: object) -> str:
    return text.replace("$5", "five dollars")


async def test_what_was_prepared_is_spoken_without_being_made_again(voice: Voice) -> None:
    tts = PiperTTS(voice)  # type: ignore[arg-type]
    heard = await reply(
        Pipeline([AtStart(lambda: tts.prepare("Sure, ")), tts]), "Sure,", " I can help you."
    )
    assert heard == spoken("Sure,") + spoken("I can help you.")
    assert len(voice.made) == len(heard)


async def test_what_is_prepared_twice_is_made_once(voice: Voice) -> None:
    tts = PiperTTS(voice)  # type: ignore[arg-type]

    def prepare() -> None:
        tts.prepare("Sure, ")
        tts.prepare("Sure,")

    await reply(Pipeline([AtStart(prepare), tts]), "Sure,", " I can help you.")
    assert [text.strip() for text, _ in voice.texts] == ["Sure,", "I can help you."]


async def test_what_was_prepared_for_another_reply_is_never_heard(voice: Voice) -> None:
    tts = PiperTTS(voice)  # type: ignore[arg-type]
    heard = await reply(
        Pipeline([AtStart(lambda: tts.prepare("Of course,")), tts]), "Sure,", " I can help you."
    )
    assert heard == spoken("Sure,") + spoken("I can help you.")
    assert [text for text, _ in voice.texts].count("Of course,") == 1


async def test_what_was_prepared_is_gone_once_something_else_was_said(voice: Voice) -> None:
    tts = PiperTTS(voice)  # type: ignore[arg-type]
    heard = await reply(
        Pipeline([AtStart(lambda: tts.prepare("Really?")), tts]), "Sure,", " I can. Really?"
    )
    assert heard == spoken("Sure,") + spoken("I can.") + spoken("Really?")
    assert [text for text, _ in voice.texts].count("Really?") == 2


async def test_one_clause_at_most_is_prepared_and_only_its_first_piece(voice: Voice) -> None:
    tts = PiperTTS(voice)  # type: ignore[arg-type]
    tts._sample_rate = 24_000
    with voice.busy():
        tts.prepare("Well,")
        tts.prepare("Of course,")
        tts.prepare("Sure,")
    await voice.idle()
    assert [piece.strip() for piece in voice.made] == [b"0 Sure,"]


async def test_what_is_forgotten_while_it_waits_is_not_made(voice: Voice) -> None:
    tts = PiperTTS(voice)  # type: ignore[arg-type]
    tts._sample_rate = 24_000
    with voice.busy():
        tts.prepare("Sure,")
        tts.forget_prepared()
    await voice.idle()
    assert voice.made == []


async def test_the_call_that_ends_takes_what_was_prepared_with_it(voice: Voice) -> None:
    tts = PiperTTS(voice)  # type: ignore[arg-type]
    await reply(Pipeline([AtStart(lambda: tts.prepare("Sure,")), tts]))
    assert tts._prepared is None


async def test_nothing_more_is_made_of_a_reply_whose_task_was_cancelled(voice: Voice) -> None:
    tts = PiperTTS(voice)  # type: ignore[arg-type]
    tts._sample_rate = 24_000
    heard = asyncio.Event()

    async def speak() -> None:
        async for _ in tts.run_tts("Sure,", "reply"):
            heard.set()
            await asyncio.Event().wait()

    speaking = asyncio.create_task(speak())
    await asyncio.wait_for(heard.wait(), 5)
    speaking.cancel()
    await asyncio.wait([speaking])
    await voice.idle()
    assert len(voice.made) == 1


async def test_of_what_will_be_said_often_the_first_clause_is_kept(voice: Voice) -> None:
    tts = PiperTTS(voice, speed=1.2)  # type: ignore[arg-type]
    await tts.study("On Sunday, we are closed. Come on Monday.")
    await tts.study("Parking is free.")
    assert voice.kept == [("On Sunday,", 1.2), ("Parking is free.", 1.2)]


async def test_a_bot_says_its_greeting_and_its_facts_often(voice: Voice) -> None:
    await study_sounds(BOT, None, PiperTTS(voice))  # type: ignore[arg-type]
    kept = {text for text, _ in voice.kept}
    assert kept >= {await first_clause_of(BOT.greeting), "A flu shot costs twenty-five dollars."}
