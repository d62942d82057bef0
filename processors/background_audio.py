"""Sounds behind the bot's voice: of the place where it is, and that it thinks."""

import asyncio
import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from pipecat.audio.mixers.base_audio_mixer import BaseAudioMixer
from pipecat.frames.frames import MixerControlFrame

FADE_SECS = 0.3
"""How long a sound takes to come and to go, and to go over from its end to its beginning."""

CUT_SECS = 0.01
"""How long it takes to go when the bot speaks: so that it does not click."""

PAUSE_SECS = 0.5
"""So long after the bot's voice, silence may be a pause of it, and is played."""

LONGEST_SECS = 120
"""Of a file; more would hardly be noticed, and takes memory."""

Samples = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Sound:
    """What is played over and over.

    Attributes:
        path: An audio file that FFmpeg reads.
        volume: 0 to 1, as it is in the file.
    """

    path: Path
    volume: float


class BackgroundAudio(BaseAudioMixer):
    """Mixes sounds into what a transport plays (16-bit PCM, mono).

    Args:
        thinking: Heard while the bot thinks, until its first word; None for nothing.
        ambience: Heard all the time; None for nothing.
    """

    def __init__(self, thinking: Sound | None, ambience: Sound | None) -> None:
        self._thinking = _Player(thinking) if thinking else None
        self._ambience = _Player(ambience) if ambience else None
        self._rate_hz = 0
        self._idle_at = self._voice_at = -math.inf

    async def start(self, sample_rate: int) -> None:
        """Load the sounds for audio of so many Hz, and let the ambience begin.

        Raises:
            OSError, av.FFmpegError: If a file cannot be read.
        """
        self._rate_hz = sample_rate
        for player in (self._thinking, self._ambience):
            if player:
                await player.load(sample_rate)
        if self._ambience:
            self._ambience.fade_in()

    async def stop(self) -> None:
        """Do nothing: there is nothing to close."""

    async def process_frame(self, frame: MixerControlFrame) -> None:
        """Take no orders from the pipeline, where they queue behind the audio."""

    def think(self, is_thinking: bool) -> None:
        """Let the sound of thinking be heard from now on, or no more."""
        if self._thinking and is_thinking:
            self._thinking.fade_in()
        elif self._thinking:
            self._thinking.fade_out(FADE_SECS)

    async def mix(self, audio: bytes) -> bytes:
        """Return a chunk with the sounds in it; nothing, after its time, if nothing is heard."""
        voice = np.frombuffer(audio, np.int16)
        now = asyncio.get_running_loop().time()
        if voice.any():
            self._voice_at = now
            if self._thinking:
                self._thinking.fade_out(CUT_SECS)
        players = [p for p in (self._thinking, self._ambience) if p and p.is_audible]
        if now - self._voice_at >= PAUSE_SECS:
            await self._wait(len(voice) / self._rate_hz, now, is_silent=not players)
            if not players:
                return b""
        if not players:
            return audio
        mixed = sum((player.play(len(voice)) for player in players), voice.astype(np.float32))
        return np.clip(mixed, -32768, 32767).astype(np.int16).tobytes()

    async def _wait(self, secs: float, now: float, *, is_silent: bool) -> None:
        """Let the time of a chunk go by that nobody plays: else more would be asked for at once.

        Transports without a client, and those that get no audio, do not wait.
        """
        if is_silent or now - self._idle_at < secs / 2:
            await asyncio.sleep(secs)
            now += secs
        self._idle_at = now


class _Player:
    """Plays one sound over and over, and fades it in and out."""

    def __init__(self, sound: Sound) -> None:
        self._sound = sound
        self._samples: Samples = np.zeros(1, np.float32)
        self._rate_hz = 0
        self._position = 0
        self._gain = self._goal = 0.0
        self._fade_secs = FADE_SECS

    @property
    def is_audible(self) -> bool:
        return self._gain > 0 or self._goal > 0

    async def load(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._samples = await asyncio.to_thread(loop, self._sound.path, rate_hz)

    def fade_in(self) -> None:
        if not self.is_audible:
            self._position = 0
        self._fade(self._sound.volume, FADE_SECS)

    def fade_out(self, secs: float) -> None:
        self._fade(0.0, secs)

    def _fade(self, goal: float, secs: float) -> None:
        # Who is told to go at once, and then to go, has gone.
        self._fade_secs = min(secs, self._fade_secs) if goal == self._goal else secs
        self._goal = goal

    def play(self, count: int) -> Samples:
        """Return so many samples, and be that much further."""
        places = np.arange(self._position, self._position + count) % len(self._samples)
        self._position = (self._position + count) % len(self._samples)
        step = self._sound.volume / (self._fade_secs * self._rate_hz)
        steps = np.arange(1, count + 1, dtype=np.float32) * step
        if self._gain < self._goal:
            gains = np.minimum(self._gain + steps, self._goal)
        else:
            gains = np.maximum(self._gain - steps, self._goal)
        self._gain = float(gains[-1]) if count else self._gain
        played: Samples = self._samples[places] * gains
        return played


def read_sound(path: Path, rate_hz: int) -> Samples:
    """Read an audio file.

    Args:
        path: Of at most some minutes.
        rate_hz: Which sample rate to bring it to.

    Returns:
        One channel, in the range of 16 bits.

    Raises:
        OSError: If the file cannot be read.
        av.FFmpegError: If it is no audio file.
        ValueError: If it is too long.
    """
    resampler = av.AudioResampler(format="s16", layout="mono", rate=rate_hz)
    pieces = []
    with av.open(str(path)) as container:
        if not container.streams.audio:
            raise ValueError("there is no audio in it")
        for frame in container.decode(audio=0):
            pieces += [out.to_ndarray()[0] for out in resampler.resample(frame)]
            if (frame.time or 0) > LONGEST_SECS:
                raise ValueError(f"it is longer than {LONGEST_SECS} s")
    pieces += [out.to_ndarray()[0] for out in resampler.resample(None)]
    samples: Samples = np.concatenate(pieces).astype(np.float32)
    return samples


@lru_cache(maxsize=16)
def loop(path: Path, rate_hz: int) -> Samples:
    """Read a sound so that it can be played over and over: its end goes over into its beginning.

    Args:
        path: An audio file of at least 0.6 s.
        rate_hz: Which sample rate to bring it to.

    Returns:
        One channel, in the range of 16 bits.

    Raises:
        OSError: If the file cannot be read.
        av.FFmpegError: If it is no audio file.
        ValueError: If it is too short or too long.
    """
    samples = read_sound(path, rate_hz)
    fade = round(FADE_SECS * rate_hz)
    if len(samples) < 2 * fade:
        raise ValueError(f"it is shorter than {2 * FADE_SECS} s")
    rising = np.linspace(0, 1, fade, dtype=np.float32)
    seam = samples[-fade:] * np.sqrt(1 - rising) + samples[:fade] * np.sqrt(rising)
    samples = np.concatenate([samples[fade:-fade], seam])
    samples.flags.writeable = False
    return samples
