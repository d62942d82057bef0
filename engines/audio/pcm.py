"""16-bit PCM of one channel, and the rates at which it is sent."""

import numpy as np
from av import AudioFrame, AudioResampler

from engines.audio.error import UnsupportedRate
from engines.audio.libav import bound_libav

RATES_HZ = (8_000, 16_000, 24_000, 44_100, 48_000)
"""At which clients may send it."""

FILTER = {"filter_size": "64"}
"""Of libswresample: 90 % of the band pass, what is above 110 % does not (-87 dB), and it looks 2 ms
ahead, to or from 8 kHz 4 ms. The filter of soxr is steeper, but holds back 37 to 155 ms."""

bound_libav()


def check_rate(rate_hz: int) -> None:
    """Refuse a rate that is none of `RATES_HZ`.

    Raises:
        UnsupportedRate: Then.
    """
    if rate_hz not in RATES_HZ:
        known = ", ".join(f"{known:,}" for known in RATES_HZ)
        raise UnsupportedRate(f"Sound cannot have {rate_hz:,} Hz here, but one of {known}.")


def pcm_frame(pcm: bytes, rate_hz: int) -> AudioFrame:
    """Return PCM as libav has it."""
    frame = AudioFrame.from_ndarray(np.frombuffer(pcm, np.int16)[None], "s16", "mono")
    frame.sample_rate = rate_hz
    return frame


class ToPcm:
    """Makes PCM of frames that follow each other and are of one kind, whichever that is.

    Args:
        rate_hz: The rate of the PCM.
    """

    def __init__(self, rate_hz: int) -> None:
        self._resampler = AudioResampler("s16", "mono", rate_hz, options=FILTER)

    def feed(self, frame: AudioFrame | None) -> bytes:
        """Return what can be told by now; after the last frame, of None, what was held back.

        Raises:
            ValueError: If a frame is not like the first one.
        """
        made = self._resampler.resample(frame)
        return b"".join(it.to_ndarray().tobytes() for it in made if it)


class PcmResampler:
    """Brings PCM to another rate as it comes, without a seam where it is cut.

    Args:
        from_hz: The rate that it has.
        to_hz: The rate that it gets.
    """

    def __init__(self, from_hz: int, to_hz: int) -> None:
        self._from_hz = from_hz
        self._to_pcm = ToPcm(to_hz)
        self._half = b""

    def feed(self, pcm: bytes) -> bytes:
        """Return what can be told by now; `pcm` may end in the middle of a sample."""
        pcm = self._half + pcm
        end = len(pcm) // 2 * 2
        self._half = pcm[end:]
        return self._to_pcm.feed(pcm_frame(pcm[:end], self._from_hz)) if end else b""

    def finish(self) -> bytes:
        """Return what was held back."""
        return self._to_pcm.feed(None)
