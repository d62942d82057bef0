"""Which callers can be put through to a person, and what Daily's own library says to it.

It is not let in anywhere here, so that it refuses; its events are told to it by the tests.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from pipecat.processors.frame_processor import FrameProcessorSetup
from pipecat.runner.types import (
    DailyDialinRequest,
    DailyRunnerArguments,
    DialinSettings,
    LiveKitRunnerArguments,
    RunnerArguments,
    WebSocketRunnerArguments,
)
from pipecat.transports.daily.transport import DailyParams, DailyTransport
from pipecat.utils.asyncio.task_manager import TaskManager

from bots.config import RealtimeConfig
from bots.errors import ConfigError
from bots.phone_transfer import DailyTransfer, phone_transfer
from bots.settings import load_settings
from tests.loudspeaker import turns_of_the_loop
from tests.phone import Phone

TO = "+15550123"
CALLER = {"sessionId": "the caller's leg"}
PHONE_CALL = DailyDialinRequest(
    dialin_settings=DialinSettings(call_id="call-1", call_domain="domain-1"),
    daily_api_key="k",
    daily_api_url="https://api.daily.co/v1",
)


def realtime(**daily: Any) -> RealtimeConfig:
    overrides = {"voice": {"realtime": {"daily": {"api_key": "k", **daily}}}}
    return load_settings(overrides=overrides).voice.realtime


def at_daily(body: Any) -> RunnerArguments:
    return DailyRunnerArguments(room_url="https://example.daily.co/room", token="t", body=body)


@pytest.mark.parametrize(
    ("arguments", "daily", "can_be"),
    [
        (at_daily(PHONE_CALL.model_dump()), {"transfer_to": TO}, True),
        (at_daily(PHONE_CALL), {"transfer_to": "sip:desk@example.com"}, True),
        (at_daily(PHONE_CALL.model_dump()), {}, False),
        (at_daily({}), {"transfer_to": TO}, False),
        (at_daily(None), {"transfer_to": TO}, False),
        (LiveKitRunnerArguments("room", "wss://l", "t"), {"transfer_to": TO}, False),
        (WebSocketRunnerArguments(cast(Any, None)), {"transfer_to": TO}, False),
    ],
    ids=["phone", "phone under Pipecat", "nobody", "browser", "no body", "livekit", "websocket"],
)
def test_callers_by_phone_are_put_through_where_somebody_takes_calls(
    arguments: RunnerArguments, daily: dict[str, Any], can_be: bool
) -> None:
    found = phone_transfer(arguments, Phone(), realtime(**daily))
    assert (found is not None) is can_be


@pytest.mark.parametrize(
    "to", [15550123, "5550123", "+0155501", "+1 555 0123", "sip:desk", "desk@example.com", ""]
)
def test_what_cannot_be_called_is_named_at_start(to: object) -> None:
    with pytest.raises(ConfigError, match="transfer_to: expected sip:NAME@HOST, or a phone number"):
        realtime(transfer_to=to)


def make_transport() -> DailyTransport:
    return DailyTransport("https://example.daily.co/room", None, "bot", DailyParams())


@pytest.fixture(scope="module")
def library() -> None:
    """Open Daily's library, which stays open until the process ends."""
    make_transport()


@pytest.fixture
async def transport(library: None) -> AsyncIterator[DailyTransport]:
    """Daily's own, in no room."""
    transport = make_transport()
    nobody = cast(Any, None)
    client = transport._client
    await client.setup(FrameProcessorSetup(nobody, TaskManager(), nobody))
    client._joined_event.set()
    yield transport
    await client.cleanup()


async def test_who_is_not_there_yet_cannot_be_put_through(transport: DailyTransport) -> None:
    async with asyncio.timeout(5):
        assert "sessionId" in await DailyTransfer(transport, TO)()


async def test_what_dailys_library_answers_is_why_not(transport: DailyTransport) -> None:
    # It tells of what happens in a thread of its own.
    await asyncio.to_thread(transport._client.on_dialin_connected, {"sessionId": "a leg"})
    async with asyncio.timeout(5):
        # It takes the request as such, but is in no room.
        assert await DailyTransfer(transport, TO)() == "Sip(CallState(NotInACall))"


@pytest.mark.parametrize("event", ["on_dialin_error", "on_dialout_error"])
async def test_what_fails_later_is_why_not_too(event: str) -> None:
    phone = Phone()
    put_through = DailyTransfer(cast(DailyTransport, phone), TO)
    for times in (1, 2):
        await phone.fail(event)
        transferring = asyncio.create_task(put_through())
        await turns_of_the_loop()
        assert not transferring.done(), "what went wrong before is nothing to it"
        assert phone.asked == [({"toEndPoint": TO}, 0.0)] * times
        await phone.fail(event)
        async with asyncio.timeout(5):
            assert "busy" in await transferring
