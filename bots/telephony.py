"""Phone calls whose media streams come here: what each provider begins, speaks and ends them by."""

import asyncio
from base64 import b64encode
from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated, Any, Literal
from xml.sax.saxutils import escape

import aiohttp
from loguru import logger
from pipecat.runner.types import CallData, RunnerArguments, WebSocketRunnerArguments
from pipecat.serializers.exotel import ExotelFrameSerializer
from pipecat.serializers.plivo import PlivoFrameSerializer
from pipecat.serializers.telnyx import TelnyxFrameSerializer
from pipecat.serializers.twilio import TwilioFrameSerializer
from pydantic import AliasPath, ConfigDict, Field, SecretStr, ValidationError

from bots.config import (
    PHONE_PROVIDERS,
    ExotelConfig,
    PhoneProvider,
    PlivoConfig,
    TelephonyConfig,
    TelnyxConfig,
    TwilioConfig,
)
from processors.protocols.phone import PHONE_RATE_HZ, PhoneSerializer

ANSWER_SECS = 5.0

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_:=-]{1,200}$")]
"""Of a call or stream; that of a call stands in an address of the provider's."""


class Start(CallData):
    """The message that a media stream begins with.

    Attributes:
        stream_id: Names the stream.
        call_id: Names the phone call.
        encoding: Of what comes.
    """

    model_config = ConfigDict(extra="ignore")

    event: Literal["start"]
    stream_id: Name
    call_id: Name
    encoding: Literal["PCMU", "PCMA"] = "PCMU"


class _TwilioStart(Start):
    stream_id: Name = Field(validation_alias=AliasPath("start", "streamSid"))
    call_id: Name = Field(validation_alias=AliasPath("start", "callSid"))


class _TelnyxStart(Start):
    call_id: Name = Field(validation_alias=AliasPath("start", "call_control_id"))
    encoding: Literal["PCMU", "PCMA"] = Field(
        validation_alias=AliasPath("start", "media_format", "encoding")
    )


class _PlivoStart(Start):
    stream_id: Name = Field(validation_alias=AliasPath("start", "streamId"))
    call_id: Name = Field(validation_alias=AliasPath("start", "callId"))


class _ExotelStart(Start):
    stream_id: Name = Field(validation_alias=AliasPath("start", "stream_sid"))
    call_id: Name = Field(validation_alias=AliasPath("start", "call_sid"))


_STARTS: Mapping[PhoneProvider, type[Start]] = {
    "twilio": _TwilioStart,
    "telnyx": _TelnyxStart,
    "plivo": _PlivoStart,
    "exotel": _ExotelStart,
}


def read_start(provider: PhoneProvider, message: str) -> Start | None:
    """Return what a provider begins a stream with; None if this is another message."""
    try:
        return _STARTS[provider].model_validate_json(message)
    except ValidationError:
        return None


def is_phone_call(runner_args: RunnerArguments) -> bool:
    """Say whether the client of a call has come by phone, over a media stream."""
    return (
        isinstance(runner_args, WebSocketRunnerArguments)
        and runner_args.transport_type in PHONE_PROVIDERS
    )


def phone_params(provider: PhoneProvider, start: Start, config: TelephonyConfig) -> dict[str, Any]:
    """Return what a transport is to be given for a phone call.

    Args:
        provider: Whose call it is.
        start: What its stream begins with.
        config: How calls of that provider are ended.
    """
    params = {
        "serializer": _MAKERS[provider](start, getattr(config, provider)),
        "audio_out_sample_rate": PHONE_RATE_HZ,
    }
    # Exotel plays pieces of 3200 bytes and more, and has gaps between smaller ones.
    return {**params, "audio_out_10ms_chunks": 20} if provider == "exotel" else params


def _twilio(start: Start, config: TwilioConfig) -> PhoneSerializer:
    params = TwilioFrameSerializer.InputParams(sample_rate=PHONE_RATE_HZ, auto_hang_up=False)
    request = _of_twilio(start.call_id, config)
    end_call = partial(_end_call, **request, data={"Status": "completed"})
    return PhoneSerializer(TwilioFrameSerializer(start.stream_id, params=params), end_call)


