"""Pipecat's WebSocket transport for clients that send sound in pieces of any length, however fast.

Each end has one bound. What comes is always read, so that a client which sends too much can still
be understood, and answers pings: its sound waits in one place, and the oldest is dropped. What goes
is sent as it is played, and no faster than the client reads.
"""

import asyncio
import math

from loguru import logger
from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    InterruptionFrame,
    OutputAudioRawFrame,
    StartFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.transports.websocket.fastapi import (
    FastAPIWebsocketInputTransport,
    FastAPIWebsocketOutputTransport,
    FastAPIWebsocketParams,
    FastAPIWebsocketTransport,
)
from starlette.websockets import WebSocket

from processors.protocols.sound import SAMPLE_BYTES
from processors.protocols.waiting_sound import WaitingSound
from processors.push_to_talk import FinalAudioFrame

PIECE_SECS = 0.02
BURST_SECS = 0.5
"""Sound that may go on at once: browsers record in pieces of 250 ms. Speech recognition keeps 1 s
of what was before it learns that somebody speaks; more than that must not be on its way to
there."""

SPEED = 4
"""How much faster than it was spoken more of it goes on."""

MAX_WAITING_SECS = 30
"""How much may wait for that, but for what one message holds."""

TELL_SECS = 1.0
"""How often it is told how much was dropped."""

LEAD_SECS = 0.2
"""The bot's voice is sent so much ahead of time: where the network has a gap, it has none."""


class SocketInput(FastAPIWebsocketInputTransport):
    """Hands on the client's sound in small pieces, hardly faster than it was spoken.

    What detects and recognises speech sees no more than the state at the end of each piece.
    Messages do not wait behind sound, but for the end of an utterance, which is part of it.
    """

    _feeding: asyncio.Task[None] | None = None
    _is_dropping = False
    _dropped_secs = 0.0

    async def start(self, frame: StartFrame) -> None:
        """Begin to read."""
        self._waiting = WaitingSound(MAX_WAITING_SECS * self.sample_rate * SAMPLE_BYTES)
        self._has_sound = asyncio.Event()
        await super().start(frame)
        self._feeding = self._feeding or self.create_task(self._feed())

    async def push_audio_frame(self, frame: InputAudioRawFrame) -> None:
        """Let sound of the pipeline's rate wait for its turn."""
        size = self._waiting.put(frame.audio, is_final=isinstance(frame, FinalAudioFrame))
        self._has_sound.set()
        if size and not self._is_dropping:
            self._is_dropping = True
            logger.warning("the client sends sound faster than it can be heard: some is dropped")
        self._dropped_secs += size / SAMPLE_BYTES / self.sample_rate

    async def _feed(self) -> None:
        size = SAMPLE_BYTES * round(self.sample_rate * PIECE_SECS)
        now, until, told_at = asyncio.get_running_loop().time, 0.0, -math.inf
        while True:
            await self._has_sound.wait()
            pcm, is_final = self._waiting.take(size)
            kind = FinalAudioFrame if is_final else InputAudioRawFrame
            await super().push_audio_frame(kind(pcm, self.sample_rate, 1))
            if not self._waiting:
                self._has_sound.clear()
                self._is_dropping = False
            if self._dropped_secs and now() >= told_at + TELL_SECS:
                secs, self._dropped_secs, told_at = self._dropped_secs, 0.0, now()
                await self._transport._call_event_handler("on_audio_dropped", secs)
            until = max(until, now()) + PIECE_SECS / SPEED
            await asyncio.sleep(max(0.0, until - now() - BURST_SECS / SPEED))

    async def _stop_tasks(self) -> None:
        await super()._stop_tasks()
        if self._feeding:
            await self.cancel_task(self._feeding)
            self._feeding = None


class SocketOutput(FastAPIWebsocketOutputTransport):
    """Sends what is to be heard in time, and no later because one piece was late.

    Attributes:
        is_cut_off: Whether the speech that is played was interrupted. A piece in the hand of the
            task that plays it outlives the interruption (Pipecat 1.14), and is not sent.
    """

    is_cut_off = False

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Take a frame, and note which sound is of a speech that was interrupted."""
        match frame:
            case InterruptionFrame():
                self.is_cut_off = True
            case TTSStartedFrame():
                self.is_cut_off = False
        await super().process_frame(frame, direction)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        """Send a piece of sound, when it is time for the next one."""
        if self.is_cut_off and isinstance(frame, TTSAudioRawFrame):
            await self._write_audio_sleep()
            return False
        return await super().write_audio_frame(frame)

    async def _write_audio_sleep(self) -> None:
        now = asyncio.get_running_loop().time()
        since = max(self._next_send_time, now - LEAD_SECS)
        self._next_send_time = since + self._send_interval  # type: ignore[assignment]
        await asyncio.sleep(max(0.0, self._next_send_time - now))


class SocketTransport(FastAPIWebsocketTransport):
    """See `SocketInput` and `SocketOutput`.

    Event handlers:

    - on_audio_dropped(transport, secs): So much sound of the client was dropped since the last time
    """

    def __init__(self, websocket: WebSocket, params: FastAPIWebsocketParams) -> None:
        super().__init__(websocket, params)
        self._input = SocketInput(self, self._client, params)
        self._output = SocketOutput(self, self._client, params)
        self._register_event_handler("on_audio_dropped")
