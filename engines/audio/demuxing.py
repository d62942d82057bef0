"""A file that is taken apart and decoded on a thread, while it arrives."""

from contextlib import closing
from threading import Thread
from typing import Any, cast

import av
from av import AudioFrame, AudioLayout, AudioStream, Packet
from av.container import InputContainer

from engines.audio.error import (
    AudioError,
    Damaged,
    TooDense,
    Truncated,
    UnknownFormat,
    UnsupportedRate,
)
from engines.audio.formats import FileFormat
from engines.audio.pcm import ToPcm
from engines.audio.pipe import Pipe

MIN_RATE_HZ, MAX_RATE_HZ = 4_000, 192_000

MIN_BYTES_PER_SEC = 100
"""What has fewer is no sound. Silence, as Chromium records it, has 230."""

MAX_SECS_AT_ONCE = 600
"""How much sound may come out of one piece."""

LAYOUTS = ("mono", "stereo", "1 channels", "2 channels")

STREAMED = {
    # As little as may be is read, and held back, to find out what the header does not tell.
    "probesize": "32",
    "analyzeduration": "1",
    # Bytes of what is kept for winding back, which nobody does.
    "indexmem": "65536",
    "max_streams": "8",
    # No file opens another one.
    "protocol_whitelist": "none",
}

_kept_layouts: list[AudioLayout] = []
"""PyAV frees the memory of some unusual layouts twice (before 19.1): they are not let go."""


class Demuxer(Thread):
    """Makes PCM of the sound in a file that is written to a pipe.

    Args:
        file_format: Of the file.
        head: How it begins; to be written, too.
        out_rate_hz: The rate of the PCM.

    Attributes:
        pipe: Where to write. Only while `write` waits do the others change.
        pcm: What has been made; to be taken away.
        error: What was wrong, once the pipe has been left; None if nothing was.
    """

    def __init__(self, file_format: FileFormat, head: bytes, out_rate_hz: int) -> None:
        super().__init__(name="audio-demuxer", daemon=True)
        self.pipe = Pipe(stops_once=file_format.is_looked_into(head), padding=file_format.padding)
        self.pcm = bytearray()
        self.error: AudioError | None = Damaged(f"The {file_format.name} file cannot be decoded.")
        self._format = file_format
        self._out_rate_hz = out_rate_hz
        self._to_pcm = ToPcm(out_rate_hz)
        self._secs = 0.0

    def run(self) -> None:
        """Decode until the end of the pipe, or an error."""
        try:
            self.pipe.open()
            self._decode()
            if self.pipe.is_over:
                self.error = None
        except AudioError as error:
            self.error = error
        except (av.FFmpegError, ValueError) as error:
            self.error = self._told(error)
        finally:
            self.pipe.leave()

    def _decode(self) -> None:
        options = {
            **STREAMED,
            **self._format.options,
            "codec_whitelist": ",".join(self._format.codecs),
        }
        with (
            av.open(
                self.pipe, "r", format=self._format.demuxer, container_options=options
            ) as container,
            # PyAV leaks some memory with an iterator that is dropped before its end.
            closing(cast(Any, container.demux(self._stream(container)))) as packets,
        ):
            for packet in packets:
                for frame in self._frames(packet):
                    self._hear(frame)
        if not self._secs:
            raise self._truncated()
        self.pcm += self._to_pcm.feed(None)

    def _frames(self, packet: "Packet[AudioStream]") -> list[AudioFrame]:
        if packet.size and self.pipe.is_over and self._format.padding:
            raise self._truncated()
        frames = packet.decode()
        _kept_layouts.extend(it.layout for it in frames if it.layout.name not in LAYOUTS)
        return frames

    def _stream(self, container: InputContainer) -> AudioStream:
        if not container.streams.audio:
            raise UnknownFormat(f"There is no sound in the {self._format.name} file.")
        stream = container.streams.audio[0]
        codec = stream.codec_context.name if stream.codec_context else "something unknown"
        if codec not in self._format.codecs:
            raise UnknownFormat(f"The sound in the {self._format.name} file is coded as {codec}.")
        return stream

    def _hear(self, frame: AudioFrame) -> None:
        if frame.layout.name not in LAYOUTS:
            raise UnknownFormat("Sound can have one channel, or two.")
        if not MIN_RATE_HZ <= frame.sample_rate <= MAX_RATE_HZ:
            raise UnsupportedRate(
                f"Sound in a file can have {MIN_RATE_HZ:,} to {MAX_RATE_HZ:,} Hz, "
                f"but not {frame.sample_rate:,}."
            )
        self._secs += frame.samples / frame.sample_rate
        dense = self._secs * MIN_BYTES_PER_SEC > self.pipe.written_bytes
        if dense or len(self.pcm) > 2 * self._out_rate_hz * MAX_SECS_AT_ONCE:
            raise TooDense("So few bytes do not hold so much sound.")
        self.pcm += self._to_pcm.feed(frame)

    def _told(self, error: av.FFmpegError | ValueError) -> AudioError:
        if self.pipe.is_over:
            return self._truncated()
        reason = error.strerror if isinstance(error, av.FFmpegError) else error
        return Damaged(f"The {self._format.name} file cannot be decoded: {reason}.{self._hint}")

    def _truncated(self) -> AudioError:
        where = "in the middle of a packet" if self._secs else "before its first sound"
        return Truncated(f"The {self._format.name} file ends {where}.{self._hint}")

    @property
    def _hint(self) -> str:
        return "" if self._secs else self._format.hint
