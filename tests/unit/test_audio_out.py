"""Sound that clients are sent, in every format."""

import os
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.audio.decoding import FileDecoder, RawDecoder
from engines.audio.encoding import (
    AudioEncoder,
    Mp3Encoder,
    PcmEncoder,
    TelephoneEncoder,
    WebmEncoder,
)
from tests.media import Pcm, decoded, error_db, resampled, sound

RATES_HZ = (8_000, 16_000, 22_050, 24_000, 44_100, 48_000)
"""Of voices, and of what clients want."""

ENCODERS: dict[str, Callable[[], AudioEncoder]] = {
    "mp3": lambda: Mp3Encoder(24_000),
    "webm": lambda: WebmEncoder(24_000),
    "mulaw": lambda: TelephoneEncoder("mulaw", 24_000),
    "alaw": lambda: TelephoneEncoder("alaw", 24_000),
    "pcm": lambda: PcmEncoder(24_000, 16_000),
}

OF_ANY_RATE = pytest.mark.parametrize("rate_hz", RATES_HZ)


def chunks(pcm: Pcm, rate_hz: int) -> Iterator[bytes]:
    """Yield 20 ms at a time."""
    size = rate_hz // 50 * 2
    data = pcm.tobytes()
    for start in range(0, len(data), size):
        yield data[start : start + size]


def coded(encoder: AudioEncoder, pcm: Pcm, rate_hz: int) -> list[bytes]:
    pieces = [piece for chunk in chunks(pcm, rate_hz) for piece in encoder.feed(chunk)]
    return pieces + encoder.finish()


def likeness(heard: Pcm, meant: Pcm) -> tuple[float, int]:
    """Return how alike two sounds are, and how many samples the first one is late."""
    size = 1 << (len(heard) + len(meant)).bit_length()
    spectrum = np.fft.rfft(heard, size) * np.fft.rfft(meant, size).conj()
    likenesses = np.fft.irfft(spectrum) / np.sqrt(
        np.sum(heard.astype(float) ** 2) * np.sum(meant.astype(float) ** 2)
    )
    return float(likenesses.max()), int(likenesses.argmax())


@OF_ANY_RATE
def test_mp3_comes_in_pieces_of_4096_bytes_and_has_128_kbit_a_second(rate_hz: int) -> None:
    pieces = coded(Mp3Encoder(rate_hz), sound(rate_hz, 4), rate_hz)
    assert {len(piece) for piece in pieces[:-1]} == {4_096}
    assert 0 < len(pieces[-1]) <= 4_096
    assert sum(map(len, pieces)) * 8 / 4 == pytest.approx(128_000, rel=0.03)


@OF_ANY_RATE
def test_mp3_sounds_like_what_was_coded(rate_hz: int) -> None:
    mp3 = b"".join(coded(Mp3Encoder(rate_hz), sound(rate_hz, 2), rate_hz))
    alike, late = likeness(decoded(mp3, 48_000), sound(48_000, 2))
    assert alike > 0.995
    assert late < 0.1 * 48_000


@OF_ANY_RATE
def test_webm_sounds_like_what_was_coded(rate_hz: int) -> None:
    webm = b"".join(coded(WebmEncoder(rate_hz), sound(rate_hz, 2), rate_hz))
    alike, late = likeness(decoded(webm, 48_000), sound(48_000, 2))
    assert alike > 0.98
    assert late < 0.01 * 48_000


def test_webm_can_be_played_while_it_comes() -> None:
    encoder, decoder = WebmEncoder(24_000), FileDecoder(24_000)
    fed = heard = 0
    for chunk in chunks(sound(24_000), 24_000):
        fed += len(chunk)
        heard += sum(len(decoder.feed(piece)) for piece in encoder.feed(chunk))
        assert fed - heard <= 0.12 * 24_000 * 2
    for piece in encoder.finish():
        heard += len(decoder.feed(piece))
    assert heard + len(decoder.finish()) == fed


@OF_ANY_RATE
@pytest.mark.parametrize("law", ["mulaw", "alaw"])
def test_telephones_get_g711_at_8_khz(law: Literal["mulaw", "alaw"], rate_hz: int) -> None:
    g711 = b"".join(coded(TelephoneEncoder(law, rate_hz), sound(rate_hz), rate_hz))
    assert len(g711) == pytest.approx(8_000, abs=1)
    heard = RawDecoder(law, 8_000, 8_000).feed(g711)
    assert error_db(heard, resampled(sound(rate_hz), rate_hz, 8_000)) < -35


@OF_ANY_RATE
@pytest.mark.parametrize("out_hz", RATES_HZ)
def test_pcm_is_brought_to_any_rate(rate_hz: int, out_hz: int) -> None:
    pcm = b"".join(coded(PcmEncoder(rate_hz, out_hz), sound(rate_hz), rate_hz))
    assert len(pcm) / 2 == pytest.approx(out_hz, abs=1)
    assert error_db(pcm, resampled(sound(rate_hz), rate_hz, out_hz)) < -50


@pytest.mark.parametrize("name", ["pcm", "mulaw", "alaw"])
def test_what_has_no_packets_is_not_held_back(name: str) -> None:
    encoder = ENCODERS[name]()
    fed = sent = 0
    for chunk in chunks(sound(24_000), 24_000):
        fed += len(chunk) / 2 / 24_000
        sent += sum(map(len, encoder.feed(chunk))) / (32_000 if name == "pcm" else 8_000)
        assert fed - sent < 0.005


@pytest.mark.parametrize("name", ["mp3", "mulaw", "alaw", "pcm"])
@given(at=st.lists(st.integers(0, 48_000), max_size=30))
@settings(deadline=None, max_examples=20)
def test_what_is_coded_may_be_cut_anywhere(name: str, at: list[int]) -> None:
    pcm = sound(24_000).tobytes()
    places = [0, *sorted(at), len(pcm)]
    encoder, as_whole = ENCODERS[name](), ENCODERS[name]()
    pieces = [it for start, end in pairwise(places) for it in encoder.feed(pcm[start:end])]
    assert b"".join(pieces + encoder.finish()) == b"".join(as_whole.feed(pcm) + as_whole.finish())


@pytest.mark.parametrize("name", ENCODERS)
def test_no_sound_can_be_coded(name: str) -> None:
    encoder = ENCODERS[name]()
    assert encoder.feed(b"") == []
    encoder.finish()


@pytest.mark.parametrize("name", ENCODERS)
def test_an_encoder_starts_no_thread(name: str) -> None:
    before = len(os.listdir("/proc/self/task"))
    encoder = ENCODERS[name]()
    encoder.feed(sound(24_000).tobytes())
    assert len(os.listdir("/proc/self/task")) == before
    encoder.finish()
