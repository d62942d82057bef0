import numpy as np
import pytest

from processors.speech_pause import WINDOW_SECS, PauseDetector

RATE_HZ = 16_000
FRAME_SAMPLES = RATE_HZ // 50
VOICE = 3_000


def sound(secs: float, level: float) -> np.ndarray:
    """Noise of a level, always the same."""
    samples = np.random.default_rng(1).normal(0, level, int(secs * RATE_HZ))
    return np.clip(samples, -32768, 32767).astype(np.int16)


def heard(detector: PauseDetector, samples: np.ndarray) -> list[bool]:
    """Play samples in pieces of 20 ms, as they come over a network; tell of the pause at each."""
    pauses = []
    for start in range(0, len(samples), FRAME_SAMPLES):
        detector.hear(samples[start : start + FRAME_SAMPLES].tobytes())
        pauses.append(detector.paused)
    return pauses


@pytest.mark.parametrize("room", [1, 30, 300, 950])
def test_a_pause_is_heard_within_a_tenth_of_a_second_in_any_room(room: int) -> None:
    detector = PauseDetector(RATE_HZ)
    assert all(heard(detector, sound(1.0, room)))
    speech = heard(detector, sound(1.0, VOICE))
    assert not any(speech[3:])
    silence = heard(detector, sound(0.5, room))
    assert 2 <= silence.index(True) <= 4
    assert all(silence[5:])


def test_it_is_known_how_long_a_pause_has_lasted() -> None:
    detector = PauseDetector(RATE_HZ)
    heard(detector, sound(1.0, 30))
    heard(detector, sound(0.987, VOICE))
    for frames in range(1, 20):
        [paused] = heard(detector, sound(0.02, 30))
        assert not paused or detector.paused_secs == pytest.approx(frames * 0.02, abs=WINDOW_SECS)
    assert detector.paused


def test_what_is_shorter_than_a_syllable_is_neither_a_pause_nor_speech() -> None:
    detector = PauseDetector(RATE_HZ)
    heard(detector, sound(1.0, 30))
    heard(detector, sound(1.0, VOICE))
    assert not any(heard(detector, sound(0.04, 30)))
    heard(detector, sound(0.3, VOICE))
    assert heard(detector, sound(0.5, 30))[-1]
    assert all(heard(detector, sound(0.01, VOICE)))


def test_a_voice_that_becomes_faint_is_followed() -> None:
    detector = PauseDetector(RATE_HZ)
    heard(detector, sound(1.0, 30))
    for level in (VOICE, VOICE / 2, VOICE / 4):
        assert not heard(detector, sound(2.0, level))[-1]
    assert heard(detector, sound(0.2, 30))[-1]


def test_pieces_of_any_length_are_heard_alike() -> None:
    whole, split = PauseDetector(RATE_HZ), PauseDetector(RATE_HZ)
    samples = np.concatenate([sound(0.5, 30), sound(0.5, VOICE), sound(0.1, 30)])
    whole.hear(samples.tobytes())
    for start in range(0, len(samples), 37):
        split.hear(samples[start : start + 37].tobytes())
    assert whole.paused is split.paused is True
