import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import numpy as np
import pytest

from engines.piper import (
    FIRST_FRAMES,
    KNEE,
    MAX_FRAMES,
    Speech,
    bend,
    lead_samples,
    piece_end,
    speech_rms,
    without_lead,
)

RATE_HZ = 22_050


def pieces_of(total: int) -> list[int]:
    start, size, lengths = 0, FIRST_FRAMES, []
    while start < total:
        end = piece_end(start, total, size)
        lengths.append(end - start)
        start, size = end, min(2 * size, MAX_FRAMES)
    return lengths


@pytest.mark.parametrize("total", [1, 19, 21, 29, 30, 45, 160, 333, 2000])
def test_pieces_make_up_the_sentence_and_none_is_a_splinter(total: int) -> None:
    lengths = pieces_of(total)
    assert sum(lengths) == total
    assert lengths[-1] >= min(total, FIRST_FRAMES // 2)


def test_the_first_piece_is_short_and_the_next_ones_grow() -> None:
    assert pieces_of(400)[:4] == [20, 40, 80, 80]


def test_loud_peaks_are_bent_and_all_else_stays_as_it_is() -> None:
    samples = np.linspace(-2, 2, 4001, dtype=np.float32)
    bent = bend(samples)
    quiet = np.abs(samples) <= KNEE
    assert np.array_equal(bent[quiet], samples[quiet])
    assert np.abs(bent).max() <= 1
    assert (np.diff(bent) >= 0).all()


def test_silence_in_front_is_left_out_but_for_a_moment_before_a_soft_consonant() -> None:
    breath = np.linspace(0.001, 0.02, RATE_HZ // 20, dtype=np.float32)
    silence = np.full(RATE_HZ // 10, 0.0003, np.float32)
    lead = lead_samples(np.concatenate([silence, breath]), RATE_HZ)
    assert 0.095 * RATE_HZ < lead < len(silence)


def test_silence_in_front_is_left_out_though_it_is_longer_than_the_first_piece() -> None:
    silence, voice = np.zeros(RATE_HZ // 4, np.float32), np.full(RATE_HZ // 4, 0.1, np.float32)
    pieces = [*without_lead(iter([silence, np.concatenate([silence, voice]), voice]), RATE_HZ)]
    assert len(pieces) == 2
    assert len(np.concatenate(pieces)) < 2.1 * len(voice)


def test_a_voice_that_begins_at_once_loses_nothing() -> None:
    assert lead_samples(np.full(1000, 0.1, np.float32), RATE_HZ) == 0


def test_the_level_is_that_of_the_speech_whatever_the_silence() -> None:
    tone = 0.5 * np.sin(np.arange(RATE_HZ, dtype=np.float32))
    silence = np.zeros(RATE_HZ, np.float32)
    assert speech_rms(np.concatenate([silence, tone, silence]), RATE_HZ) == pytest.approx(
        speech_rms(tone, RATE_HZ), rel=0.02
    )


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(max_workers=1) as executor:
        yield executor


async def test_two_who_speak_at_once_take_turns(executor: ThreadPoolExecutor) -> None:
    made: list[str] = []

    def pieces(name: str, count: int) -> Iterator[bytes]:
        for _ in range(count):
            made.append(name)
            yield name.encode()

    async def hear(name: str, count: int) -> None:
        async for piece in Speech(pieces(name, count), executor):
            assert piece == name.encode()

    await asyncio.gather(hear("long", 20), hear("short", 2))
    assert made[:4] == ["long", "short", "long", "short"]
    assert made.count("long") == 20


async def test_nothing_is_made_for_one_who_has_stopped_listening(
    executor: ThreadPoolExecutor,
) -> None:
    started, go_on = Event(), Event()
    made: list[int] = []

    def pieces() -> Iterator[bytes]:
        for number in range(100):
            made.append(number)
            started.set()
            go_on.wait(5)
            yield b"x"

    async def hear() -> None:
        async for _ in Speech(pieces(), executor):
            pass

    hearing = asyncio.create_task(hear())
    await asyncio.to_thread(started.wait, 5)
    hearing.cancel()
    await asyncio.wait([hearing])
    go_on.set()
    await asyncio.wrap_future(executor.submit(int))
    assert made == [0], "only what was under way"


async def test_what_was_started_ahead_comes_first_and_only_once(
    executor: ThreadPoolExecutor,
) -> None:
    speech = Speech(iter([b"1", b"2"]), executor)
    speech.start()
    speech.start()
    assert [piece async for piece in speech] == [b"1", b"2"]
