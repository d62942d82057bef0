"""What the offline speech recognition tells while somebody speaks, pauses and goes on."""

import asyncio
from collections.abc import Iterator

import numpy as np
import pytest
import soxr
from pipecat.frames.frames import (
    EagerEndOfTurnCancelFrame,
    EagerTranscriptionFrame,
    Frame,
    InputAudioRawFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.tests.utils import SleepFrame, run_test

from bots.local_files import find_local_files
from bots.settings import DEFAULT_CONFIG, load_settings
from engines.reading import Reading
from engines.whisper import SAMPLE_RATE_HZ, WhisperEngine, pcm_to_samples
from processors.eager_turn import over_probability
from processors.whisper_stt import WhisperSTT
from processors.words_due import NothingSaidFrame
from runner.clients.client import SAMPLE_RATE_HZ as SPEAKER_RATE_HZ
from tests.speech import Speaker

FRAME_SAMPLES = SAMPLE_RATE_HZ // 50
READ = SleepFrame(sleep=1.5)
"""Longer than a reading takes on a busy machine."""


@pytest.fixture(scope="module")
def engine() -> Iterator[WhisperEngine]:
    files = find_local_files(load_settings(DEFAULT_CONFIG, {"profile": "offline"}))
    assert files.stt
    engine = WhisperEngine(files.stt, threads=1)
    engine.warm_up()
    yield engine
    engine.close()


async def speech(speaker: Speaker, text: str) -> list[Frame]:
    return frames(soxr.resample(await speaker.say(text), SPEAKER_RATE_HZ, SAMPLE_RATE_HZ))


def frames(samples: np.ndarray) -> list[Frame]:
    whole = samples[: len(samples) // FRAME_SAMPLES * FRAME_SAMPLES]
    return [
        InputAudioRawFrame(piece.tobytes(), SAMPLE_RATE_HZ, 1)
        for piece in whole.reshape(-1, FRAME_SAMPLES)
    ]


def silence(secs: float) -> list[Frame]:
    return frames(np.zeros(int(secs * SAMPLE_RATE_HZ), np.int16))


async def told(engine: WhisperEngine, *sent: Frame) -> list[tuple[type[Frame], str]]:
    """Return what the service tells of words, in order."""
    down, _ = await run_test(WhisperSTT(engine), frames_to_send=[*sent])
    kinds = (
        EagerTranscriptionFrame,
        EagerEndOfTurnCancelFrame,
        TranscriptionFrame,
        VADUserStoppedSpeakingFrame,
        NothingSaidFrame,
    )
    return [(type(frame), getattr(frame, "text", "")) for frame in down if type(frame) in kinds]


START = VADUserStartedSpeakingFrame(start_secs=0.1)
STOP = VADUserStoppedSpeakingFrame(stop_secs=0.2)


async def test_words_are_told_before_the_silence_is_sure_and_are_final_then(
    engine: WhisperEngine, speaker: Speaker
) -> None:
    asked = await speech(speaker, "Is there somewhere to leave my car?")
    [eager, stop, final] = await told(engine, START, *asked, *silence(0.1), READ, STOP, READ)
    assert eager == (EagerTranscriptionFrame, "Is there somewhere to leave my car?")
    assert stop[0] is VADUserStoppedSpeakingFrame
    assert final == (TranscriptionFrame, eager[1])


async def test_words_are_taken_back_when_the_user_goes_on(
    engine: WhisperEngine, speaker: Speaker
) -> None:
    first = await speech(speaker, "I would like to come")
    rest = await speech(speaker, "on Thursday afternoon.")
    said = [START, *first, *silence(0.1), READ, *rest, *silence(0.1), READ, STOP, READ]
    heard = await told(engine, *said)
    kinds = [kind for kind, _ in heard]
    assert kinds == [
        EagerTranscriptionFrame,
        EagerEndOfTurnCancelFrame,
        EagerTranscriptionFrame,
        VADUserStoppedSpeakingFrame,
        TranscriptionFrame,
    ]
    assert "Thursday" not in heard[0][1]
    assert "Thursday" in heard[-1][1]


async def test_without_a_pause_that_was_heard_the_segment_is_read_at_its_end(
    engine: WhisperEngine, speaker: Speaker
) -> None:
    asked = await speech(speaker, "When do you open on Saturday?")
    [_, final] = await told(engine, START, *asked[:-8], STOP, READ)
    assert final[0] is TranscriptionFrame
    assert "Saturday" in final[1]


async def test_it_tells_how_likely_a_sentence_is_over(
    engine: WhisperEngine, speaker: Speaker
) -> None:
    whole = await heard(engine, speaker, "When do you open on Saturday?")
    cut = await heard(engine, speaker, "When do you open on Saturday?", share=0.45)
    [over, not_over] = [
        over_probability(it.text, trails=it.trails, words=None, sound=None) for it in (whole, cut)
    ]
    assert not_over < 0.5 < over


async def test_a_short_question_is_written_as_a_whole_sentence(
    engine: WhisperEngine, speaker: Speaker
) -> None:
    asked = await heard(engine, speaker, "Which building is it?")
    assert asked.text == "Which building is it?"


async def test_a_noise_without_words_is_told_to_be_one(engine: WhisperEngine) -> None:
    whisper = await told(engine, START, *silence(0.8), STOP, READ)
    assert whisper == [(VADUserStoppedSpeakingFrame, ""), (NothingSaidFrame, "")]


async def test_where_nothing_is_said_nothing_is_told_of_its_end(engine: WhisperEngine) -> None:
    silent = await engine.transcribe(np.zeros(SAMPLE_RATE_HZ, np.float32), "en")
    assert silent == Reading("")


async def heard(
    engine: WhisperEngine, speaker: Speaker, text: str, *, share: float = 1.0
) -> Reading:
    """Return what is read of the first part of a sentence."""
    pcm = soxr.resample(await speaker.say(text), SPEAKER_RATE_HZ, SAMPLE_RATE_HZ)
    return await engine.transcribe(pcm_to_samples(pcm[: int(len(pcm) * share)].tobytes()), "en")


class SlowEngine:
    """Reads the same in everything, and not at once.

    Attributes:
        read_secs: Lengths of what it was asked to read.
    """

    def __init__(self) -> None:
        self.read_secs: list[float] = []
        self._at_work = asyncio.Lock()

    @property
    def busy(self) -> bool:
        return self._at_work.locked()

    async def transcribe(self, samples: np.ndarray, language: str) -> Reading:
        self.read_secs.append(len(samples) / SAMPLE_RATE_HZ)
        async with self._at_work:
            await asyncio.sleep(0.3)
        return Reading("Are you open?")


def sound(secs: float) -> list[Frame]:
    noise = np.random.default_rng(1).integers(-9999, 9999, int(secs * SAMPLE_RATE_HZ))
    return frames(noise.astype(np.int16))


@pytest.mark.parametrize(
    ("sound_secs", "read_secs"),
    [(0.58, 0.7), (0.64, 0.8)],
    ids=["it has", "it lacks the end"],
)
async def test_a_pause_is_read_unless_what_is_being_read_has_all_of_it(
    sound_secs: float, read_secs: float
) -> None:
    engine = SlowEngine()
    # The interim transcript is read from the first 0.7 s.
    said = [*silence(0.1), *sound(sound_secs), *silence(0.12)]
    [eager, _, final] = await told(engine, START, *said, READ, STOP, READ)  # type: ignore[arg-type]
    assert eager == (EagerTranscriptionFrame, "Are you open?")
    assert final == (TranscriptionFrame, "Are you open?")
    assert engine.read_secs == [pytest.approx(read_secs)]


async def test_who_goes_on_before_all_is_read_has_nothing_read_twice() -> None:
    engine = SlowEngine()
    said = [*sound(0.5), *silence(0.12)]
    whole = await told(engine, START, *said, STOP, START, *said, STOP, READ)  # type: ignore[arg-type]
    assert [kind for kind, _ in whole] == [
        VADUserStoppedSpeakingFrame,
        VADUserStoppedSpeakingFrame,
        TranscriptionFrame,
        TranscriptionFrame,
    ]
    assert len(engine.read_secs) == 2
