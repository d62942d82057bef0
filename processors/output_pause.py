"""Holds the bot's tongue while it is not yet clear whether the user interrupts."""

import asyncio

import numpy as np
from pipecat.audio.filters.base_audio_filter import BaseAudioFilter
from pipecat.frames.frames import FilterControlFrame

FADE_SECS = 0.01
"""Speech that is cut in the middle of a wave clicks."""


class OutputPause(BaseAudioFilter):
    """Pauses what a transport plays, at once, and lets it go on where it was.

    To be given to an output transport as its filter, which hears every chunk (16-bit PCM, mono)
    right before it is played: while it waits, the transport plays nothing, and does not say that
    the bot has stopped speaking.
    """

    def __init__(self) -> None:
        self._fade_samples = 0
        self._may_play = asyncio.Event()
        self._may_play.set()
        self._cut: bytes | None = None
        self._drops = 0

    async def start(self, sample_rate: int) -> None:
        """Get ready for audio of so many Hz."""
        self._fade_samples = round(sample_rate * FADE_SECS)

    async def stop(self) -> None:
        """Hold nothing back any more."""
        self.drop()

    async def process_frame(self, frame: FilterControlFrame) -> None:
        """Take no orders from the pipeline, where they queue behind the audio."""

    def pause(self) -> None:
        """Fall silent with the next chunk."""
        self._may_play.clear()

    def resume(self) -> None:
        """Go on, with the chunk that was cut."""
        self._may_play.set()

    def drop(self) -> None:
        """Let play what comes, but nothing that was paused: the bot has been interrupted."""
        self._drops += 1
        self._cut = None
        self._may_play.set()

    async def filter(self, audio: bytes) -> bytes:
        """Return what is to be played now in the place of a chunk; nothing if it was dropped."""
        if self._cut is None:
            if self._may_play.is_set():
                return audio
            self._cut = audio
            return self._fade(audio, out=True)
        drops = self._drops
        await self._may_play.wait()
        if self._drops != drops:
            return b""
        cut, self._cut = self._cut, None
        return self._fade(cut) + audio

    def _fade(self, audio: bytes, *, out: bool = False) -> bytes:
        """Return a chunk faded in at its beginning, or faded out there and silent from then on."""
        samples = np.frombuffer(audio, np.int16).astype(np.float32)
        fade = np.linspace(0, 1, min(self._fade_samples, samples.size), dtype=np.float32)
        gain = np.pad(fade, (0, samples.size - fade.size), constant_values=1)
        return bytes((samples * (1 - gain if out else gain)).astype(np.int16))
