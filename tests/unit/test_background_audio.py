"""What is heard behind the bot's voice, to the sample."""

import asyncio
import wave
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pipecat.audio.vad.vad_analyzer import VADParams

from bots.config import AudioConfig, SoundConfig
from bots.errors import ConfigError
from bots.registry import BOTS_DIR, Bot
from bots.sounds import check_sounds, make_background
from processors.background_audio import (
    CUT_SECS,
    FADE_SECS,
    PAUSE_SECS,
    BackgroundAudio,
    Sound,
    loop,
)
from processors.shared_vad import SpeechModels
from scripts import sounds
from tests import virtual_time

RATE = 16000
CHUNK = RATE // 50
SILENCE = bytes(2 * CHUNK)
LEVEL = 8000
VOLUME = 0.5
SOFT = VOLUME * LEVEL
FADE_CHUNKS = round(FADE_SECS * 50)

Check = Callable[[BackgroundAudio], Coroutine[Any, Any, None]]


def write(path: Path, samples: np.ndarray) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.astype(np.int16).tobytes())
    return path


@pytest.fixture
def sound(tmp_path: Path) -> Sound:
    """A sound that is as loud at any time."""
    return Sound(write(tmp_path / "even.wav", np.full(3 * RATE, LEVEL)), VOLUME)


def run(background: BackgroundAudio, check: Check) -> None:
    background.think(False)
    # Sounds are read in a thread, which knows no virtual time.
    asyncio.run(background.start(RATE))
    virtual_time.run(check(background))


def voice(level: int) -> bytes:
    return np.full(CHUNK, level, np.int16).tobytes()


async def heard(background: BackgroundAudio, *chunks: bytes) -> np.ndarray:
    return np.frombuffer(b"".join([await background.mix(chunk) for chunk in chunks]), np.int16)


def test_thinking_is_heard_more_and_more_and_is_gone_with_the_first_word(sound: Sound) -> None:
    async def check(background: BackgroundAudio) -> None:
        background.think(True)
        rising = await heard(background, *[SILENCE] * FADE_CHUNKS)
        assert np.all(np.diff(rising) >= 0)
        assert 0 <= rising[0] < 10
        assert rising[-1] == pytest.approx(SOFT, abs=2)
        assert np.all(await heard(background, SILENCE) == SOFT)

        first = await heard(background, voice(1000))
        cut = round(CUT_SECS * RATE)
        assert np.all(np.diff(first[:cut]) < 0)
        assert np.all(first[cut:] == 1000)
        background.think(False)
        assert np.all(await heard(background, voice(1000)) == 1000)

    run(BackgroundAudio(sound, None), check)


