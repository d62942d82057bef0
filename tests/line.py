"""A line without a network: who speaks and who listens are in this process."""

import asyncio
import itertools
import time

import numpy as np
from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    InputTransportMessageFrame,
    OutputAudioRawFrame,
    StartFrame,
    SystemFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.transports.base_input import BaseInputTransport
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import BaseTransport, TransportParams

from processors.output_pause import OutputPause

RATE_HZ = 16_000
FRAME_SAMPLES = RATE_HZ // 50

MARKED_FRAMES = 10
"""Frames of the microphone between two marks; so many are under way at once, at most."""


CLIENT_READY = {
    "label": "rtvi-ai",
    "type": "client-ready",
    "id": "1",
    "data": {"version": "2.0.0", "about": {"library": "a line"}},
}


class Mark(SystemFrame):
    """Goes through the pipeline behind the frames of the microphone, as fast as they do."""


class Ear(BaseOutputTransport):
    """Plays to nobody, and notes when.

    Attributes:
        ended_at: When the user's last turn ended, by `time.monotonic()`.
        heard_at: When the answer to it was heard.
        heard: Set from then on, until somebody clears it.
        played_secs: How much it has played.
        longest_pause_secs: The longest silence before some of that.
        passed: Grows with each `Mark` that has come through the pipeline.
    """

    def __init__(self, params: TransportParams) -> None:
        super().__init__(params)
        self.ended_at = self.heard_at = 0.0
        self.heard = asyncio.Event()
        self.played_secs = self.longest_pause_secs = 0.0
        self._silent_since = time.monotonic()
        self.passed = asyncio.Semaphore(0)

    def listen(self, since: float) -> None:
        """Begin anew, and take it for silent since a moment, by `time.monotonic()`."""
        self.heard.clear()
        self.played_secs = self.longest_pause_secs = 0.0
        self._silent_since = since

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        if isinstance(frame, UserStoppedSpeakingFrame):
            self.ended_at = time.monotonic()
        elif isinstance(frame, Mark):
            self.passed.release()
        await super().process_frame(frame, direction)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        now = time.monotonic()
        self.longest_pause_secs = max(self.longest_pause_secs, now - self._silent_since)
        if not self.heard.is_set():
            self.heard_at = now
            self.heard.set()
        secs = len(frame.audio) / 2 / frame.sample_rate
        await asyncio.sleep(secs)
        self.played_secs += secs
        self._silent_since = time.monotonic()
        return True


class Mouth(BaseInputTransport):
    """Says what it is given.

    Attributes:
        ready: Set when it can.
    """

    def __init__(self, params: TransportParams) -> None:
        super().__init__(params)
        self.ready = asyncio.Event()
        self._pushed = 0

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)
        self.ready.set()

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        await super().push_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame):
            self._pushed += 1
            if self._pushed % MARKED_FRAMES == 0:
                await super().push_frame(Mark())

    async def say(self, pcm: np.ndarray) -> None:
        await self.push_audio_frame(InputAudioRawFrame(pcm.tobytes(), RATE_HZ, 1))


class Line(BaseTransport):
    """A transport without a network."""

    def __init__(self, output: OutputPause | None = None) -> None:
        super().__init__()
        params = TransportParams(
            audio_in_enabled=True, audio_out_enabled=True, audio_out_filter=output
        )
        self.mouth, self.ear = Mouth(params), Ear(params)
        self._register_event_handler("on_client_connected")
        self._register_event_handler("on_client_disconnected")

    def input(self) -> Mouth:
        return self.mouth

    def output(self) -> Ear:
        return self.ear

    async def connect(self) -> None:
        """Have a client come, which is ready at once."""
        await self._call_event_handler("on_client_connected", "the client")
        await self.mouth.broadcast_frame(InputTransportMessageFrame, message=CLIENT_READY)


async def speak(mouth: Mouth, sentence: np.ndarray) -> None:
    """Say a sentence at 16 kHz in real time, and be silent behind it until cancelled."""
    began = time.monotonic()
    for number in itertools.count():
        piece = sentence[number * FRAME_SAMPLES : (number + 1) * FRAME_SAMPLES]
        await mouth.say(np.pad(piece, (0, FRAME_SAMPLES - len(piece))))
        due = began + (number + 1) * FRAME_SAMPLES / RATE_HZ
        await asyncio.sleep(max(0.0, due - time.monotonic()))
