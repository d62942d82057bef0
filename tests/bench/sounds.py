"""What comes with speech on a line: noise, a codec, coughs, doors, the bot's own voice."""

from collections.abc import Callable

import av
import numpy as np
import soxr

from tests.bench.speech_corpus import SAMPLE_RATE_HZ, Pcm, Samples, Studio, Voice

OPUS_RATE_HZ = 48_000
OPUS_BIT_RATE = 32_000
"""What browsers send for a voice."""

COUGH_RMS = 3000
DOOR_RMS = 2500
MHM_RMS = 1500


def with_noise(pcm: Pcm, noise: Samples, snr_db: float) -> Pcm:
    """Mix speech with as much noise as makes the ratio of their powers `snr_db`.

    The power of the speech is that of all of `pcm`, so there should be little silence in it.
    """
    needed = _rms(pcm) / 10 ** (snr_db / 20)
    return _to_pcm(pcm + noise[: len(pcm)] * needed / _rms(noise[: len(pcm)]))


def pink(samples: int, seed: int = 1) -> Samples:
    """Return noise with equal power in each octave above 50 Hz: a fan, a street."""
    return _shaped(samples, seed, lambda hz: 1 / np.sqrt(np.maximum(hz, 50)))


def babble(studio: Studio, texts: list[str], voices: tuple[Voice, ...], samples: int) -> Samples:
    """Return a room full of people: each voice says all of the texts, from another one on."""
    mixed = np.zeros(samples)
    for i, voice in enumerate(voices):
        start = i * len(texts) // len(voices)
        said = [studio.say(text, voice) for text in texts[start:] + texts[:start]]
        mixed += np.resize(np.concatenate(said).astype(np.float64), samples)
    return mixed


def cough(seed: int = 1) -> Pcm:
    """Return two coughs: bursts of noise through an open mouth, the second one weaker."""
    burst = _burst(0.28, attack=0.012, decay=0.07, seed=seed, low=300, high=4000)
    gap = np.zeros(SAMPLE_RATE_HZ // 6)
    return _scaled(np.concatenate([burst, gap, 0.6 * burst]), COUGH_RMS)


def door(seed: int = 1) -> Pcm:
    """Return a door that falls shut: a thud, then the click of the latch."""
    thud = _burst(0.35, attack=0.004, decay=0.06, seed=seed, low=40, high=250)
    click = 0.5 * _burst(0.08, attack=0.001, decay=0.01, seed=seed + 1, low=1500, high=6000)
    return _scaled(np.concatenate([thud, click]), DOOR_RMS)


def mhm(seed: int = 1) -> Pcm:
    """Return a listener's "mhm": two hums through the nose, the second one higher, 0.45 s in all.

    Synthetic voices spell it.
    """
    pitch_hz = np.random.default_rng(seed).uniform(95, 220)
    low = _hum(0.15, pitch_hz, pitch_hz * 0.95)
    breath = 0.1 * _burst(0.06, attack=0.02, decay=0.03, seed=seed, low=300, high=3000)
    high = _hum(0.24, pitch_hz * 1.25, pitch_hz * 1.1)
    return _scaled(np.concatenate([low, breath, high]), MHM_RMS)


def echo(pcm: Pcm, level_db: float = -20.0) -> Pcm:
    """Return the bot's own voice as the caller's microphone hears it again."""
    return _to_pcm(pcm * 10 ** (level_db / 20))


def through_opus(pcm: Pcm) -> Pcm:
    """Return the samples after a way over WebRTC: 48 kHz Opus in frames of 20 ms."""
    encoder = av.CodecContext.create("libopus", "w")
    assert isinstance(encoder, av.AudioCodecContext)
    encoder.sample_rate, encoder.layout, encoder.format = OPUS_RATE_HZ, "mono", "s16"
    encoder.bit_rate = OPUS_BIT_RATE
    encoder.options = {"application": "voip"}
    decoder = av.CodecContext.create("opus", "r")
    assert isinstance(decoder, av.AudioCodecContext)
    decoder.sample_rate, decoder.layout = OPUS_RATE_HZ, "mono"
    wide = soxr.resample(pcm, SAMPLE_RATE_HZ, OPUS_RATE_HZ)
    size = OPUS_RATE_HZ // 50
    wide = np.pad(wide, (0, -len(wide) % size + size))
    packets = []
    for start in range(0, len(wide), size):
        frame = av.AudioFrame.from_ndarray(wide[None, start : start + size], "s16", "mono")
        frame.sample_rate, frame.pts = OPUS_RATE_HZ, start
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    # The decoder gives floats, with a plane for each channel.
    frames = [frame for packet in packets for frame in decoder.decode(packet)]
    heard = np.concatenate([frame.to_ndarray()[0] for frame in frames])
    return _to_pcm(soxr.resample(heard, OPUS_RATE_HZ, SAMPLE_RATE_HZ) * 32768)[: len(pcm)]


def _shaped(samples: int, seed: int, gain: Callable[[Samples], Samples]) -> Samples:
    white = np.fft.rfft(np.random.default_rng(seed).normal(size=samples))
    hz = np.fft.rfftfreq(samples, 1 / SAMPLE_RATE_HZ)
    return np.fft.irfft(white * gain(hz), samples)


def _burst(
    secs: float, *, attack: float, decay: float, seed: int, low: float, high: float
) -> Samples:
    """Return noise between two frequencies that rises in `attack` and falls by 1/e in `decay`."""
    samples = int(secs * SAMPLE_RATE_HZ)
    at = np.arange(samples) / SAMPLE_RATE_HZ
    noise = _shaped(samples, seed, lambda hz: ((hz > low) & (hz < high)).astype(np.float64))
    shape = np.minimum(at / attack, 1) * np.exp(-np.maximum(at - attack, 0) / decay)
    return noise * shape


def _hum(secs: float, from_hz: float, to_hz: float) -> Samples:
    """Return a voice through a closed mouth: harmonics that fall off above the nose's 250 Hz."""
    samples = int(secs * SAMPLE_RATE_HZ)
    hz = np.linspace(from_hz, to_hz, samples)
    phase = 2 * np.pi * np.cumsum(hz) / SAMPLE_RATE_HZ
    voice = np.zeros(samples)
    for harmonic in range(1, 16):
        at_hz = harmonic * hz
        voice += np.sin(harmonic * phase) / (1 + (at_hz / 250) ** 2)
    shape = np.minimum(1, np.minimum(np.arange(samples), np.arange(samples)[::-1]) / (samples / 5))
    return voice * shape


def _scaled(samples: Samples, rms: float) -> Pcm:
    return _to_pcm(samples * rms / _rms(samples))


def _rms(samples: Samples | Pcm) -> float:
    return float(np.sqrt(np.mean(np.square(samples.astype(np.float64)))))


def _to_pcm(samples: Samples) -> Pcm:
    return np.clip(np.round(samples), -32768, 32767).astype(np.int16)
