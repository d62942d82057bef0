"""How long a pause of 700 ms lasts for who listens, by the level of the sound and by Silero.

    .venv/bin/python tests/bench/silences.py [tuning|held_out|fresh] [--pause 700] [--count 170]

The sentences of half_way.py go through Opus, in packets of 20 ms, without a network and without a
clock: a busy machine does not change what comes out. A silence lasts from what is taken for the
last sound to the packet in which the next one is noticed.
"""

import argparse
import sys
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np
from av import AudioFrame, AudioResampler, CodecContext, Packet
from pipecat.audio.vad.vad_analyzer import VADParams, VADState

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from bots.config import VadConfig  # noqa: E402
from processors.shared_vad import SpeechModels  # noqa: E402
from processors.speech_pause import PauseDetector  # noqa: E402
from runner.clients.client import FRAME_SAMPLES, Pcm  # noqa: E402
from runner.clients.client import SAMPLE_RATE_HZ as SENT_HZ  # noqa: E402
from tests.bench.half_way import hesitations  # noqa: E402
from tests.bench.speech_corpus import CORPORA, SAMPLE_RATE_HZ  # noqa: E402
from tests.bench.stats import percentile  # noqa: E402

PACKET_SECS = FRAME_SAMPLES / SENT_HZ
PERCENTILES = (50, 90, 97, 99)


def packets(pcm: Pcm) -> Iterator[bytes]:
    """Yield what is heard of each packet of a sound: 16 kHz, 16-bit, mono."""
    encoder = CodecContext.create("libopus", "w")
    encoder.options = {"application": "voip"}
    decoder = CodecContext.create("libopus", "r")
    for codec in (encoder, decoder):
        codec.format, codec.layout, codec.sample_rate = "s16", "mono", SENT_HZ
    encoder.time_base = Fraction(1, SENT_HZ)
    resampler = AudioResampler("s16", "mono", SAMPLE_RATE_HZ)
    for start in range(0, len(pcm), FRAME_SAMPLES):
        frame = AudioFrame.from_ndarray(pcm[None, start : start + FRAME_SAMPLES], layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = SENT_HZ, start, encoder.time_base
        heard = b""
        for packet in encoder.encode(frame):
            for decoded in decoder.decode(Packet(bytes(packet))):
                decoded.pts = None
                for resampled in resampler.resample(decoded):
                    heard += resampled.to_ndarray()[0].tobytes()
        yield heard


def silence_ms(models: SpeechModels, pcm: Pcm, goes_on_secs: float) -> tuple[float, float]:
    """Return how long the pause lasts that ends at `goes_on_secs`: by level, and by Silero."""
    detector = PauseDetector(SAMPLE_RATE_HZ)
    config = VadConfig()
    vad = models.vad(
        VADParams(confidence=config.threshold, start_secs=config.min_speech_duration),
        max_speech_secs=config.max_speech_duration,
    )
    vad.set_sample_rate(SAMPLE_RATE_HZ)
    state = VADState.QUIET
    last_sound = last_voice = 0.0
    for number, heard in enumerate(packets(pcm), start=1):
        now = number * PACKET_SECS
        was_paused = detector.paused
        detector.hear(heard)
        before, state = state, vad._run_analyzer(heard)
        if detector.paused and not was_paused:
            last_sound = now - detector.paused_secs
        if state is VADState.QUIET and before is VADState.STOPPING:
            last_voice = now - vad.params.stop_secs
        if now > goes_on_secs and (detector.stirs or not detector.paused):
            return (now - last_sound) * 1000, (now - last_voice) * 1000
    raise ValueError("the sentence is not heard to go on")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", choices=CORPORA, nargs="?", default="held_out")
    parser.add_argument("--pause", type=int, default=700, metavar="MS", help="its length")
    parser.add_argument("--count", type=int, default=170, help="sentences, at most")
    args = parser.parse_args()
    models = SpeechModels()
    lasted = [
        silence_ms(models, np.concatenate([said.first, said.rest]), len(said.first) / SENT_HZ)
        for said in islice(hesitations(args.corpus, args.pause), args.count)
    ]
    print(f"{len(lasted)} pauses of {args.pause} ms, {args.corpus}")
    print(f"{'':18}" + "".join(f"{f'p{p}':>7}" for p in PERCENTILES))
    for name, times in zip(("by the level", "by Silero"), zip(*lasted, strict=True), strict=True):
        print(f"{name:18}" + "".join(f"{percentile(times, p):7.0f}" for p in PERCENTILES))


if __name__ == "__main__":
    main()
