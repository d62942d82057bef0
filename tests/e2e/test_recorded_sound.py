"""What MediaRecorder gives, chunk by chunk, decoded as it comes."""

from pathlib import Path

import numpy as np
import pytest

from engines.audio.decoding import FileDecoder
from tests.recorder import CHUNK_MS, MIME_TYPES, TONE_HZ, record

pytestmark = pytest.mark.browser

RATE_HZ = 16_000
FRAGMENT_MS = 500
"""Chromium begins an MP4 with as much."""


@pytest.mark.parametrize("name", MIME_TYPES)
async def test_what_chromium_records_is_heard_chunk_by_chunk(name: str, tmp_path: Path) -> None:
    chunks = await record(MIME_TYPES[name], tmp_path)
    assert len(chunks) > 4
    decoder = FileDecoder(RATE_HZ)
    heard = b""
    for count, chunk in enumerate(chunks, start=1):
        heard += decoder.feed(chunk)
        if count == len(chunks) // 2:
            half = heard
    late_ms = 2 * CHUNK_MS + (FRAGMENT_MS if name == "mp4" else 0)
    assert len(half) / 2 / RATE_HZ * 1000 > len(chunks) // 2 * CHUNK_MS - late_ms
    heard += decoder.finish()
    pcm = np.frombuffer(heard, np.int16)[-RATE_HZ * 3 // 2 : -RATE_HZ // 2]
    assert np.abs(np.fft.rfft(pcm)).argmax() == pytest.approx(TONE_HZ, abs=1)