def _telnyx(start: Start, config: TelnyxConfig) -> PhoneSerializer:
    params = TelnyxFrameSerializer.InputParams(sample_rate=PHONE_RATE_HZ, auto_hang_up=False)
    end_call = partial(
        _end_call,
        method="POST",
        url=f"{config.api_url}/calls/{start.call_id}/actions/hangup",
        headers={"Authorization": f"Bearer {config.api_key.get_secret_value()}"},
        json={},
    )
    # What comes is in the codec of the call; what is sent is in the one that was asked for.
    stream = TelnyxFrameSerializer(start.stream_id, start.encoding, "PCMU", params=params)
    return PhoneSerializer(stream, end_call)


def _plivo(start: Start, config: PlivoConfig) -> PhoneSerializer:
    auth_id = config.auth_id
    params = PlivoFrameSerializer.InputParams(sample_rate=PHONE_RATE_HZ, auto_hang_up=False)
    end_call = partial(
        _end_call,
        method="DELETE",
        url=f"{config.api_url}/Account/{auth_id}/Call/{start.call_id}/",
        headers=_password(auth_id, config.auth_token),
    )
    return PhoneSerializer(PlivoFrameSerializer(start.stream_id, params=params), end_call)


def _exotel(start: Start, _: ExotelConfig) -> PhoneSerializer:
    params = ExotelFrameSerializer.InputParams(sample_rate=PHONE_RATE_HZ)
    return PhoneSerializer(ExotelFrameSerializer(start.stream_id, params=params), _leave_to_socket)


async def _leave_to_socket() -> None:
    """Leave the end of a call to that of its stream, where its flow goes on to the next applet."""


_MAKERS: Mapping[PhoneProvider, Callable[[Start, Any], PhoneSerializer]] = {
    "twilio": _twilio,
    "telnyx": _telnyx,
    "plivo": _plivo,
    "exotel": _exotel,
}


async def dial_by_twilio(call_id: str, to: str, config: TwilioConfig) -> str:
    """Put the caller of a call through, who leaves its stream then; see `PutThrough`.

    Args:
        call_id: Which call.
        to: A SIP address, or a phone number in E.164.
        config: Whose call it is.
    """
    callee = f"<Sip>{escape(to)}</Sip>" if to.startswith("sip") else f"<Number>{to}</Number>"
    instructions = f"<Response><Dial>{callee}</Dial></Response>"
    refusal = await _ask(**_of_twilio(call_id, config), data={"Twiml": instructions})
    return refusal or await asyncio.get_running_loop().create_future()


def _of_twilio(call_id: str, config: TwilioConfig) -> dict[str, Any]:
    """Return how a call of Twilio's is changed."""
    sid = config.account_sid
    return {
        "method": "POST",
        "url": f"{config.api_url}/2010-04-01/Accounts/{sid}/Calls/{call_id}.json",
        "headers": _password(sid, config.auth_token),
    }


def _password(user: str, password: SecretStr) -> dict[str, str]:
    pair = f"{user}:{password.get_secret_value()}"
    return {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}


async def _end_call(**request: Any) -> None:
    """Have a provider end a call; it may have ended by itself."""
    if refusal := await _ask(**request):
        logger.info("the phone call is not ended from here: {}", refusal)


async def _ask(method: str, url: str, **request: Any) -> str:
    """Have a provider do something; return why it does not, or "".

    Pipecat's serializers could end calls, but wait for the answer without a bound, and have no
    address for it but the provider's own.
    """
    timeout = aiohttp.ClientTimeout(ANSWER_SECS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as http,
            http.request(method, url, **request) as answer,
        ):
            return "" if answer.ok else f"{answer.status} {answer.reason}"
    except (aiohttp.ClientError, TimeoutError) as error:
        return str(error) or type(error).__name__
