"""When Silero notices a voice as calls have it set, in the time of the audio."""

from collections.abc import AsyncIterator

import numpy as np
import pytest
import soxr
from pipecat.audio.vad.vad_analyzer import VADAnalyzer, VADState

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


async def voice(speaker: Speaker, *, gain: float = 1.0) -> np.ndarray:
    spoken = await speaker.say("No, that is not what I asked.")
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
