"""Makes bots/sounds/no_voice.ogg: `python scripts/no_voice.py`. It is played where no voice works.

It is said by the offline voice, which is free to use (CC0).
"""

import numpy as np
import soxr
from piper import PiperVoice
from sounds import FOLDER, RATE_HZ, write

from bots.models import ModelStore, default_models_dir, load_manifest
from processors.voice_failover import NO_VOICE


def main() -> None:
    """Write it."""
    store = ModelStore(default_models_dir(), load_manifest())
    voice = PiperVoice.load(store.file("piper-joe"))
    spoken = b"".join(chunk.audio_int16_bytes for chunk in voice.synthesize(NO_VOICE))
    pcm = np.frombuffer(spoken, np.int16).astype(np.float64)
    write(FOLDER / "no_voice.ogg", soxr.resample(pcm, voice.config.sample_rate, RATE_HZ))


if __name__ == "__main__":
    main()
