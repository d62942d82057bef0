"""What is heard besides voices in a call: which files, and how loud."""

from functools import lru_cache
from pathlib import Path

import av
import numpy as np

from bots.config import AudioConfig, SoundConfig
from bots.errors import ConfigError
from bots.registry import BOTS_DIR, Bot
from processors.background_audio import BackgroundAudio, Sound, loop, read_sound

RATE_HZ = 24_000
"""Of most calls: at which sounds are looked at before any call."""


def make_background(bot: Bot, audio: AudioConfig) -> BackgroundAudio | None:
    """Make what is heard behind a bot's voice; None if that is nothing."""
    thinking = audio.thinking
    if bot.enable_thinking_sound is not None:
        thinking = thinking.model_copy(update={"enabled": bot.enable_thinking_sound})
    if bot.thinking_volume is not None:
        thinking = thinking.model_copy(update={"volume": bot.thinking_volume})
    sounds = [_sound(config) for config in (thinking, audio.ambience)]
    return BackgroundAudio(*sounds) if any(sounds) else None


@lru_cache(maxsize=4)
def no_voice(rate_hz: int) -> bytes:
    """Return what is played where no voice works: 16-bit PCM, mono, at `rate_hz`."""
    samples = read_sound(_path("no_voice"), rate_hz)
    return samples.round().astype(np.int16).tobytes()


def check_sounds(audio: AudioConfig) -> None:
    """Make sure, before any call, that the sounds can be read, also those that a user may want.

    It reads files: to be run in a thread.

    Raises:
        ConfigError: If one cannot.
    """
    problems = []
    for name, config in (("thinking", audio.thinking), ("ambience", audio.ambience)):
        try:
            loop(_path(config.sound), RATE_HZ)
        except (OSError, ValueError, av.FFmpegError) as error:
            problems.append(f"voice.realtime.audio.{name}.sound: {config.sound}: {error}")
    if problems:
        raise ConfigError("the settings", problems)


def _sound(config: SoundConfig) -> Sound | None:
    return Sound(_path(config.sound), config.volume) if config.enabled else None


def _path(sound: str) -> Path:
    ours = BOTS_DIR / "sounds" / f"{sound}.ogg"
    return ours if ours.is_file() else Path(sound).expanduser()
