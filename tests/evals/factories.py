"""Offline voices and ears for `pipecat eval`, whose own come from a hub."""

from typing import Any

from bots.models import ModelStore, default_models_dir, load_manifest
from engines.piper import PiperEngine
from engines.whisper import WhisperEngine
from processors.piper_tts import PiperTTS
from processors.whisper_stt import WhisperSTT

_store = ModelStore(default_models_dir(), load_manifest())


def speech(_config: dict[str, Any]) -> PiperTTS:
    """Make the voice of the simulated user."""
    voice, kept = _store.file("piper-joe"), _store.directory / "kept"
    return PiperTTS(PiperEngine(voice, kept=kept, threads=1))


def transcription(_config: dict[str, Any]) -> WhisperSTT:
    """Make the ears that hear the bot."""
    return WhisperSTT(WhisperEngine(_store.path("whisper-tiny.en"), threads=1))
