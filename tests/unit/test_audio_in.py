"""Sound that clients send, in every format, cut anywhere, damaged, and made to do harm."""

import struct
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from functools import cache
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.audio.decoding import (
    MAX_SILENT_BYTES,
    AudioDecoder,
    FileDecoder,
    RawDecoder,
    RawEncoding,
)
from engines.audio.demuxing import MAX_SECS_AT_ONCE
from engines.audio.encoding import TelephoneEncoder, WebmEncoder
from engines.audio.error import (
    AudioError,
    Damaged,
    TooDense,
    Truncated,
    UnknownFormat,
    UnsupportedRate,
)
from engines.audio.pcm import RATES_HZ
from engines.audio.pipe import Pipe
from tests.heap import CAN_BE_MEASURED, taken_bytes
from tests.media import FRAGMENTS, KINDS, Kind, decoded, error_db, file_of, resampled, sound

OUT_HZ = 16_000
RECORDINGS = Path(__file__).parents[1] / "recordings"
RECORDED = {"chromium.webm", "chromium.mp4"}
LONGEST_MS = 300
"""Behind the last sound, an MP3 may have the silence that fills its last frames."""

FORMATS = pytest.mark.parametrize("name", [*KINDS, *RECORDED])


@cache
def file(name: str) -> bytes:
    """Return a second of sound, or two that a browser has recorded."""
    if name in RECORDED:
        return (RECORDINGS / name).read_bytes()
    kind = KINDS[name]
    return file_of(kind, sound(kind.rate_hz))


def cut(data: bytes, at: Iterable[int]) -> Iterator[bytes]:
    """Yield the pieces between these places."""
    places = sorted({0, len(data), *(place % len(data) for place in at)})
    for start, end in pairwise(places):
        yield data[start:end]


def heard(decoder: AudioDecoder, pieces: Iterable[bytes]) -> bytes:
    return b"".join([*map(decoder.feed, pieces), decoder.finish()])


@cache
def whole(name: str) -> bytes:
    return heard(FileDecoder(OUT_HZ), [file(name)])


@FORMATS
@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_a_stream_sounds_as_if_it_had_been_decoded_as_a_whole(name: str, rate_hz: int) -> None:
    pieces = cut(file(name), range(0, len(file(name)), 997))
    stream, meant = heard(FileDecoder(rate_hz), pieces), decoded(file(name), rate_hz)
    assert -1 <= len(stream) / 2 - len(meant) <= 0.025 * rate_hz
    assert error_db(stream, meant) < -50


@FORMATS
@given(at=st.lists(st.integers(0, 1_000_000), max_size=40))
@settings(deadline=None, max_examples=40)
def test_a_file_may_be_cut_anywhere(name: str, at: list[int]) -> None:
    assert heard(FileDecoder(OUT_HZ), cut(file(name), at)) == whole(name)


@pytest.mark.parametrize("name", ["webm", "ogg", "wav at 8 kHz", "mp3", "mp4", "aac"])
def test_a_file_may_come_byte_by_byte(name: str) -> None:
    assert heard(FileDecoder(OUT_HZ), cut(file(name), range(len(file(name))))) == whole(name)


@pytest.mark.parametrize("name", KINDS)
def test_sound_comes_with_the_last_byte_of_its_packet(name: str) -> None:
    decoder = FileDecoder(OUT_HZ)
    early = b"".join(map(decoder.feed, cut(file(name), range(0, len(file(name)), 300))))
    late = decoder.finish()
    assert early + late == whole(name)
    assert len(late) <= KINDS[name].lag_ms / 1000 * OUT_HZ * 2


@FORMATS
def test_the_first_sound_comes_early(name: str) -> None:
    data = file(name)
    secs = len(whole(name)) / 2 / OUT_HZ
    # What a browser puts into the first fragment of an MP4 is more.
    first = 0.6 if name == "chromium.mp4" else 0.22
    header = 600
    with closing(FileDecoder(OUT_HZ)) as decoder:
        assert decoder.feed(data[: header + round(first / secs * len(data))])


