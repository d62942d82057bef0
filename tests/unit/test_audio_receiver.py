"""What stands for packets that are lost."""

import pytest
from aiortc.codecs.opus import OpusDecoder
from aiortc.jitterbuffer import JitterFrame

from bots.audio_receiver import without_sound

SAMPLES_OF_20_MS = 960


@pytest.mark.parametrize(
    ("packet", "frames"),
    [
        (b"\xfc__", 1),
        (b"\xfd__", 2),
        (b"\xfe\x01__", 2),
        (b"\xff\x03___", 3),
        (b"\xff\x83\x00___", 3),
    ],
    ids=["one frame", "two alike", "two", "three alike", "three"],
)
def test_the_sound_of_a_lost_packet_is_as_long_as_that_of_the_one_before(
    packet: bytes, frames: int
) -> None:
    concealed = OpusDecoder().decode(JitterFrame(without_sound(packet), 0))
    assert sum(frame.samples for frame in concealed) == frames * SAMPLES_OF_20_MS
