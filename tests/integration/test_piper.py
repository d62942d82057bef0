"""The offline voice: what is heard of it, and when."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from piper import PiperVoice

from bots.local_files import find_local_files
from bots.models import ModelStore, default_models_dir, load_manifest
from bots.settings import DEFAULT_CONFIG, load_settings
from engines.piper import EVEN, PiperEngine, Samples, Vocoder, speech_rms
from engines.whisper import SAMPLE_RATE_HZ, WhisperEngine, pcm_to_samples
from tests.speech import words

RATE_HZ = 22_050

SENTENCES = [
    "Hello, this is the reception of the practice, how can I help you?",
    "The appointment costs forty five dollars, and you can pay by card.",
    "She sells soft silk shirts.",
    "I'm sorry, we are closed on Sunday.",
]


@pytest.fixture(scope="module")
def voice_file() -> Path:
    return ModelStore(default_models_dir(), load_manifest()).file("piper-joe")


@pytest.fixture(scope="module")
def engine(voice_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PiperEngine]:
    engine = PiperEngine(voice_file, kept=tmp_path_factory.mktemp("kept"), threads=1)
    yield engine
    engine.close()


async def say(engine: PiperEngine, text: str, *, trim: bool = False) -> list[Samples]:
    return [
        np.frombuffer(piece, np.int16).astype(np.float32) / 32767
        async for piece in engine.speak(text, rate_hz=RATE_HZ, trim=trim)
    ]


async def test_it_is_heard_in_pieces_that_begin_short(engine: PiperEngine) -> None:
    pieces = await say(engine, SENTENCES[0])
    lengths = [len(piece) / RATE_HZ for piece in pieces]
    assert 0.15 < lengths[0] < 0.3
    assert len(lengths) > 3
    assert max(lengths) < 1.5


async def test_pieces_sound_as_in_one_pass(engine: PiperEngine) -> None:
    """To five decimals: what is seen beside a piece is enough."""
    vocoder = engine._vocoder
    assert isinstance(vocoder, Vocoder)
    voice = engine._voice
    for sentence in SENTENCES:
        (phonemes,) = voice.phonemize(sentence)
        latents = np.asarray(voice.phoneme_ids_to_audio(voice.phonemes_to_ids(phonemes), EVEN))
        whole = vocoder.render(latents)
        frames = latents.shape[1]
        pieces = [
            vocoder.render(latents, start, min(start + 20, frames))
            for start in range(0, frames, 20)
        ]
        assert np.abs(np.concatenate(pieces) - whole).max() < 1e-5


async def test_it_is_as_loud_as_piper_itself(engine: PiperEngine, voice_file: Path) -> None:
    stock = PiperVoice.load(voice_file)

    def stock_rms(sentence: str) -> float:
        chunks = list(stock.synthesize(sentence))
        return speech_rms(np.concatenate([c.audio_float_array for c in chunks]), RATE_HZ)

    def decibels(levels: list[float]) -> float:
        return 10 * float(np.log10(np.mean(np.square(levels))))

    theirs = [await asyncio.to_thread(stock_rms, sentence) for sentence in SENTENCES]
    ours = [speech_rms(np.concatenate(await say(engine, s)), RATE_HZ) for s in SENTENCES]
    assert abs(decibels(ours) - decibels(theirs)) < 2


async def test_no_peak_is_clipped(engine: PiperEngine) -> None:
    for sentence in SENTENCES:
        assert np.abs(np.concatenate(await say(engine, sentence))).max() < 1


async def test_a_reply_begins_with_its_first_sound(engine: PiperEngine) -> None:
    def silence_secs(pieces: list[Samples]) -> float:
        return int(np.argmax(np.abs(np.concatenate(pieces)) > 0.01)) / RATE_HZ

    text = "We are open from Monday to Friday."
    assert silence_secs(await say(engine, text)) > 0.04
    assert silence_secs(await say(engine, text, trim=True)) < 0.03


@pytest.fixture
def uncut(voice_file: Path, tmp_path: Path) -> Iterator[PiperEngine]:
    # An empty second part of the graph: protobuf merges the two, a cut wants one.
    file = tmp_path / "voice.onnx"
    file.write_bytes(voice_file.read_bytes() + b"\x3a\x00")
    Path(f"{file}.json").write_bytes(Path(f"{voice_file}.json").read_bytes())
    engine = PiperEngine(file, kept=tmp_path / "kept", threads=1)
    yield engine
    engine.close()
    assert not list((tmp_path / "kept").glob("*.onnx"))


async def test_a_voice_that_cannot_be_cut_says_the_same(
    uncut: PiperEngine, engine: PiperEngine
) -> None:
    pieces = await say(uncut, SENTENCES[0])
    streamed = np.concatenate(await say(engine, SENTENCES[0]))
    assert len(pieces) == 1
    assert len(pieces[0]) == pytest.approx(len(streamed), rel=0.2)
    assert speech_rms(pieces[0], RATE_HZ) == pytest.approx(speech_rms(streamed, RATE_HZ), rel=0.3)


async def test_a_long_answer_does_not_hold_up_the_first_sound_of_another_call(
    engine: PiperEngine,
) -> None:
    order: list[str] = []

    async def hear(name: str, text: str) -> None:
        async for _ in engine.speak(text, rate_hz=RATE_HZ):
            order.append(name)

    long = " ".join(SENTENCES)
    await asyncio.wait_for(asyncio.gather(hear("long", long), hear("short", "Sure,")), 30)
    assert order.index("short") <= 2
    assert order.count("long") > 10


@pytest.fixture
def keeping(voice_file: Path, tmp_path: Path) -> Iterator[PiperEngine]:
    engine = PiperEngine(voice_file, kept=tmp_path, threads=1)
    yield engine
    engine.close()


async def sound_of(engine: PiperEngine, text: str, **how: Any) -> bytes:
    return b"".join([piece async for piece in engine.speak(text, rate_hz=RATE_HZ, **how)])


async def test_what_is_kept_is_not_made_again_where_it_begins_a_reply(
    keeping: PiperEngine, voice_file: Path, tmp_path: Path
) -> None:
    """The voice leaves some of its sound to chance: what is the same has been made once."""
    before = await sound_of(keeping, SENTENCES[3], trim=True)
    await keeping.keep(SENTENCES[3])
    kept = await sound_of(keeping, SENTENCES[3], trim=True)
    assert before != kept == await sound_of(keeping, SENTENCES[3], trim=True)

    restarted = PiperEngine(voice_file, kept=tmp_path, threads=1)
    try:
        assert await sound_of(restarted, SENTENCES[3], trim=True) == kept
    finally:
        restarted.close()


async def test_what_is_kept_is_said_in_pieces_that_begin_short(keeping: PiperEngine) -> None:
    await keeping.keep(SENTENCES[0])
    assert 0.1 < len((await say(keeping, SENTENCES[0], trim=True))[0]) / RATE_HZ < 0.3


async def test_the_same_words_in_a_reply_or_at_another_pace_are_made_anew(
    keeping: PiperEngine,
) -> None:
    await keeping.keep(SENTENCES[3])
    kept = await sound_of(keeping, SENTENCES[3], trim=True)
    assert await sound_of(keeping, SENTENCES[3]) != kept
    assert len(await sound_of(keeping, SENTENCES[3], trim=True, speed=2.0)) < 0.7 * len(kept)


def empty_files(kept: Path) -> None:
    for file in kept.glob("*-said-*/*"):
        file.write_bytes(b"")


async def test_what_cannot_be_read_is_made_again(keeping: PiperEngine, tmp_path: Path) -> None:
    await keeping.keep(SENTENCES[3])
    empty_files(tmp_path)
    assert await sound_of(keeping, SENTENCES[3], trim=True)


async def test_where_nothing_can_be_kept_all_is_made(voice_file: Path, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("no folder")
    engine = PiperEngine(voice_file, kept=tmp_path / "kept", threads=1)
    try:
        await engine.keep(SENTENCES[3])
        assert await sound_of(engine, SENTENCES[3], trim=True)
    finally:
        engine.close()


async def test_words_that_are_kept_begin_where_they_did(keeping: PiperEngine) -> None:
    await keeping.keep(SENTENCES[0])
    kept = keeping.speak(SENTENCES[0], rate_hz=RATE_HZ, trim=True)
    [_ async for _ in kept]
    assert len(kept.begins_at) == len(SENTENCES[0].split())
    assert list(kept.begins_at) == sorted(kept.begins_at)


@pytest.fixture(scope="module")
def find_words() -> Iterator[Callable[[Samples], dict[str, float]]]:
    """What finds by speech recognition when each word of a sound begins."""
    files = find_local_files(load_settings(DEFAULT_CONFIG, {"profile": "offline"}))
    assert files.stt
    engine = WhisperEngine(files.stt, threads=1)

    def find(sound: Samples) -> dict[str, float]:
        segments, _ = engine._model.transcribe(sound, beam_size=1, word_timestamps=True)
        return {words(word.word)[0]: word.start for it in segments for word in it.words}

    # It starts threads, of which one is tqdm's and stays.
    find(np.zeros(SAMPLE_RATE_HZ, np.float32))
    yield find
    engine.close()


@pytest.mark.parametrize("trim", [False, True])
async def test_words_begin_where_speech_recognition_finds_them(
    engine: PiperEngine, find_words: Callable[[Samples], dict[str, float]], trim: bool
) -> None:
    away: list[float] = []
    for sentence in SENTENCES:
        speech = engine.speak(sentence, rate_hz=SAMPLE_RATE_HZ, trim=trim)
        sound = pcm_to_samples(b"".join([piece async for piece in speech]))
        found = await asyncio.to_thread(find_words, sound)
        assert len(speech.begins_at) == len(sentence.split())
        begins = dict(zip(words(sentence), speech.begins_at, strict=True))
        away += [begins[word] - found[word] for word in begins.keys() & found.keys()]
    assert len(away) > 20
    assert np.median(np.abs(away)) < 0.1
    assert np.percentile(np.abs(away), 90) < 0.3
