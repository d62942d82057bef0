"""What clients are sent as sound, made of PCM (16-bit, one channel) as that comes.

An encoder does at once what it is asked. A second of sound costs 1 to 10 ms on a slow core
(tests/bench/audio.py), so sound can be encoded on the event loop while it is made; minutes at a
time cannot.
"""

from typing import Literal, Protocol

import av
from av import AudioCodecContext, CodecContext

from engines.audio.pcm import PcmResampler, pcm_frame

TELEPHONE_HZ = 8_000

MP3_RATES_HZ = (16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
"""Those of MPEG 1 and 2. At lower ones there are not that many bits."""

MP3_BIT_RATE = 128_000
MP3_PIECE_BYTES = 4_096
"""256 ms."""

OPUS_RATES_HZ = (8_000, 12_000, 16_000, 24_000, 48_000)
OPUS_BIT_RATE = 32_000
OPUS_PIECE_MS = 60
"""A packet has 20 ms, and a cluster of them 20 bytes more."""


class AudioEncoder(Protocol):
    """Codes one sound."""

    def feed(self, pcm: bytes) -> list[bytes]:
        """Return the pieces that are ready; `pcm` may end in the middle of a sample."""
        ...

    def finish(self) -> list[bytes]:
        """Return the last pieces. There is no other sound behind them."""
        ...


class PcmEncoder:
    """PCM at another rate.

    Args:
        rate_hz: The rate of what is fed.
        out_rate_hz: The rate of what comes out.
    """

    def __init__(self, rate_hz: int, out_rate_hz: int) -> None:
        self._resampler = PcmResampler(rate_hz, out_rate_hz)

    def feed(self, pcm: bytes) -> list[bytes]:
        """See `AudioEncoder`."""
        return _some(self._resampler.feed(pcm))

    def finish(self) -> list[bytes]:
        """See `AudioEncoder`."""
        return _some(self._resampler.finish())


class TelephoneEncoder:
    """G.711 at 8 kHz, without a header.

    Args:
        law: Which of the two.
        rate_hz: The rate of what is fed.
    """

    def __init__(self, law: Literal["mulaw", "alaw"], rate_hz: int) -> None:
        self._codec = _Codec(f"pcm_{law}", "s16", rate_hz, TELEPHONE_HZ)

    def feed(self, pcm: bytes) -> list[bytes]:
        """See `AudioEncoder`."""
        return _some(self._codec.feed(pcm))

    def finish(self) -> list[bytes]:
        """See `AudioEncoder`."""
        return _some(self._codec.finish())


class Mp3Encoder:
    """MP3 with 128 kbit/s, in pieces of 4,096 bytes, of which the last one is shorter.

    Args:
        rate_hz: The rate of what is fed.
    """

    def __init__(self, rate_hz: int) -> None:
        mp3_rate_hz = rate_hz if rate_hz in MP3_RATES_HZ else 24_000
        self._codec = _Codec("libmp3lame", "s16p", rate_hz, mp3_rate_hz, MP3_BIT_RATE)
        self._made = b""

    def feed(self, pcm: bytes) -> list[bytes]:
        """See `AudioEncoder`."""
        self._made += self._codec.feed(pcm)
        end = len(self._made) // MP3_PIECE_BYTES * MP3_PIECE_BYTES
        made, self._made = self._made[:end], self._made[end:]
        return _pieces(made)

    def finish(self) -> list[bytes]:
        """See `AudioEncoder`."""
        return _pieces(self._made + self._codec.finish())


class WebmEncoder:
    """Opus in WebM, which a browser plays while it comes; a piece has 60 ms.

    Args:
        rate_hz: The rate of what is fed.
    """

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz if rate_hz in OPUS_RATES_HZ else 48_000
        self._resampler = PcmResampler(rate_hz, self._rate_hz)
        self._file = _Memory()
        self._container = av.open(
            self._file,
            "w",
            format="webm",
            container_options={"live": "1", "cluster_time_limit": str(OPUS_PIECE_MS)},
        )
        self._stream = self._container.add_stream("libopus", rate=self._rate_hz, layout="mono")
        self._stream.bit_rate = OPUS_BIT_RATE

    def feed(self, pcm: bytes) -> list[bytes]:
        """See `AudioEncoder`."""
        self._mux(self._resampler.feed(pcm))
        return _some(self._file.taken())

    def finish(self) -> list[bytes]:
        """See `AudioEncoder`."""
        self._mux(self._resampler.finish())
        self._container.mux(self._stream.encode(None))
        self._container.close()
        return _some(self._file.taken())

    def _mux(self, pcm: bytes) -> None:
        if pcm:
            self._container.mux(self._stream.encode(pcm_frame(pcm, self._rate_hz)))


class _Codec:
    """A codec without a container, and the rate that it wants."""

    def __init__(
        self,
        name: str,
        sample_format: str,
        rate_hz: int,
        codec_hz: int,
        bit_rate: int | None = None,
    ) -> None:
        self._resampler = PcmResampler(rate_hz, codec_hz)
        codec = CodecContext.create(name, "w")
        assert isinstance(codec, AudioCodecContext)
        codec.format, codec.layout, codec.sample_rate = sample_format, "mono", codec_hz
        if bit_rate:
            codec.bit_rate = bit_rate
        self._codec = codec

    def feed(self, pcm: bytes) -> bytes:
        return self._encode(self._resampler.feed(pcm))

    def finish(self) -> bytes:
        last = self._encode(self._resampler.finish())
        return last + b"".join(map(bytes, self._codec.encode(None)))

    def _encode(self, pcm: bytes) -> bytes:
        if not pcm:
            return b""
        frame = pcm_frame(pcm, self._codec.sample_rate)
        return b"".join(map(bytes, self._codec.encode(frame)))


class _Memory:
    """A file of which what is written is taken away."""

    def __init__(self) -> None:
        self._written = b""

    def write(self, data: bytes) -> None:
        self._written += data

    def taken(self) -> bytes:
        taken, self._written = self._written, b""
        return taken


def _some(data: bytes) -> list[bytes]:
    return [data] if data else []


def _pieces(data: bytes) -> list[bytes]:
    return [data[at : at + MP3_PIECE_BYTES] for at in range(0, len(data), MP3_PIECE_BYTES)]
