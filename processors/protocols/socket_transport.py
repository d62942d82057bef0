"""Pipecat's WebSocket transport for clients that send sound in pieces of any length."""

import asyncio

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
from pipecat.transports.base_transport import TransportParams
from pipecat.transports.websocket.fastapi import (
    FastAPIWebsocketInputTransport,
    FastAPIWebsocketOutputTransport,
    FastAPIWebsocketParams,
    FastAPIWebsocketTransport,
)
from starlette.websockets import WebSocket

from processors.protocols.json_serializer import JsonSerializer

PIECE_SECS = 0.02
BURST_SECS = 0.5
"""Sound that may come at once: browsers record in pieces of 250 ms. Speech recognition keeps 1 s of
what was before it learns that somebody speaks; more than that must not be on its way to there."""

SPEED = 4
"""How much faster than it was spoken more of it is taken. The rest is left in the network."""

LEAD_SECS = 0.2
"""The bot's voice is sent so much ahead of time: where the network has a gap, it has none."""


class SocketInput(FastAPIWebsocketInputTransport):
    """Takes the client's sound in small pieces, hardly faster than it was spoken.

    What detects and recognises speech sees no more than the state at the end of each piece.
    """

    _taken_until = 0.0

    async def start(self, frame: StartFrame) -> None:
        """Say that there is a bot, before anything else, and begin to read."""
        await _serializer(self._params).begin()
        await super().start(frame)

    async def push_audio_frame(self, frame: InputAudioRawFrame) -> None:
        """Take sound; returns late where it comes too fast."""
        size = 2 * round(frame.sample_rate * PIECE_SECS)
        pieces = [frame.audio[at : at + size] for at in range(0, len(frame.audio), size)]
        for piece in pieces[:-1]:
            await self._take(InputAudioRawFrame(piece, frame.sample_rate, 1))
        if pieces:
            await self._take(type(frame)(pieces[-1], frame.sample_rate, 1))

    async def _take(self, frame: InputAudioRawFrame) -> None:
        now = asyncio.get_running_loop().time()
        self._taken_until = max(self._taken_until, now) + PIECE_SECS / SPEED
        await asyncio.sleep(max(0.0, self._taken_until - now - BURST_SECS / SPEED))
        await super().push_audio_frame(frame)


class SocketOutput(FastAPIWebsocketOutputTransport):
    """Sends the bot's voice in time, and no later because one piece was late.

    Between its speeches it sends nothing: what is heard behind its voice is silent there.
    """

    _is_cut_off = False

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Take a frame, and note which sound is of a speech that was interrupted."""
        match frame:
            case InterruptionFrame():
                self._is_cut_off = True
            case TTSStartedFrame():
                self._is_cut_off = False
        await super().process_frame(frame, direction)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        """Send a piece of sound, when it is time for the next one."""
        if isinstance(frame, TTSAudioRawFrame) and not self._is_cut_off:
            await _serializer(self._params).until_it_may_play()
        # It may have been interrupted meanwhile, in the hand of the task that plays it.
        if isinstance(frame, TTSAudioRawFrame) and not self._is_cut_off:
            return await super().write_audio_frame(frame)
        await self._write_audio_sleep()
        return False

    async def cleanup(self) -> None:
        """Release what the serializer holds, too."""
        await super().cleanup()
        await _serializer(self._params).cleanup()

    async def _write_audio_sleep(self) -> None:
        now = asyncio.get_running_loop().time()
        since = max(self._next_send_time, now - LEAD_SECS)
        self._next_send_time = since + self._send_interval  # type: ignore[assignment]
        await asyncio.sleep(max(0.0, self._next_send_time - now))


class SocketTransport(FastAPIWebsocketTransport):
    """See `SocketInput` and `SocketOutput`; its serializer is a `JsonSerializer`."""

    def __init__(self, websocket: WebSocket, params: FastAPIWebsocketParams) -> None:
        super().__init__(websocket, params)
        self._input = SocketInput(self, self._client, params)
        self._output = SocketOutput(self, self._client, params)


def _serializer(params: TransportParams) -> JsonSerializer:
    assert isinstance(params, FastAPIWebsocketParams)
    assert isinstance(params.serializer, JsonSerializer)
    return params.serializer
