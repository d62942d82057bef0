"""What clients send as sound, made into PCM as it comes: 16-bit, one channel, at one rate.

A decoder does at once what it is asked, and waits for nothing else. A second of sound costs 0.5 to
8 ms on a slow core (tests/bench/audio.py), so pieces of a stream can be decoded on the event loop;
whole files cannot.
"""

from typing import Literal, Protocol

from av import AudioCodecContext, AudioLayout, CodecContext, Packet

from engines.audio.demuxing import Demuxer
from engines.audio.error import AudioError, Damaged, Truncated, UnknownFormat
from engines.audio.formats import HEAD_BYTES, recognized
from engines.audio.ogg import OggPages
from engines.audio.pcm import PcmResampler, check_rate

RawEncoding = Literal["pcm16", "mulaw", "alaw"]

MAX_SILENT_BYTES = 1 << 18
"""How much of a file may hold no sound: an MP3 may begin with a picture."""


class AudioDecoder(Protocol):
    """Decodes one sound: one utterance, or one that goes on."""

    def feed(self, data: bytes) -> bytes:
        """Return the sound of what comes next; it may be cut anywhere.

        Raises:
            AudioError: When the sound in front of what is wrong has been returned. The decoder is
                of no use any more.
        """
        ...

    def finish(self) -> bytes:
        """Return what was held back: the sound has ended.

        Raises:
            AudioError: If it cannot have ended there.
        """
        ...

    def close(self) -> None:
        """Leave nothing running. It is to be called, unless there was an error or it has ended."""
        ...


class RawDecoder:
    """Decodes sound that comes without a header.

    Args:
        encoding: How it is coded.
        rate_hz: Its rate.
        out_rate_hz: The rate of the PCM.

    Raises:
        UnsupportedRate: If it cannot have that rate.
    """

    def __init__(self, encoding: RawEncoding, rate_hz: int, out_rate_hz: int) -> None:
        check_rate(rate_hz)
        self._resampler = PcmResampler(rate_hz, out_rate_hz)
        self._codec = None if encoding == "pcm16" else _codec(encoding, rate_hz)
        self._is_half = False

    def feed(self, data: bytes) -> bytes:
        """See `AudioDecoder`."""
        if self._codec and data:
            frames = self._codec.decode(Packet(data))
            data = b"".join(frame.to_ndarray().tobytes() for frame in frames)
        self._is_half ^= len(data) % 2 == 1
        return self._resampler.feed(data)

    def finish(self) -> bytes:
        """See `AudioDecoder`."""
        if self._is_half:
            raise Truncated("The sound ends in the middle of a sample.")
        return self._resampler.finish()

    def close(self) -> None:
        """See `AudioDecoder`."""


def _codec(law: str, rate_hz: int) -> AudioCodecContext:
    codec = CodecContext.create(f"pcm_{law}", "r")
    assert isinstance(codec, AudioCodecContext)
    codec.sample_rate, codec.layout = rate_hz, AudioLayout("mono")
    return codec


class FileDecoder:
    """Decodes a WebM, Ogg, WAV, MP3, MP4 or AAC file that comes piece by piece.

    Once it is known which one, a thread belongs to it until `finish`, `close` or an error.

    Args:
        out_rate_hz: The rate of the PCM.
    """

    def __init__(self, out_rate_hz: int) -> None:
        self._out_rate_hz = out_rate_hz
        self._head = b""
        self._demuxer: Demuxer | None = None
        self._pages: OggPages | None = None
        self._error: AudioError | None = None
        self._silent_bytes = 0

    def feed(self, data: bytes) -> bytes:
        """See `AudioDecoder`."""
        if self._error:
            raise self._error
        self._silent_bytes += len(data)
        if not self._demuxer:
            data = self._head = self._head + data
            self._demuxer = self._begin()
        if self._pages:
            self._pages.feed(data)
        pcm = self._turn(data) if self._demuxer else b""
        if pcm:
            self._silent_bytes = 0
            return pcm
        if self._silent_bytes > MAX_SILENT_BYTES:
            self.close()
            self._error = Damaged(f"There is no sound in {self._silent_bytes:,} bytes.")
        if self._error:
            raise self._error
        return b""

    def finish(self) -> bytes:
        """See `AudioDecoder`."""
        pcm = self._turn(None) if self._demuxer else b""
        if self._error:
            raise self._error
        if self._head and not self._demuxer:
            raise Truncated("The file ends before its first sound.")
        if self._pages and self._pages.is_cut:
            raise Truncated("The Ogg file ends in the middle of a page.")
        return pcm

    def close(self) -> None:
        """See `AudioDecoder`."""
        if self._demuxer:
            self._turn(None)

    def _begin(self) -> Demuxer | None:
        """Start to decode, if enough of the file is there."""
        if len(self._head) < HEAD_BYTES:
            return None
        file_format = recognized(self._head)
        if not file_format:
            self._error = UnknownFormat("The sound is no WebM, Ogg, WAV, MP3, MP4 or AAC file.")
            return None
        if not file_format.begin.search(self._head):
            return None
        self._pages = OggPages() if file_format.is_paged else None
        demuxer = Demuxer(file_format, self._head, self._out_rate_hz)
        self._head = b""
        demuxer.start()
        return demuxer

    def _turn(self, piece: bytes | None) -> bytes:
        """Have a piece decoded, or the end if None; return its sound, and note errors."""
        demuxer = self._demuxer
        assert demuxer
        try:
            demuxer.pipe.write(piece)
        except TimeoutError:
            # It may still be at work: it is left alone.
            self._error, self._demuxer = Damaged("The sound cannot be decoded in time."), None
            return b""
        if demuxer.pipe.is_left:
            demuxer.join()
            self._error = self._error or demuxer.error
        pcm = bytes(demuxer.pcm)
        demuxer.pcm.clear()
        return pcm