def test_thinking_that_leads_to_nothing_fades_out(sound: Sound) -> None:
    async def check(background: BackgroundAudio) -> None:
        background.think(True)
        await heard(background, *[SILENCE] * FADE_CHUNKS)
        background.think(False)
        falling = await heard(background, *[SILENCE] * FADE_CHUNKS)
        assert len(falling) == FADE_CHUNKS * CHUNK
        assert np.all(np.diff(falling) <= 0)
        assert falling[len(falling) // 2] == pytest.approx(SOFT / 2, rel=0.01)
        assert falling[-1] == pytest.approx(0, abs=2)

    run(BackgroundAudio(sound, None), check)


def test_ambience_is_heard_all_the_time_and_does_not_overflow(sound: Sound) -> None:
    async def check(background: BackgroundAudio) -> None:
        rising = await heard(background, *[SILENCE] * FADE_CHUNKS)
        assert rising[len(rising) // 2] == pytest.approx(SOFT / 2, rel=0.01)
        assert np.all(await heard(background, voice(1000)) == 1000 + SOFT)
        assert np.all(await heard(background, voice(32000)) == 32767)
        background.think(False)
        assert np.all(await heard(background, SILENCE) == SOFT)

    run(BackgroundAudio(None, sound), check)


def test_where_nothing_is_to_be_heard_nothing_is_played(sound: Sound) -> None:
    async def check(background: BackgroundAudio) -> None:
        began = asyncio.get_running_loop().time()
        assert not (await heard(background, *[SILENCE] * 50)).size
        assert asyncio.get_running_loop().time() - began == pytest.approx(1)

    run(BackgroundAudio(sound, None), check)


def test_pauses_of_the_bot_are_as_long_as_they_are(sound: Sound) -> None:
    async def check(background: BackgroundAudio) -> None:
        pause = [SILENCE] * 10
        spoken = await heard(background, voice(1000), *pause, voice(1000))
        assert len(spoken) == 12 * CHUNK
        assert await background.mix(SILENCE)
        await asyncio.sleep(PAUSE_SECS)
        assert not await background.mix(SILENCE)

    run(BackgroundAudio(sound, None), check)


def test_a_transport_that_does_not_wait_gets_no_more_than_is_played(sound: Sound) -> None:
    async def check(background: BackgroundAudio) -> None:
        began = asyncio.get_running_loop().time()
        await heard(background, *[SILENCE] * 51)
        assert asyncio.get_running_loop().time() - began == pytest.approx(1, abs=0.03)

        async def play_in_time() -> float:
            await asyncio.sleep(0.02)
            asked = asyncio.get_running_loop().time()
            await background.mix(SILENCE)
            return asyncio.get_running_loop().time() - asked

        assert not any([await play_in_time() for _ in range(50)])

    run(BackgroundAudio(None, sound), check)


def test_a_sound_begins_again_without_a_click(tmp_path: Path) -> None:
    secs = np.arange(round(1.2345 * RATE)) / RATE
    samples = loop(write(tmp_path / "a.wav", 8000 * np.sin(2 * np.pi * 317 * secs)), RATE)
    steps = np.abs(np.diff(samples))
    assert abs(samples[0] - samples[-1]) <= steps.max()


@pytest.mark.parametrize("make", sounds.SOUNDS, ids=lambda make: make.__name__)
class TestOurSounds:
    def test_are_what_the_script_makes(self, make: Callable[[], np.ndarray]) -> None:
        file = BOTS_DIR / "sounds" / f"{make.__name__}.ogg"
        kept, made = loop(file, sounds.RATE_HZ), make()
        made = made / np.abs(made).max() * sounds.PEAK * 32767
        fade = round(FADE_SECS * sounds.RATE_HZ)
        kept, made = kept[:-fade], made[fade:-fade]
        assert np.corrcoef(kept, made[: len(kept)])[0, 1] > 0.9
        assert file.stat().st_size < 100_000

    def test_are_not_taken_for_speech(self, make: Callable[[], np.ndarray]) -> None:
        vad = SpeechModels().vad(VADParams(), max_speech_secs=30)
        vad.set_sample_rate(RATE)
        samples = loop(BOTS_DIR / "sounds" / f"{make.__name__}.ogg", RATE).astype(np.int16)
        windows = samples[: len(samples) // 512 * 512].reshape(-1, 512)
        confidences = [np.max(vad.voice_confidence(window.tobytes())) for window in windows]
        assert np.mean(np.array(confidences) > 0.5) < 0.02


def test_a_user_may_want_it_otherwise() -> None:
    audio = AudioConfig()
    assert make_background(Bot("", ""), audio) is None
    assert make_background(Bot("", "", enable_thinking_sound=True), audio)
    heard_already = AudioConfig(thinking=SoundConfig(enabled=True, sound="pulse", volume=1))
    assert make_background(Bot("", "", enable_thinking_sound=False), heard_already) is None


def test_sounds_are_looked_at_before_any_call(tmp_path: Path) -> None:
    check_sounds(AudioConfig())
    words, short = tmp_path / "words.ogg", write(tmp_path / "short.wav", np.ones(RATE // 2))
    words.write_text("no sound")
    for path in (words, short, tmp_path / "nowhere.ogg"):
        with pytest.raises(ConfigError, match=r"audio\.ambience\.sound") as raised:
            check_sounds(AudioConfig(ambience=SoundConfig(sound=str(path), volume=1)))
        assert str(path) in str(raised.value)
