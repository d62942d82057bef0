"""What is fuzzed: everything that reads what strangers send over a WebSocket."""

import asyncio
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import cast

from bots.telephony import read_start
from engines.audio.decoding import AudioDecoder, FileDecoder, RawDecoder, RawEncoding
from engines.audio.error import AudioError
from engines.audio.pcm import RATES_HZ
from tests.dialects import DIALECTS, IN_HZ, Dialect, Sent, send_badly_then_well
from tests.media import KINDS, file_of, sound
from tests.standins.phone import CALLS

ENCODINGS = ("pcm16", "mulaw", "alaw")
BETWEEN = b"\xff\0\xff\0"
"""Between the messages of one input, or the pieces of one sound."""

MAX_SECS_OF_A_BYTE = 0.01
"""Silence takes at least 100 bytes a second."""


@dataclass(frozen=True)
class Target:
    """What takes an input.

    Attributes:
        seeds: Inputs to begin with.
        run: Takes one; raises if something is wrong.
    """

    seeds: Iterable[bytes]
    run: Callable[[bytes], None]


def decode(decoder: AudioDecoder, pieces: Iterable[bytes]) -> None:
    """Have a sound decoded, as far as it can be."""
    size = samples = 0
    with closing(decoder), suppress(AudioError):
        for piece in pieces:
            pcm = decoder.feed(piece)
            assert len(pcm) % 2 == 0
            size, samples = size + len(piece), samples + len(pcm) // 2
        samples += len(decoder.finish()) // 2
    assert samples / IN_HZ <= 1 + size * MAX_SECS_OF_A_BYTE, "it is more sound than was sent"
    assert threading.active_count() == 1, "a thread is left"


def decode_file(data: bytes) -> None:
    """Decode a file that comes in pieces."""
    decode(FileDecoder(IN_HZ), data.split(BETWEEN))


def decode_raw(data: bytes) -> None:
    """Decode sound without a header; the first two bytes say of what kind."""
    kind, rate, *_ = *data[:2], 0, 0
    encoding = cast(RawEncoding, ENCODINGS[kind % len(ENCODINGS)])
    rate_hz = RATES_HZ[rate % len(RATES_HZ)]
    decode(RawDecoder(encoding, rate_hz, IN_HZ), data[2:].split(BETWEEN))


def begin_phone_call(data: bytes) -> None:
    """Read what a phone call may begin with."""
    text = data.decode(errors="replace")
    for provider in CALLS:
        read_start(provider, text)  # type: ignore[arg-type]


def _file_seeds() -> Iterable[bytes]:
    for kind in KINDS.values():
        file = file_of(kind, sound(kind.rate_hz, 0.2))
        yield file
        yield BETWEEN.join(file[at : at + 1000] for at in range(0, len(file), 1000))


def _raw_seeds() -> Iterable[bytes]:
    for kind in range(len(ENCODINGS)):
        for rate in range(len(RATES_HZ)):
            pcm = sound(RATES_HZ[rate], 0.05).tobytes()
            yield bytes([kind, rate]) + BETWEEN.join([pcm[:100], pcm[100:]])


def _start_seeds() -> Iterable[bytes]:
    for dialect in (DIALECTS[provider] for provider in CALLS):
        yield from (_bytes(message) for message in dialect.beginning)


def _dialect_target(dialect: Dialect) -> Target:
    runner = asyncio.Runner()

    def run(data: bytes) -> None:
        bad = [_message(piece) for piece in data.split(BETWEEN)]
        heard = runner.run(send_badly_then_well(dialect, bad))
        assert abs(heard - 1) < 0.1, f"{heard:.0%} of what follows is heard"

    good = [*dialect.utterance[:3], *dialect.end, *dialect.others]
    return Target([*map(_bytes, good), BETWEEN.join(map(_bytes, good))], run)


def _bytes(message: Sent) -> bytes:
    return message if isinstance(message, bytes) else message.encode()


def _message(data: bytes) -> Sent:
    """Return a message: text, as far as that is possible."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


TARGETS: Mapping[str, Callable[[], Target]] = {
    "file": lambda: Target(_file_seeds(), decode_file),
    "raw": lambda: Target(_raw_seeds(), decode_raw),
    "phone-start": lambda: Target(_start_seeds(), begin_phone_call),
    **{name: lambda it=it: _dialect_target(it) for name, it in DIALECTS.items()},
}
"""Each is made when it is its turn."""
