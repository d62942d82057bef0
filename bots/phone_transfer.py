"""How somebody who has come by phone is put through to somebody else."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from pipecat.runner.types import (
    DailyDialinRequest,
    DailyRunnerArguments,
    RunnerArguments,
    WebSocketRunnerArguments,
)
from pipecat.transports.base_transport import BaseTransport

from bots.config import RealtimeConfig
from bots.telephony import Start, dial_by_twilio
from processors.call_transfer import PutThrough

if TYPE_CHECKING:
    from pipecat.transports.daily.transport import DailyTransport


def phone_transfer(
    runner_args: RunnerArguments, transport: BaseTransport, config: RealtimeConfig
) -> PutThrough | None:
    """Return what puts the caller of a call through to a person; None where that cannot be done.

    Args:
        runner_args: What the session was started with.
        transport: Where the caller is.
        config: Says who takes calls, if anybody does.
    """
    daily, twilio = config.daily, config.telephony.twilio
    match runner_args:
        case DailyRunnerArguments(body=body) if daily and daily.transfer_to and _is_call(body):
            return DailyTransfer(cast("DailyTransport", transport), daily.transfer_to)
        case WebSocketRunnerArguments(transport_type="twilio", call_data=Start(call_id=call_id)):
            if twilio and twilio.transfer_to:
                return partial(dial_by_twilio, call_id, twilio.transfer_to, twilio)
    return None


def _is_call(body: Any) -> bool:
    if isinstance(body, Mapping):
        return "dialin_settings" in body
    return isinstance(body, DailyDialinRequest)


class DailyTransfer:
    """Puts a caller through who has come by way of a phone number at Daily.

    Args:
        transport: Where they are.
        to: A SIP address, or a phone number in E.164.
    """

    def __init__(self, transport: "DailyTransport", to: str) -> None:
        self._transport = transport
        self._to = to
        self._failure: asyncio.Future[str] | None = None
        for event in ("on_dialin_error", "on_dialout_error"):
            transport.add_event_handler(event, self._on_error)

    async def __call__(self) -> str:
        """See `PutThrough`."""
        self._failure = asyncio.get_running_loop().create_future()
        refusal = await self._transport.sip_call_transfer({"toEndPoint": self._to})
        # Accepted is not done: Daily calls them then, and the caller leaves the room meanwhile.
        return refusal or await self._failure

    async def _on_error(self, _transport: object, error: Any) -> None:
        if self._failure and not self._failure.done():
            self._failure.set_result(str(error))
