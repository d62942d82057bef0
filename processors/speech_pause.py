"""Hears that somebody pauses, some 150 ms before a voice activity detector is sure of it."""

import math

import numpy as np

WINDOW_SECS = 0.01
"""Length of the pieces whose level is measured: those of a packet of 20 ms need not wait for the
next one."""

PAUSE_WINDOWS = 6
"""Quiet windows in a row that make a pause: 60 ms. The closure of a "p" or "t" is shorter."""

PAUSE_SECS = PAUSE_WINDOWS * WINDOW_SECS

RESUME_WINDOWS = 3
"""Loud windows in a row that end a pause; a click is shorter."""

QUIET_SHARE = 0.2
"""Where quiet ends, between the level of the room (0) and that of the voice (1), in decibels."""

MIN_VOICE_DB = 12.0
"""By how much a voice is louder than the room, at least: before one is heard, all is quiet."""

ROOM_RISE_DB_PER_SEC = 2.0
VOICE_FALL_DB_PER_SEC = 6.0
"""How fast the levels of room and voice are forgotten, for somebody who walks or turns away."""

SILENCE_DB = -70.0
"""A room is no quieter than this: on a line without any noise, the voice would be heard dying away
for 25 ms longer."""


class PauseDetector:
    """Follows the level of one microphone.

    The levels of the room and of the voice are followed too, so that neither has to be known:
    the lowest and the highest of late, which drift towards each other.

    Args:
        sample_rate_hz: Of the audio that is heard.

    Attributes:
        paused: Whether the last 60 ms or more were quiet.
    """

    def __init__(self, sample_rate_hz: int) -> None:
        self._window_bytes = round(sample_rate_hz * WINDOW_SECS) * 2
        self._rest = b""
        self._room_db = 0.0
        self._voice_db = SILENCE_DB
        self._run = 0
        self._paused_windows = 0
        self.paused = True

    @property
    def paused_secs(self) -> float:
        """How long the pause has lasted, up to the last sample heard; while there is one."""
        return (self._paused_windows + len(self._rest) / self._window_bytes) * WINDOW_SECS

    @property
    def stirs(self) -> bool:
        """Whether the pause may be over: there was sound at last, if only for a moment."""
        return self.paused and self._run > 0

    def hear(self, pcm: bytes) -> None:
        """Take the next piece of audio, of any length: 16-bit PCM, mono."""
        pcm = self._rest + pcm
        whole = len(pcm) // self._window_bytes * self._window_bytes
        self._rest = pcm[whole:]
        windows = np.frombuffer(pcm[:whole], np.int16).reshape(-1, self._window_bytes // 2)
        # The mean, without the price of `np.mean`: this is done for every frame of every call.
        for energy in np.add.reduce(np.square(windows, dtype=np.float32), axis=1).tolist():
            power = energy / windows.shape[1]
            level_db = 10 * math.log10(power / 32768.0**2 + 1e-9)
            self._follow(max(level_db, SILENCE_DB))

    def _follow(self, level_db: float) -> None:
        self._room_db = min(level_db, self._room_db + ROOM_RISE_DB_PER_SEC * WINDOW_SECS)
        faded_db = self._voice_db - VOICE_FALL_DB_PER_SEC * WINDOW_SECS
        self._voice_db = max(level_db, faded_db, self._room_db + MIN_VOICE_DB)
        quiet_db = self._room_db + QUIET_SHARE * (self._voice_db - self._room_db)
        is_change = (level_db <= quiet_db) is not self.paused
        self._run = self._run + 1 if is_change else 0
        self._paused_windows += 1
        if self._run == (RESUME_WINDOWS if self.paused else PAUSE_WINDOWS):
            self.paused = not self.paused
            self._paused_windows = PAUSE_WINDOWS
            self._run = 0
