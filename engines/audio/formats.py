"""The files that browsers record, told apart by how they begin."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

HEAD_BYTES = 12
"""So many have to be there to tell."""

PCM_CODECS = ("pcm_s16le", "pcm_u8", "pcm_s24le", "pcm_s32le", "pcm_f32le")
MP3_CODEC = "mp3float"

LOOKED_AHEAD_BYTES = 1 << 16
"""So far libav looks for AC-3 in what says that it is PCM, and waits until so much is there."""

PADDING = bytes(1 << 16)
"""More than any packet lacks that was cut."""


@dataclass(frozen=True)
class FileFormat:
    """A format, as libav knows it.

    Attributes:
        name: What people call it.
        demuxer: What takes it apart.
        codecs: How the sound in it may be coded: what else libav can decode is not for strangers.
        options: Of the demuxer.
        begin: What has to be there before it is read, because libav goes back within it, and
            cannot go back to an earlier piece.
        looked_into: What is in its header if libav looks ahead: the number of PCM, for WAV.
        padding: Zeros that make a packet whole that was cut off, and are nothing else: so the cut
            is noticed. Empty where zeros may be sound, or an error tells anyway.
        is_paged: Whether it consists of the pages of Ogg.
        hint: What else to know if it cannot be decoded.
    """

    name: str
    demuxer: str
    codecs: tuple[str, ...]
    options: Mapping[str, str] = field(default_factory=dict)
    begin: re.Pattern[bytes] = re.compile(b"")
    looked_into: re.Pattern[bytes] | None = None
    padding: bytes = b""
    is_paged: bool = False
    hint: str = ""

    def is_looked_into(self, head: bytes) -> bool:
        """Return whether libav would wait for more, and is to make do with what there is."""
        short = len(head) < LOOKED_AHEAD_BYTES
        return short and bool(self.looked_into and self.looked_into.search(head))


WEBM = FileFormat("WebM", "matroska", ("opus", "pcm_f32le"), padding=PADDING)
OGG = FileFormat("Ogg", "ogg", ("opus",), is_paged=True)
WAV = FileFormat(
    "WAV",
    "wav",
    (*PCM_CODECS, "pcm_mulaw", "pcm_alaw"),
    # In bytes, as small as they may be: packets of 4,096 last for half a second at 8 kHz.
    options={"max_size": "1024"},
    # Up to some of the sound, behind its size.
    begin=re.compile(b"data.{5}", re.DOTALL),
    # The first one, or that of an extensible format.
    looked_into=re.compile(rb"fmt .{4}(\x01\x00|\xfe\xff.{22}\x01\x00)", re.DOTALL),
)
# The first frame may hold a table.
MP3 = FileFormat("MP3", "mp3", (MP3_CODEC,), begin=re.compile(b".{256}", re.DOTALL))
AAC = FileFormat("AAC", "aac", ("aac",))
MP4 = FileFormat(
    "MP4",
    "mov",
    ("aac", "opus", MP3_CODEC),
    # The first fragment, or the sound of all.
    begin=re.compile(b"moof|mdat"),
    padding=PADDING,
    hint=" An MP4 has to come in fragments, or with its index in front.",
)


def recognized(head: bytes) -> FileFormat | None:
    """Return the format of a file by its first `HEAD_BYTES`; None if it is unknown."""
    match head[:4], head[4:8], head[8:12]:
        case b"\x1a\x45\xdf\xa3", _, _:
            return WEBM
        case b"OggS", _, _:
            return OGG
        case b"RIFF", _, b"WAVE":
            return WAV
        case _, b"ftyp", _:
            return MP4
    # Frames begin with eleven bits set; those of AAC with twelve, and two that are not.
    first = int.from_bytes(head[:2], "big")
    if first & 0xFFF6 == 0xFFF0:
        return AAC
    if head.startswith(b"ID3") or first & 0xFFE0 == 0xFFE0:
        return MP3
    return None
