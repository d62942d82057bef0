"""When Silero notices a voice as calls have it set, in the time of the audio."""

from collections.abc import AsyncIterator

import numpy as np
import pytest
import soxr
from pipecat.audio.vad.vad_analyzer import VADAnalyzer, VADParams, VADState

from bots.config import InterruptionConfig, TurnConfig, VadConfig
from bots.pipeline import user_params
from processors.output_pause import OutputPause
from processors.shared_vad import SpeechModels
from tests.speech import Speaker

RATE = 16000
PIECE = RATE // 50
VOICED = 300


@pytest.fixture
async def vad() -> AsyncIterator[VADAnalyzer]:
    params = user_params(
        SpeechModels(),
        OutputPause(),
        own_turns=None,
        words_judge=None,
        read_along=None,
        ahead_from=0.0,
        vad=VadConfig(),
        turn=TurnConfig(),
        interruptions=InterruptionConfig(),
        idle_secs=None,
    )
    assert params.vad_analyzer
    params.vad_analyzer.set_sample_rate(RATE)
    yield params.vad_analyzer
    await params.vad_analyzer.cleanup()


async def noticed_secs(vad: VADAnalyzer, pcm: np.ndarray) -> float | None:
    """Return how long after its first sample a voice is noticed that comes out of silence."""
    audio = np.concatenate([np.zeros(RATE, np.int16), pcm])
    for end in range(PIECE, len(audio), PIECE):
        state = await vad.analyze_audio(audio[end - PIECE : end].tobytes())
        if state is VADState.SPEAKING:
            return end / RATE - 1
    return None


async def voice(
    speaker: Speaker, words: str = "No, that is not what I asked.", *, gain: float = 1.0
) -> np.ndarray:
    spoken = await speaker.say(words)
    spoken = spoken[np.flatnonzero(np.abs(spoken.astype(int)) > VOICED)[0] :]
    pcm = soxr.resample(spoken.astype(np.float32), 48000, RATE) * gain
    return pcm.astype(np.int16)


async def test_a_voice_out_of_digital_silence_is_noticed_at_once(
    vad: VADAnalyzer, speaker: Speaker
) -> None:
    noticed = await noticed_secs(vad, await voice(speaker))
    assert noticed is not None
    assert noticed < 0.17


async def test_a_voice_that_is_hardly_there_is_not_heard(
    vad: VADAnalyzer, speaker: Speaker
) -> None:
    assert await noticed_secs(vad, await voice(speaker, gain=0.007)) is None


@pytest.mark.parametrize(("max_speech_secs", "pieces"), [(3, 3), (30, 1)])
async def test_speech_without_a_pause_is_taken_in_pieces(
    speaker: Speaker, max_speech_secs: float, pieces: int
) -> None:
    audio = np.tile(await voice(speaker, "We were all away a year ago on our yellow lorry."), 3)
    vad = SpeechModels().vad(VADParams(), max_speech_secs=max_speech_secs)
    vad.set_sample_rate(RATE)
    states = [
        await vad.analyze_audio(audio[end - PIECE : end].tobytes())
        for end in range(PIECE, 7 * RATE, PIECE)
    ]
    await vad.cleanup()
    speaks = "".join(" x"[state in (VADState.SPEAKING, VADState.STOPPING)] for state in states)
    assert len(speaks.split()) == pieces
    longest_secs = max(map(len, speaks.split())) * PIECE / RATE
    assert longest_secs < max_speech_secs + vad.params.stop_secs
