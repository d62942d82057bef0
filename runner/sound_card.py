"""The microphone and the loudspeaker of this machine, for a conversation in the terminal."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np

from runner.clients.client import SAMPLE_RATE_HZ, Client, Pcm, TalkFailed

MAX_WAITING_SAMPLES = SAMPLE_RATE_HZ // 2
"""Sound that may wait to be played: half a second. The oldest is dropped, as after a hiccup."""


class Loudspeaker:
    """Sound between the event loop, which brings it in bursts, and the thread of a sound card."""

    def __init__(self) -> None:
        self._waiting = np.zeros(0, np.int16)
        self._lock = threading.Lock()

    def play(self, pcm: Pcm) -> None:
        """Take 16-bit mono audio at 48 kHz, to be played next."""
        with self._lock:
            self._waiting = np.concatenate([self._waiting, pcm])[-MAX_WAITING_SAMPLES:]

    def take(self, samples: int) -> Pcm:
        """Return the next `samples` samples, with silence where there are no more."""
        with self._lock:
            taken, self._waiting = self._waiting[:samples], self._waiting[samples:]
        return np.pad(taken, (0, samples - taken.size))


@asynccontextmanager
async def over_sound_card(client: Client) -> AsyncIterator[None]:
    """Let a client say what the microphone hears, and play what it hears.

    Raises:
        TalkFailed: If there is no PortAudio, microphone or loudspeaker.
    """
    try:
        import sounddevice
    except ImportError as error:
        raise TalkFailed(
            "the package sounddevice is missing: uv pip install -e '.[local]'"
        ) from error
    except OSError as error:
        raise TalkFailed(
            f"{error}: install it (Debian: apt install libportaudio2), or talk with --wav or --text"
        ) from error
    loop = asyncio.get_running_loop()
    loudspeaker = Loudspeaker()
    client.on_heard = loudspeaker.play

    # PortAudio calls these from threads of its own. Two streams, because one for both ways does not
    # get on with PulseAudio.
    def on_heard(heard: Any, _samples: int, _time: object, _status: object) -> None:
        loop.call_soon_threadsafe(client.microphone.hear, np.frombuffer(heard, np.int16).copy())

    def on_wanted(wanted: Any, samples: int, _time: object, _status: object) -> None:
        wanted[:] = loudspeaker.take(samples).tobytes()

    form = {"samplerate": SAMPLE_RATE_HZ, "channels": 1, "dtype": "int16"}
    try:
        microphone = sounddevice.RawInputStream(**form, callback=on_heard)
        sound = sounddevice.RawOutputStream(**form, callback=on_wanted)
    except (sounddevice.PortAudioError, ValueError) as error:
        raise TalkFailed(f"no sound: {error}; talk with --wav or --text instead") from error
    with microphone, sound:
        yield
