"""Makes the sounds in bots/sounds: `python scripts/sounds.py`.

Filters work on whole loops, in the spectrum, so that each goes over into itself without a seam.
"""

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

RATE_HZ = 24_000
BIT_RATE = 32_000
FOLDER = Path(__file__).parents[1] / "bots" / "sounds"
PEAK = 0.5
"""Of full scale: so loud is every one of them at a volume of 1."""

Samples = npt.NDArray[np.float64]


def main() -> None:
    """Write all of them."""
    FOLDER.mkdir(exist_ok=True)
    for make in SOUNDS:
        write(FOLDER / f"{make.__name__}.ogg", make())


def keyboard() -> Samples:
    """Somebody looks something up: seven seconds of typing, with pauses."""
    random = np.random.default_rng(1)
    sound = np.zeros(7 * RATE_HZ)
    at_secs = 0.25
    while at_secs < 6.4:
        for _ in range(random.integers(3, 9)):
            add(sound, at_secs, key(random) * random.uniform(0.4, 1))
            at_secs += random.uniform(0.09, 0.21)
        at_secs += random.uniform(0.25, 0.7)
    return band(sound, 60, 6_000)


def pulse() -> Samples:
    """Two soft notes, every second and a half."""
    sound = np.zeros(6 * RATE_HZ)
    for beat in range(4):
        for note, hz in enumerate((392.0, 523.25)):
            secs = np.arange(RATE_HZ) / RATE_HZ
            tone = np.sin(2 * np.pi * hz * secs) + 0.2 * np.sin(4 * np.pi * hz * secs)
            add(sound, 0.3 + 1.5 * beat + 0.18 * note, tone * (secs / 0.04) * np.exp(-secs / 0.16))
    return sound


def office() -> Samples:
    """A room with others in it: air, voices whose words cannot be made out, a keyboard."""
    random = np.random.default_rng(2)
    count = 14 * RATE_HZ
    sound = 0.6 * level(air())
    for low_hz, high_hz in ((180, 600), (240, 900), (300, 1_200)):
        syllables = np.maximum(band(random.standard_normal(count), 1.5, 5), 0)
        phrases = np.maximum(band(random.standard_normal(count), 0.07, 0.4), 0)
        voice = band(random.standard_normal(count), low_hz, high_hz)
        sound += 0.35 * level(voice * syllables * phrases)
    for _ in range(40):
        far_key = key(random) * random.uniform(0.02, 0.06)
        add(sound, random.uniform(0, 13.9), band(far_key, 100, 2_500) * 8)
    return sound


def air() -> Samples:
    """An empty room with a fan in it."""
    count = 14 * RATE_HZ
    noise = np.random.default_rng(3).standard_normal(count)
    spectrum = np.fft.rfft(noise)
    hz = np.fft.rfftfreq(count, 1 / RATE_HZ)
    spectrum *= (hz > 40) / np.maximum(hz, 40)
    return np.fft.irfft(spectrum, count)


SOUNDS: tuple[Callable[[], Samples], ...] = (keyboard, pulse, office, air)


def key(random: np.random.Generator) -> Samples:
    """Return the sound of a key that is pressed and, fainter, let go."""
    secs = np.arange(round(0.12 * RATE_HZ)) / RATE_HZ
    press = random.standard_normal(secs.size) * np.exp(-secs / 0.006)
    thump = 1.5 * np.sin(2 * np.pi * random.uniform(150, 210) * secs) * np.exp(-secs / 0.012)
    late = np.maximum(secs - 0.07, 0)
    release = 0.3 * random.standard_normal(secs.size) * np.exp(-late / 0.004) * (late > 0)
    return press + thump + release


def band(sound: Samples, low_hz: float, high_hz: float) -> Samples:
    """Return what of a sound is between two frequencies."""
    spectrum = np.fft.rfft(sound)
    hz = np.fft.rfftfreq(sound.size, 1 / RATE_HZ)
    spectrum /= np.sqrt((1 + (low_hz / np.maximum(hz, 1e-6)) ** 4) * (1 + (hz / high_hz) ** 4))
    return np.fft.irfft(spectrum, sound.size)


def level(sound: Samples) -> Samples:
    """Return a sound as loud as any other: with a root mean square of 1."""
    return sound / np.sqrt(np.mean(sound**2))


def add(sound: Samples, at_secs: float, other: Samples) -> None:
    """Mix a sound into another, whose end is its beginning."""
    start = round(at_secs * RATE_HZ)
    np.add.at(sound, np.arange(start, start + other.size) % sound.size, other)


def write(path: Path, sound: Samples) -> None:
    """Write a sound as Ogg with Opus."""
    pcm = (sound / np.abs(sound).max() * PEAK * 32767).round().astype(np.int16)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libopus", rate=RATE_HZ, layout="mono")
        stream.bit_rate = BIT_RATE
        frame = av.AudioFrame.from_ndarray(pcm[np.newaxis], format="s16", layout="mono")
        frame.sample_rate = RATE_HZ
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


if __name__ == "__main__":
    main()
