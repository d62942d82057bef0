"""The transport of the protocols of JSON messages."""

from pipecat.frames.frames import (
    OutputAudioRawFrame,
    StartFrame,
    TTSAudioRawFrame,
)
from pipecat.transports.base_transport import TransportParams
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams
from starlette.websockets import WebSocket

from processors.protocols.json_serializer import JsonSerializer
from processors.protocols.socket_transport import SocketInput, SocketOutput, SocketTransport


class JsonInput(SocketInput):
    """Says that there is a bot, before anything else."""

    async def start(self, frame: StartFrame) -> None:
        """Say so, and begin to read."""
        await _serializer(self._params).begin()
        await super().start(frame)


class JsonOutput(SocketOutput):
    """Sends the bot's voice as the protocol has it, and nothing between its speeches.

    What is heard behind its voice is silent there.
    """

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        """Send a piece of the bot's voice, when it is told what it says."""
        if not isinstance(frame, TTSAudioRawFrame):
            await self._write_audio_sleep()
            return False
        if not self.is_cut_off:
            await _serializer(self._params).until_it_may_play()
        return await super().write_audio_frame(frame)

    async def cleanup(self) -> None:
        """Release what the serializer holds, too."""
        await super().cleanup()
        await _serializer(self._params).cleanup()


class JsonTransport(SocketTransport):
    """See `JsonInput` and `JsonOutput`; its serializer is a `JsonSerializer`."""

    def __init__(self, websocket: WebSocket, params: FastAPIWebsocketParams) -> None:
        super().__init__(websocket, params)
        self._input = JsonInput(self, self._client, params)
        self._output = JsonOutput(self, self._client, params)


def _serializer(params: TransportParams) -> JsonSerializer:
    assert isinstance(params, FastAPIWebsocketParams)
    assert isinstance(params.serializer, JsonSerializer)
    return params.serializer
