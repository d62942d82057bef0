import numpy as np
import pytest

from runner.sound_card import MAX_WAITING_SAMPLES, Loudspeaker
from runner.talk import TalkFailed, converse


def test_sound_is_played_in_the_order_in_which_it_came() -> None:
    loudspeaker = Loudspeaker()
    loudspeaker.play(np.array([1, 2, 3], np.int16))
    loudspeaker.play(np.array([4, 5], np.int16))
    assert loudspeaker.take(2).tolist() == [1, 2]
    assert loudspeaker.take(3).tolist() == [3, 4, 5]


def test_silence_is_played_where_there_is_no_sound() -> None:
    loudspeaker = Loudspeaker()
    loudspeaker.play(np.array([1], np.int16))
    assert loudspeaker.take(3).tolist() == [1, 0, 0]


def test_the_oldest_sound_is_dropped_when_too_much_waits() -> None:
    loudspeaker = Loudspeaker()
    loudspeaker.play(np.zeros(MAX_WAITING_SAMPLES, np.int16))
    loudspeaker.play(np.ones(10, np.int16))
    assert loudspeaker.take(MAX_WAITING_SAMPLES)[-10:].tolist() == [1] * 10
    assert not loudspeaker.take(10).any()


def test_a_talk_with_the_microphone_is_not_written_to_a_file(tmp_path) -> None:
    with pytest.raises(TalkFailed, match="--wav or --text"):
        converse(
            None,
            {},
            url=None,
            protocol="webrtc",
            key=None,
            wav=None,
            out=tmp_path / "out.wav",
            text=False,
            relay_only=False,
        )
