"""What is heard of a bot that is paused, from a real output transport."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest
from pipecat.frames.frames import InterruptionFrame, TTSAudioRawFrame, TTSStoppedFrame
from pipecat.pipeline.worker import PipelineWorker

from processors.output_pause import FADE_SECS, MAX_PAUSE_SECS, OutputPause
from tests import virtual_time
from tests.loudspeaker import RATE, Loudspeaker, Speech, playing, turns_of_the_loop

STOPS_AT = 3
SPEECH = np.full(RATE * 48 // 100, 8000, np.int16)
"""Twelve whole chunks."""
FADE = round(RATE * FADE_SECS)


def tts(pcm: np.ndarray) -> TTSAudioRawFrame:
    return TTSAudioRawFrame(pcm.tobytes(), RATE, 1)


def heard(chunks: list[bytes]) -> np.ndarray:
    return np.frombuffer(b"".join(chunks), np.int16)


async def speak_and_pause(
    worker: PipelineWorker, loudspeaker: Loudspeaker, output: OutputPause
) -> None:
    """Have the bot speak, and pause it in the midst of a chunk."""
    await worker.queue_frames([tts(SPEECH), TTSStoppedFrame()])
    await loudspeaker.has_stopped.wait()
    output.pause()
    loudspeaker.plays_on.set()
    await turns_of_the_loop()


async def test_a_paused_bot_fades_out_and_goes_on_where_it_was() -> None:
    output, told = OutputPause(), Speech()
    loudspeaker = Loudspeaker(output, stops_at=STOPS_AT)
    async with playing(loudspeaker, told) as worker:
        await speak_and_pause(worker, loudspeaker, output)
        before = heard(loudspeaker.played)
        assert len(loudspeaker.played) == STOPS_AT + 1, "silent after one chunk more"
        assert not told.silent.is_set(), "the bot has not said what it has to say"

        output.resume()
        await told.silent.wait()
    chunk = len(loudspeaker.played[0]) // 2
    whole, cut = before[: STOPS_AT * chunk], before[STOPS_AT * chunk :]
    assert np.all(np.diff(cut[:FADE].astype(int)) < 0), "it fades"
    assert not cut[FADE:].any(), "and is silent"
    after = heard(loudspeaker.played)[len(before) :]
    assert np.all(np.diff(after[:FADE].astype(int)) > 0), "it fades in"
    assert len(whole) + len(after) == len(SPEECH), "nothing is left out"
    assert np.all(after[FADE:] == SPEECH[0])
    assert told.starts == 1


async def test_something_else_is_played_while_the_bot_is_paused() -> None:
    output, told = OutputPause(), Speech()
    loudspeaker = Loudspeaker(output, stops_at=STOPS_AT)
    played: list[bytes] = []

    async def play(silence: bytes) -> None:
        played.append(silence)
        await asyncio.sleep(0)

    output.meanwhile = play
    async with playing(loudspeaker, told) as worker:
        await speak_and_pause(worker, loudspeaker, output)
        assert played[0] == bytes(len(loudspeaker.played[0]))
        assert len(played) > 1
        output.resume()
        await told.silent.wait()
        before = len(played)
        await turns_of_the_loop()
    assert len(played) == before, "and no more"


async def test_nothing_of_a_paused_speech_is_heard_after_an_interruption() -> None:
    output, told = OutputPause(), Speech()
    loudspeaker = Loudspeaker(output, stops_at=STOPS_AT)
    async with playing(loudspeaker, told) as worker:
        await speak_and_pause(worker, loudspeaker, output)
        played = len(loudspeaker.played)
        await worker.queue_frame(InterruptionFrame())
        await told.silent.wait()
        output.drop()
        await turns_of_the_loop()
        interrupted = len(loudspeaker.played)

        await worker.queue_frames([tts(SPEECH // 2), TTSStoppedFrame()])
        await told.speaking.wait()
        await told.silent.wait()
    assert interrupted == played
    assert np.all(heard(loudspeaker.played[interrupted:]) == SPEECH[0] // 2)


async def speaking() -> OutputPause:
    """Return the pause of a bot that is in the midst of a speech."""
    output = OutputPause()
    await output.start(RATE)
    assert await output.filter(SPEECH.tobytes()) == SPEECH.tobytes()
    return output


async def test_a_pause_at_the_end_of_a_speech_leaves_nothing_for_the_next() -> None:
    output = await speaking()
    output.pause()
    assert len(await output.filter(SPEECH.tobytes())) == len(SPEECH.tobytes())
    output.resume()
    output.drop()  # the bot has stopped speaking
    assert await output.filter(SPEECH.tobytes()) == SPEECH.tobytes()


async def test_a_pause_that_ends_before_the_next_chunk_loses_nothing() -> None:
    output = await speaking()
    output.pause()
    await output.filter(SPEECH.tobytes())
    output.resume()
    assert len(await output.filter(SPEECH.tobytes())) == 2 * len(SPEECH.tobytes())


@asynccontextmanager
async def about_to_speak() -> AsyncIterator[
    tuple[PipelineWorker, Loudspeaker, OutputPause, Speech]
]:
    """Give a bot something to say after it has been paused."""
    output, told = OutputPause(), Speech()
    loudspeaker = Loudspeaker(output, stops_at=STOPS_AT)
    loudspeaker.plays_on.set()
    async with playing(loudspeaker, told) as worker:
        output.pause()
        await worker.queue_frames([tts(SPEECH), TTSStoppedFrame()])
        await turns_of_the_loop()
        yield worker, loudspeaker, output, told


async def test_a_speech_that_has_not_begun_begins_whole_and_later() -> None:
    async with about_to_speak() as (_worker, loudspeaker, output, told):
        assert not loudspeaker.played
        assert not told.speaking.is_set(), "nobody is told of a speech that nobody hears"

        output.resume()
        await told.silent.wait()
    assert np.all(heard(loudspeaker.played) == SPEECH)


async def test_a_speech_that_has_not_begun_is_never_heard_after_an_interruption() -> None:
    async with about_to_speak() as (worker, loudspeaker, output, told):
        await worker.queue_frame(InterruptionFrame())
        await turns_of_the_loop()
        output.drop()
        await worker.queue_frames([tts(SPEECH // 2), TTSStoppedFrame()])
        await told.speaking.wait()
        await told.silent.wait()
    assert np.all(heard(loudspeaker.played) == SPEECH[0] // 2)


def test_a_pause_that_nobody_ends_has_an_end() -> None:
    async def forgotten() -> float:
        output = await speaking()
        output.pause()
        began = asyncio.get_running_loop().time()
        await output.filter(SPEECH.tobytes())
        assert len(await output.filter(SPEECH.tobytes())) == 2 * len(SPEECH.tobytes())
        return asyncio.get_running_loop().time() - began

    assert virtual_time.run(forgotten()) == pytest.approx(MAX_PAUSE_SECS)
