"""When a caller is put through to a person, behind a real output transport."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import chain

import pytest
from pipecat.frames.frames import (
    Frame,
    FunctionCallResultFrame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    UserSpeakingFrame,
)
from pipecat.pipeline.worker import PipelineWorker

from processors.call_transfer import LEAVE_SECS, SILENCE_SECS, CallTransfer
from processors.output_pause import OutputPause
from tests import virtual_time
from tests.loudspeaker import RATE, Loudspeaker, Speech, playing, turns_of_the_loop

STOPS_AT = 9
"""In the second sentence of an answer: each is six chunks and a piece of one."""

NEVER = 0
HEARD_STEPS = 500
"""Turns of the event loop after which an answer has been heard; it takes half of that."""


class Exchange:
    """Puts callers through, who stay there nevertheless.

    Attributes:
        called_at: When it was asked to, each time, in seconds of the event loop.
        refusal: To be set to say why it does not.
        refused: How often the caller was told so.
    """

    def __init__(self) -> None:
        self.called_at: list[float] = []
        self.refusal: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.refused = 0

    async def put_through(self) -> str:
        self.called_at.append(asyncio.get_running_loop().time())
        return await self.refusal

    async def failed(self) -> None:
        self.refused += 1
        self.refusal = asyncio.get_running_loop().create_future()


class Scene:
    """A bot whose answers a test writes."""

    def __init__(self, stops_at: int) -> None:
        self.exchange = Exchange()
        self.transfer = CallTransfer(self.exchange.put_through, self.exchange.failed)
        self.loudspeaker = Loudspeaker(OutputPause(), stops_at=stops_at)
        self.worker: PipelineWorker

    async def say(self, frames: Sequence[Frame]) -> None:
        """Have the bot say something, to the end or to where the loudspeaker stops."""
        await self.worker.queue_frames(frames)
        await turns_of_the_loop(HEARD_STEPS)

    async def play_on(self) -> None:
        self.loudspeaker.plays_on.set()
        await turns_of_the_loop(HEARD_STEPS)

    @property
    def calls(self) -> int:
        return len(self.exchange.called_at)


@asynccontextmanager
async def scene(stops_at: int = NEVER, secs: float = 5) -> AsyncIterator[Scene]:
    it = Scene(stops_at)
    behind = [it.transfer]
    async with playing(it.loudspeaker, Speech(), behind=behind, secs=secs) as it.worker:
        await turns_of_the_loop()
        yield it


def result() -> Frame:
    return FunctionCallResultFrame("hand_over", "1", {}, "handed over")


def audio() -> Frame:
    return TTSAudioRawFrame(b"\x01\x01" * (RATE // 4), RATE, 1)


def answer() -> list[Frame]:
    """Return an answer of two sentences, each of which is spoken by itself."""
    sentences = [[TTSStartedFrame(), audio(), TTSStoppedFrame()] for _ in range(2)]
    return [LLMFullResponseStartFrame(), *chain(*sentences), LLMFullResponseEndFrame()]


@pytest.mark.parametrize("by_the_clock", [False, True])
async def test_a_caller_is_put_through_when_they_have_heard_that_they_are(
    by_the_clock: bool,
) -> None:
    *words, end = answer()
    if by_the_clock:
        # So it comes with voices that tell when each word sounds: with the last one, at once.
        end.pts = 1
    async with scene(STOPS_AT) as it:
        it.transfer.ask()
        await it.say([result(), *words])
        await it.say([end])
        assert not it.calls, "it is not heard to its end"
        assert not it.transfer.is_under_way
        await it.play_on()
        assert it.calls == 1
        assert it.transfer.is_under_way
        await it.say(answer())
        assert it.calls == 1


async def test_what_was_said_before_is_not_what_tells_them() -> None:
    async with scene() as it:
        it.transfer.ask()
        *one_moment, end = answer()
        await it.say([*one_moment, result(), end])
        assert not it.calls
        await it.say(answer())
        assert it.calls == 1


async def test_an_answer_without_words_is_not_either() -> None:
    async with scene(STOPS_AT) as it:
        it.transfer.ask()
        await it.say([result(), LLMFullResponseStartFrame(), LLMFullResponseEndFrame()])
        await it.say(answer())
        assert not it.calls
        await it.play_on()
        assert it.calls == 1


async def test_nobody_is_put_through_who_has_not_asked() -> None:
    async with scene() as it:
        await it.say([result(), *answer(), InterruptionFrame(), *answer()])
        assert not it.calls


async def test_who_talks_over_it_is_put_through_at_once_and_once() -> None:
    async with scene(STOPS_AT) as it:
        it.transfer.ask()
        await it.say([result(), *answer()])
        await it.say([InterruptionFrame()])
        assert it.calls == 1
        await it.play_on()
        it.transfer.ask()
        await it.say([result(), *answer(), InterruptionFrame()])
        assert it.calls == 1


async def test_who_speaks_before_they_are_told_is_told_in_the_next_answer() -> None:
    async with scene() as it:
        it.transfer.ask()
        # The tool was interrupted, too, behind what was said before: there is no result.
        await it.say(answer())
        await it.say([InterruptionFrame()])
        assert not it.calls
        await it.say(answer())
        assert it.calls == 1


async def test_a_refusal_is_told_and_the_next_time_is_another_try() -> None:
    async with scene() as it:
        for times in (1, 2):
            it.transfer.ask()
            it.transfer.ask()
            await turns_of_the_loop()
            assert it.calls == times - 1
            await it.say([result(), *answer()])
            assert (it.calls, it.exchange.refused) == (times, times - 1)
            it.exchange.refusal.set_result("busy")
            await turns_of_the_loop()
            assert it.exchange.refused == times
            assert not it.transfer.is_under_way
            await it.say(answer())
            assert it.calls == times


async def test_a_call_that_ends_breaks_off_what_is_under_way() -> None:
    async with scene() as it:
        it.transfer.ask()
        await it.say([result(), *answer()])
        refusal = it.exchange.refusal
    assert refusal.cancelled()
    assert it.transfer.is_under_way, "which is why it has ended"
    assert not it.exchange.refused


def test_who_is_told_nothing_is_put_through_when_nobody_says_anything() -> None:
    async def main() -> float:
        async with scene(secs=60) as it:
            it.transfer.ask()
            asked_at = asyncio.get_running_loop().time()
            for frame in (UserSpeakingFrame(), audio()):
                await asyncio.sleep(SILENCE_SECS - 1)
                await it.worker.queue_frame(frame)
            await asyncio.sleep(SILENCE_SECS + 1)
            [called_at] = it.exchange.called_at
            return called_at - asked_at

    assert virtual_time.run(main()) == pytest.approx(3 * SILENCE_SECS - 2, abs=0.1)


def test_who_does_not_leave_could_not_be_put_through() -> None:
    async def main() -> None:
        async with scene(secs=60) as it:
            it.transfer.ask()
            await it.say([result(), *answer()])
            await asyncio.sleep(LEAVE_SECS - 1)
            assert not it.exchange.refused
            await asyncio.sleep(2)
            assert it.exchange.refused == 1
            assert not it.transfer.is_under_way

    virtual_time.run(main())
