"""The transport of a call, of whichever kind its session asks for."""

from typing import Any, cast

from pipecat.runner.types import (
    DailyRunnerArguments,
    LiveKitRunnerArguments,
    RunnerArguments,
    SmallWebRTCRunnerArguments,
    WebSocketRunnerArguments,
)
from pipecat.runner.utils import create_transport
from pipecat.transports.base_transport import BaseTransport, TransportParams
from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams

from bots.audio_receiver import hear_without_delay
from bots.config import PhoneProvider, TelephonyConfig
from bots.telephony import Start, phone_params
from processors.background_audio import BackgroundAudio
from processors.output_pause import OutputPause
from processors.protocols.json_serializer import JsonSerializer
from processors.protocols.json_transport import JsonTransport
from processors.protocols.socket_transport import SocketTransport
from processors.rtvi_serializer import RTVISerializer

_ROOM_LOST: dict[type[RunnerArguments], str] = {
    DailyRunnerArguments: "on_error",
    LiveKitRunnerArguments: "on_disconnected",
}


def room_lost_event(runner_args: RunnerArguments) -> str | None:
    """Return the transport's event for a bot that is not, or no more, in its room.

    It is None where there is no room but the connection with the client.
    """
    return _ROOM_LOST.get(type(runner_args))


async def make_transport(
    runner_args: RunnerArguments,
    output: OutputPause,
    background: BackgroundAudio | None = None,
    *,
    telephony: TelephonyConfig,
    serializer: JsonSerializer | None = None,
) -> BaseTransport:
    """Make the transport that the arguments of a session ask for.

    Args:
        runner_args: The arguments.
        output: Pauses what it plays.
        background: Is mixed into that; None for nothing.
        telephony: How phone calls are ended.
        serializer: Speaks the protocol of a client at a WebSocket; None for RTVI, or a phone's.

    Raises:
        ValueError: If Pipecat does not know the kind of session.
    """
    audio: dict[str, Any] = {
        "audio_in_enabled": True,
        "audio_out_enabled": True,
        "audio_out_filter": output,
        "audio_out_mixer": background,
        # What has been handed out cannot be paused any more.
        "audio_out_10ms_chunks": 2,
    }

    def eval_params() -> TransportParams:
        from pipecat.evals.transport import EvalTransportParams

        return EvalTransportParams(**audio)

    def peer() -> TransportParams:
        return TransportParams(**audio)

    def daily() -> TransportParams:
        from pipecat.transports.daily.transport import DailyParams

        return DailyParams(**audio)

    def livekit() -> TransportParams:
        from pipecat.transports.livekit.transport import LiveKitParams

        return LiveKitParams(**audio)

    def telephone() -> TransportParams:
        return FastAPIWebsocketParams(**audio)

    if isinstance(runner_args, WebSocketRunnerArguments) and (
        transport := _socket_transport(runner_args, audio, telephony, serializer)
    ):
        return transport

    if isinstance(runner_args, SmallWebRTCRunnerArguments):
        # Again for the peer connection that follows when a client has lost the first.
        @runner_args.webrtc_connection.event_handler("connected")
        async def on_connected(connection: SmallWebRTCConnection) -> None:
            hear_without_delay(connection.pc)

    return await create_transport(
        runner_args,
        {
            "webrtc": peer,
            "livekit": livekit,
            "daily": daily,
            "eval": eval_params,
            **dict.fromkeys(("twilio", "telnyx", "plivo", "exotel"), telephone),
        },
    )


def _socket_transport(
    runner_args: WebSocketRunnerArguments,
    audio: dict[str, Any],
    telephony: TelephonyConfig,
    serializer: JsonSerializer | None,
) -> SocketTransport | None:
    """Make the transport of a WebSocket; None if Pipecat is to find out what is spoken there."""
    kind, socket = runner_args.transport_type, runner_args.websocket
    # Whoever accepted the socket has looked at where it comes from.
    params = {**audio, "allowed_origins": []}
    if isinstance(runner_args.call_data, Start):
        params |= phone_params(cast(PhoneProvider, kind), runner_args.call_data, telephony)
        return SocketTransport(socket, FastAPIWebsocketParams(**params))
    if serializer:
        return JsonTransport(socket, FastAPIWebsocketParams(**params, serializer=serializer))
    if kind == "websocket":
        rtvi = RTVISerializer()
        return SocketTransport(socket, FastAPIWebsocketParams(**params, serializer=rtvi))
    return None
