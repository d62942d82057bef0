"""Files of sound as clients send them, and what is in them when nothing is a stream."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO

import av
import numpy as np
import numpy.typing as npt
import soxr
from av.audio.stream import AudioStream

Pcm = npt.NDArray[np.int16]

FADE_SECS = 0.05
FRAGMENTS = {"movflags": "frag_keyframe+empty_moov+default_base_moof", "frag_duration": "200000"}


@dataclass(frozen=True)
class Kind:
    """How a file is made.

    Attributes:
        muxer: What makes it.
        codec: How its sound is coded.
        rate_hz: Of its sound.
        layout: Its channels, which all have the same sound.
        options: Of the muxer.
        seekable: Whether the muxer may go back to the beginning to fill in lengths.
        lag_ms: How much of the sound may be held back by what is not at its end yet.
    """

    muxer: str
    codec: str
    rate_hz: int = 48_000
    layout: str = "mono"
    options: Mapping[str, str] = field(default_factory=dict)
    seekable: bool = False
    lag_ms: float = 5


KINDS = {
    "webm": Kind("webm", "libopus", options={"live": "1", "cluster_time_limit": "100"}),
    "webm with lengths": Kind("webm", "libopus", seekable=True),
    "webm in stereo": Kind("webm", "libopus", layout="stereo"),
    "ogg": Kind("ogg", "libopus", options={"page_duration": "200000"}),
    "ogg at 16 kHz": Kind("ogg", "libopus", rate_hz=16_000, options={"page_duration": "200000"}),
    # Of 1,024 bytes.
    "wav": Kind("wav", "pcm_s16le", lag_ms=15),
    "wav with lengths": Kind("wav", "pcm_s16le", seekable=True),
    "wav at 8 kHz": Kind("wav", "pcm_mulaw", rate_hz=8_000, lag_ms=135),
    "wav in stereo": Kind("wav", "pcm_s24le", rate_hz=44_100, layout="stereo", seekable=True),
    "wav of floats": Kind("wav", "pcm_f32le", rate_hz=16_000, layout="stereo", lag_ms=15),
    # Of 1,024 bytes, and a frame.
    "mp3": Kind("mp3", "libmp3lame", lag_ms=100),
    "mp3 with lengths": Kind("mp3", "libmp3lame", rate_hz=44_100, seekable=True, lag_ms=110),
    "aac": Kind("adts", "aac"),
    "mp4": Kind("mp4", "aac", options=FRAGMENTS),
    "mp4 at 44.1 kHz": Kind("mp4", "aac", rate_hz=44_100, layout="stereo", options=FRAGMENTS),
    "mp4 with opus": Kind("mp4", "libopus", options=FRAGMENTS),
}


def sound(rate_hz: int, secs: float = 1) -> Pcm:
    """Return a sweep from 200 to 3,000 Hz and a tone, which begin and end without a click."""
    at = np.arange(round(secs * rate_hz)) / rate_hz
    sweep = np.sin(2 * np.pi * (200 * at + 1_400 * at**2 / secs))
    fade = np.minimum(1, np.minimum(at, at[::-1]) / FADE_SECS)
    return (fade * (8_000 * sweep + 3_000 * np.sin(2 * np.pi * 700 * at))).astype(np.int16)


def file_of(kind: Kind, pcm: Pcm) -> bytes:
    """Return a file with this sound."""
    written = BytesIO() if kind.seekable else _Socket()
    with av.open(written, "w", format=kind.muxer, options=dict(kind.options)) as container:
        stream = container.add_stream(kind.codec, rate=kind.rate_hz, layout=kind.layout)
        assert isinstance(stream, AudioStream)
        channels = stream.layout.nb_channels
        for piece in np.array_split(pcm, len(pcm) // 500):
            frame = av.AudioFrame.from_ndarray(np.repeat(piece, channels)[None], "s16", kind.layout)
            frame.sample_rate = kind.rate_hz
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return written.getvalue()


def decoded(file: bytes, rate_hz: int) -> Pcm:
    """Return the sound of a file, decoded and brought to another rate as a whole."""
    with av.open(BytesIO(file)) as container:
        frames = list(container.decode(audio=0))
    resampler = av.AudioResampler("s16", "mono")
    pcm = np.concatenate([it.to_ndarray()[0] for f in frames for it in resampler.resample(f)])
    return resampled(pcm, frames[0].sample_rate, rate_hz)


def resampled(pcm: Pcm, from_hz: int, to_hz: int) -> Pcm:
    """Return a sound at another rate, made of it as a whole."""
    return soxr.resample(pcm, from_hz, to_hz, quality="VHQ")


def error_db(heard: bytes, meant: Pcm) -> float:
    """Return how loud the difference is, beside what was meant, as far as both go."""
    pcm = np.frombuffer(heard, np.int16).astype(float)
    count = min(len(pcm), len(meant))
    difference = pcm[:count] - meant[:count]
    return float(10 * np.log10(np.mean(difference**2) / np.mean(meant.astype(float) ** 2) + 1e-15))


class _Socket:
    """Where nothing can be changed that was written."""

    def __init__(self) -> None:
        self._written = bytearray()

    def write(self, data: bytes) -> None:
        self._written += data

    def getvalue(self) -> bytes:
        return bytes(self._written)
