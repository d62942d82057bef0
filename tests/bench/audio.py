"""What it costs to decode and encode sound as it comes, and how late it comes out.

    .venv/bin/python tests/bench/audio.py [--secs 30]

Files are fed 250 ms at a time, as browsers send them, all else 20 ms. One stream is measured after
the other, in one process, by the time that the processor spends on it.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from engines.audio.decoding import AudioDecoder, FileDecoder, RawDecoder  # noqa: E402
from engines.audio.encoding import (  # noqa: E402
    AudioEncoder,
    Mp3Encoder,
    PcmEncoder,
    TelephoneEncoder,
    WebmEncoder,
)
from engines.audio.pcm import RATES_HZ  # noqa: E402
from tests.media import KINDS, file_of, sound  # noqa: E402

IN_HZ = 16_000
"""What speech recognition hears."""

OUT_HZ = 24_000
"""What voices have."""

FILE_CHUNKS, CHUNKS = 4, 50
"""A second."""


def chunks(data: bytes, count: int) -> Iterator[bytes]:
    """Yield `data` in about so many pieces."""
    size = max(1, len(data) // count)
    for start in range(0, len(data), size):
        yield data[start : start + size]


def report(name: str, secs: float, work: Callable[[], float]) -> None:
    """Print what a stream costs.

    Args:
        name: Of the format.
        secs: How long the sound is.
        work: Feeds all of it, and returns which part has come out only when it was finished.
    """
    work()
    begun = time.process_time()
    late_ms = work() * secs * 1000
    cost = (time.process_time() - begun) / secs
    print(f"{name:20} {cost * 1e3:6.2f} ms/s {cost * 2e4:6.0f} µs/20 ms {late_ms:8.1f} ms")


def decode(make: Callable[[], AudioDecoder], data: bytes, count: int) -> float:
    """Feed a decoder; return which part of its sound came out when it was finished."""
    decoder = make()
    early = sum(len(decoder.feed(chunk)) for chunk in chunks(data, count))
    late = len(decoder.finish())
    return late / (early + late)


def encode(make: Callable[[], AudioEncoder], pcm: bytes, count: int) -> float:
    """Feed an encoder; return which part of its bytes came out when it was finished."""
    encoder = make()
    early = sum(len(piece) for chunk in chunks(pcm, count) for piece in encoder.feed(chunk))
    late = sum(map(len, encoder.finish()))
    return late / (early + late)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--secs", type=float, default=30, help="length of each sound")
    secs = parser.parse_args().secs
    few, many = round(secs * FILE_CHUNKS), round(secs * CHUNKS)
    print(f"in, to {IN_HZ:,} Hz: cost of a second, of 20 ms, and what is held back until the end")
    for name, kind in KINDS.items():
        data = file_of(kind, sound(kind.rate_hz, secs))
        report(name, secs, lambda d=data: decode(lambda: FileDecoder(IN_HZ), d, few))
    for rate_hz in RATES_HZ:
        data = sound(rate_hz, secs).tobytes()
        report(
            f"pcm16 at {rate_hz:,} Hz",
            secs,
            lambda d=data, hz=rate_hz: decode(lambda: RawDecoder("pcm16", hz, IN_HZ), d, many),
        )
    for law in ("mulaw", "alaw"):
        data = bytes(round(8_000 * secs))
        report(
            law, secs, lambda d=data, it=law: decode(lambda: RawDecoder(it, 8_000, IN_HZ), d, many)
        )
    print(f"out, from {OUT_HZ:,} Hz")
    pcm = sound(OUT_HZ, secs).tobytes()
    encoders: dict[str, Callable[[], AudioEncoder]] = {
        "mp3": lambda: Mp3Encoder(OUT_HZ),
        "webm": lambda: WebmEncoder(OUT_HZ),
        "mulaw": lambda: TelephoneEncoder("mulaw", OUT_HZ),
        "alaw": lambda: TelephoneEncoder("alaw", OUT_HZ),
        f"pcm16 at {IN_HZ:,} Hz": lambda: PcmEncoder(OUT_HZ, IN_HZ),
    }
    for name, make in encoders.items():
        report(name, secs, lambda it=make: encode(it, pcm, many))


if __name__ == "__main__":
    main()