@pytest.mark.parametrize("name", RECORDED)
def test_what_a_browser_has_recorded_is_heard(name: str) -> None:
    pcm = np.frombuffer(whole(name), np.int16)
    second = pcm[OUT_HZ // 2 : OUT_HZ * 3 // 2]
    assert np.abs(np.fft.rfft(second)).argmax() == 440
    assert len(pcm) > 1.8 * OUT_HZ


@pytest.mark.parametrize("out_hz", RATES_HZ)
@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_pcm_of_any_rate_is_brought_to_any_other(rate_hz: int, out_hz: int) -> None:
    pcm = sound(rate_hz)
    pieces = cut(pcm.tobytes(), range(0, pcm.nbytes, 641))
    stream, meant = heard(RawDecoder("pcm16", rate_hz, out_hz), pieces), pcm
    if rate_hz == out_hz:
        assert stream == pcm.tobytes()
    meant = resampled(pcm, rate_hz, out_hz)
    assert abs(len(stream) / 2 - len(meant)) <= 1
    assert error_db(stream, meant) < -50


@pytest.mark.parametrize("law", ["mulaw", "alaw"])
def test_telephones_are_heard(law: RawEncoding) -> None:
    pcm = sound(8_000)
    encoder = TelephoneEncoder(law, 8_000)
    coded = b"".join([*encoder.feed(pcm.tobytes()), *encoder.finish()])
    assert len(coded) == len(pcm)
    stream = heard(RawDecoder(law, 8_000, OUT_HZ), cut(coded, range(0, len(coded), 33)))
    as_whole = np.frombuffer(heard(RawDecoder(law, 8_000, 8_000), [coded]), np.int16)
    assert error_db(as_whole.tobytes(), pcm) < -35
    assert error_db(stream, resampled(as_whole, 8_000, OUT_HZ)) < -50


@given(at=st.lists(st.integers(0, 1_000_000), max_size=40))
@settings(deadline=None, max_examples=40)
def test_pcm_may_be_cut_anywhere(at: list[int]) -> None:
    pcm = sound(8_000, 0.5).tobytes()
    streams = [
        heard(RawDecoder("pcm16", 8_000, OUT_HZ), pieces) for pieces in ([pcm], cut(pcm, at))
    ]
    assert streams[0] == streams[1]


@pytest.mark.parametrize("rate_hz", [0, -1, 12_345, 16_001, 1_000_000])
def test_a_rate_that_nobody_has_is_refused(rate_hz: int) -> None:
    with pytest.raises(UnsupportedRate, match="8,000, 16,000, 24,000, 44,100, 48,000"):
        RawDecoder("pcm16", rate_hz, OUT_HZ)


def test_pcm_that_ends_in_the_middle_of_a_sample_is_told() -> None:
    decoder = RawDecoder("pcm16", OUT_HZ, OUT_HZ)
    assert decoder.feed(bytes(101)) == bytes(100)
    with pytest.raises(Truncated):
        decoder.finish()


@pytest.mark.parametrize(
    "name", ["webm", "webm with lengths", "ogg", "mp4", "aac", "chromium.webm"]
)
def test_a_file_that_is_cut_off_is_told_when_all_that_is_there_has_been_heard(name: str) -> None:
    decoder = FileDecoder(OUT_HZ)
    half = decoder.feed(file(name)[: len(file(name)) // 2 - 50])
    assert len(half) > len(whole(name)) / 4
    assert whole(name).startswith(half)
    with pytest.raises(Truncated, match="ends in the middle of a pa"):
        decoder.finish()


@pytest.mark.parametrize("name", ["mp3", "wav", "wav at 8 kHz"])
def test_a_file_that_can_end_anywhere_is_heard_to_where_it_is_cut_off(name: str) -> None:
    half = heard(FileDecoder(OUT_HZ), [file(name)[: len(file(name)) // 2]])
    assert len(half) == pytest.approx(len(whole(name)) / 2, rel=0.1)


@FORMATS
def test_a_file_that_ends_before_its_first_sound_is_told(name: str) -> None:
    for size in (1, 11, 12, 20, 40):
        decoder = FileDecoder(OUT_HZ)
        with pytest.raises(Truncated, match="before its first sound"):
            heard(decoder, [file(name)[:size]])


def test_a_file_that_is_all_header_is_told() -> None:
    header = file("chromium.webm").partition(b"\x1f\x43\xb6\x75")[0]
    decoder = FileDecoder(OUT_HZ)
    assert decoder.feed(header) == b""
    with pytest.raises(Truncated, match="before its first sound"):
        decoder.finish()


def test_nothing_is_no_error() -> None:
    assert heard(FileDecoder(OUT_HZ), []) == b""
    assert heard(FileDecoder(OUT_HZ), [b"", b""]) == b""
    assert heard(RawDecoder("pcm16", 8_000, OUT_HZ), [b""]) == b""


@pytest.mark.parametrize(
    "data",
    [
        bytes(1000),
        b"<!doctype html><html></html>",
        b"#EXTM3U\n#EXTINF:1,\nhttp://localhost/\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"RIFF....AVI " + bytes(1000),
    ],
)
def test_what_is_no_sound_is_refused_for_good(data: bytes) -> None:
    decoder = FileDecoder(OUT_HZ)
    for piece in (data, file("webm"), bytes(2 * MAX_SILENT_BYTES)):
        with pytest.raises(UnknownFormat, match="WebM, Ogg, WAV, MP3, MP4 or AAC"):
            decoder.feed(piece)
    with pytest.raises(UnknownFormat):
        decoder.finish()


def test_a_codec_that_is_not_asked_for_is_refused() -> None:
    with pytest.raises(UnknownFormat, match="ac3"):
        heard(FileDecoder(OUT_HZ), [file_of(Kind("matroska", "ac3"), sound(48_000))])


@pytest.mark.parametrize("name", ["ogg", "mp3", "aac", "mp4"])
def test_garbage_within_a_file_is_told_when_all_before_it_has_been_heard(name: str) -> None:
    half = file(name)[: len(file(name)) // 2]
    garbage = np.random.default_rng(2).bytes(400_000)
    decoder = FileDecoder(OUT_HZ)
    assert len(decoder.feed(half + garbage[:10_000])) > len(whole(name)) / 4
    with pytest.raises(Damaged, match="cannot be decoded"):
        heard(decoder, cut(garbage, range(0, 400_000, 10_000)))
    with pytest.raises(Damaged):
        decoder.feed(file(name))


def test_a_stream_that_goes_on_without_sound_is_given_up() -> None:
    decoder = FileDecoder(OUT_HZ)
    assert decoder.feed(file("webm"))
    for _ in range(MAX_SILENT_BYTES // 10_000):
        assert not decoder.feed(bytes(10_000))
    with pytest.raises(Damaged, match="no sound in"):
        decoder.feed(bytes(10_000))
    with pytest.raises(Damaged):
        decoder.finish()


def test_an_mp4_with_its_index_behind_is_told_how_to_come() -> None:
    mp4 = file_of(Kind("mp4", "aac", seekable=True), sound(48_000, 10))
    with pytest.raises(AudioError, match="in fragments, or with its index in front"):
        heard(FileDecoder(OUT_HZ), cut(mp4, range(0, len(mp4), 4_000)))


def test_a_rate_that_no_sound_has_is_refused_in_a_file() -> None:
    with pytest.raises(UnsupportedRate, match="1"):
        heard(FileDecoder(OUT_HZ), [wav(rate_hz=1), bytes(10_000)])


@pytest.mark.parametrize("channels", [3, 6, 60_000])
def test_more_than_two_channels_are_refused(channels: int) -> None:
    with pytest.raises(AudioError):
        heard(FileDecoder(OUT_HZ), [wav(channels=channels), bytes(1_000_000)])


def wav(rate_hz: int = 16_000, channels: int = 1) -> bytes:
    """Return the header of a stream of bytes."""
    form = struct.pack("<HHIIHH", 1, channels, rate_hz, rate_hz, channels % 65_536, 8)
    return b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0" + form + b"data\xff\xff\xff\xff"


def box(kind: bytes, *parts: bytes) -> bytes:
    """Return a box of an MP4."""
    return struct.pack(">I4s", 8 + sum(map(len, parts)), kind) + b"".join(parts)


def test_an_mp4_cannot_ask_for_more_memory_than_it_has() -> None:
    samples = 50_000_000
    mp4 = file_of(Kind("mp4", "aac", options=FRAGMENTS), sound(48_000))
    header = box(b"tfhd", struct.pack(">IIIII", 0x020038, 1, 1_024, 0, 0x02000000))
    run = box(b"trun", struct.pack(">III", 1, samples, 100))
    fragment = box(b"moof", box(b"mfhd", bytes(8)), box(b"traf", header, run))
    before = psutil.Process().memory_info().rss
    with pytest.raises(Damaged, match="Cannot allocate memory"):
        heard(
            FileDecoder(OUT_HZ), [mp4[: mp4.index(b"moof") - 4], fragment, box(b"mdat", bytes(9))]
        )
    assert psutil.Process().memory_info().rss - before < 30e6


def test_few_bytes_cannot_become_hours_of_sound() -> None:
    head = file("chromium.webm")[: file("chromium.webm").index(b"\x1f\x43\xb6\x75") + 12]
    # Opus: 48 frames of 2.5 ms, of no bytes.
    block = b"\xa3\x86\x81\0\0\x80\xe3\x30"
    begin = head + b"\xe7\x81\0"
    decoder = FileDecoder(OUT_HZ)
    assert len(decoder.feed(begin + 2_000 * block)) < 170 * OUT_HZ * 2
    with pytest.raises(TooDense):
        decoder.finish()
    with pytest.raises(TooDense):
        heard(FileDecoder(OUT_HZ), chain([begin], 1_000 * [block]))


def test_an_hour_of_sound_does_not_come_out_at_once() -> None:
    decoder = FileDecoder(8_000)
    pcm = decoder.feed(wav(rate_hz=4_000) + bytes(3_600 * 4_000))
    assert MAX_SECS_AT_ONCE <= len(pcm) / 2 / 8_000 < MAX_SECS_AT_ONCE + 1
    with pytest.raises(TooDense):
        decoder.finish()


def test_a_stream_of_ten_minutes_takes_no_more_memory_than_one_of_one() -> None:
    encoder, decoder = WebmEncoder(8_000), FileDecoder(8_000)
    second = sound(8_000).tobytes()
    process = psutil.Process()
    samples, at_one_minute = 0, 0
    for at in range(600):
        for piece in encoder.feed(second):
            samples += len(decoder.feed(piece)) // 2
        if at == 60:
            at_one_minute = process.memory_info().rss
    growth = process.memory_info().rss - at_one_minute
    for piece in encoder.finish():
        samples += len(decoder.feed(piece)) // 2
    samples += len(decoder.finish()) // 2
    assert samples == 600 * 8_000
    assert growth < 2e6


@pytest.mark.skipif(not CAN_BE_MEASURED, reason="only glibc tells")
@pytest.mark.parametrize("name", ["aac", "mp3"])
def test_a_file_that_is_given_up_leaves_no_memory(name: str) -> None:
    spoilt = file(name)[:1_500] + bytes(range(256)) * 8

    def decode_often() -> None:
        for _ in range(300):
            with closing(FileDecoder(OUT_HZ)) as decoder, suppress(AudioError):
                decoder.feed(spoilt)
                decoder.finish()

    decode_often()
    before = taken_bytes()
    decode_often()
    assert taken_bytes() - before < 300 * 100


@given(data=st.data())
@settings(deadline=None, max_examples=200)
def test_whatever_comes_there_is_sound_or_an_error(data: st.DataObject) -> None:
    spoilt = bytearray(file(data.draw(st.sampled_from(sorted([*KINDS, *RECORDED])))))
    places = st.integers(0, 1_000) | st.integers(0, len(spoilt))
    for place in data.draw(st.lists(places, min_size=1, max_size=8)):
        spoilt[place : place + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=8))
    pieces = cut(bytes(spoilt), data.draw(st.lists(st.integers(0, 10_000), max_size=5)))
    with closing(FileDecoder(OUT_HZ)) as decoder, suppress(AudioError):
        heard(decoder, pieces)


@pytest.mark.parametrize(
    "error", [UnknownFormat, UnsupportedRate, Damaged, Truncated, TooDense], ids=lambda it: it.code
)
def test_errors_have_a_code_for_programs_and_a_sentence_for_people(error: type[AudioError]) -> None:
    assert error.code.startswith("AUDIO_")
    assert error("It is so.").message == str(error("It is so.")) == "It is so."


def test_a_decoder_that_is_closed_leaves_nothing() -> None:
    for name in KINDS:
        decoder = FileDecoder(OUT_HZ)
        decoder.feed(file(name)[:3_000])
        decoder.close()
        decoder.close()
    assert threading.active_count() == 1


def test_a_reader_that_is_stuck_is_given_up() -> None:
    pipe = Pipe(stuck_secs=0.05)
    with pytest.raises(TimeoutError):
        pipe.write(b"sound")
    pipe.write(b"more")
    assert pipe.is_left
