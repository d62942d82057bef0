"""Offline voices and ears for `pipecat eval`, whose own come from a hub."""

from collections.abc import AsyncGenerator
from typing import Any

import soxr
from pipecat.frames.frames import Frame, TTSAudioRawFrame
from pipecat.services.settings import TTSSettings
from pipecat.services.tts_service import TTSService
from piper import PiperVoice

from bots.models import ModelStore, default_models_dir, load_manifest
from engines.whisper import WhisperEngine
from processors.whisper_stt import WhisperSTT
from runner.clients.client import SAMPLE_RATE_HZ
from tests.speech import Speaker

_store = ModelStore(default_models_dir(), load_manifest())


class SimulatedUser(TTSService):
    """Says the same words always alike, so that they are always understood alike."""

    def __init__(self, speaker: Speaker) -> None:
        super().__init__(settings=TTSSettings(model=None, voice=None, language=None))
        self._speaker = speaker

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        said = soxr.resample(await self._speaker.say(text), SAMPLE_RATE_HZ, self.sample_rate)
        yield TTSAudioRawFrame(said.tobytes(), self.sample_rate, 1, context_id=context_id)


def speech(_config: dict[str, Any]) -> SimulatedUser:
    """Make the voice of the simulated user."""
    return SimulatedUser(Speaker(PiperVoice.load(_store.file("piper-joe"))))


def transcription(_config: dict[str, Any]) -> WhisperSTT:
    """Make the ears that hear the bot."""
    return WhisperSTT(WhisperEngine(_store.path("whisper-tiny.en"), threads=1))
