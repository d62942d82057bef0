"""Holds the bot's tongue while it is not yet clear whether the user interrupts."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from contextlib import suppress

import numpy as np
from pipecat.audio.filters.base_audio_filter import BaseAudioFilter
from pipecat.frames.frames import FilterControlFrame

FADE_SECS = 0.01
"""Speech that is cut in the middle of a wave clicks."""

SILENT_SECS = 0.1
"""A bot that has played nothing for so long is silent: what it is about to say is not cut, but
begun later."""

MAX_PAUSE_SECS = 10.0
"""Longest pause: whoever made it has been cut off from what would end it."""


class OutputPause(BaseAudioFilter):
    """Pauses what a transport plays, at once, and lets it go on where it was.

    To be given to an output transport as its filter, which hears every chunk (16-bit PCM, mono)
    right before it is played: while it waits, the transport plays nothing, and does not say that
    the bot has stopped speaking.

    Attributes:
        meanwhile: Called with silence again and again while it waits, to play something else for
            so long; None to play nothing.
    """

    def __init__(self) -> None:
        self.meanwhile: Callable[[bytes], Awaitable[None]] | None = None
        self._fade_samples = 0
        self._may_play = asyncio.Event()
        self._may_play.set()
        self._cut: bytes | None = None
        self._drops = 0
        self._played_at = -math.inf

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
        if not self._may_play.is_set():
            if self._cut is None and _now() - self._played_at <= SILENT_SECS:
                self._cut = audio
                return self._fade(audio, out=True)
            drops = self._drops
            with suppress(TimeoutError):
                await asyncio.wait_for(self._until_it_may_play(bytes(len(audio))), MAX_PAUSE_SECS)
            self._may_play.set()
            if self._drops != drops:
                return b""
        self._played_at = _now()
        cut, self._cut = self._cut, None
        return audio if cut is None else self._fade(cut) + audio

    async def _until_it_may_play(self, silence: bytes) -> None:
        while self.meanwhile and not self._may_play.is_set():
            await self.meanwhile(silence)
        await self._may_play.wait()

    def _fade(self, audio: bytes, *, out: bool = False) -> bytes:
        """Return a chunk faded in at its beginning, or faded out there and silent from then on."""
        samples = np.frombuffer(audio, np.int16).astype(np.float32)
        fade = np.linspace(0, 1, min(self._fade_samples, samples.size), dtype=np.float32)
        gain = np.pad(fade, (0, samples.size - fade.size), constant_values=1)
        return bytes((samples * (1 - gain if out else gain)).astype(np.int16))


def _now() -> float:
    return asyncio.get_running_loop().time()
