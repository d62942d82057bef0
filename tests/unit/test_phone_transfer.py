"""Which callers can be put through to a person, and what their providers say to it.

Daily's own library is not let in anywhere here, so that it refuses; its events are told to it by
the tests.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
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
from pydantic import SecretStr

from bots.config import RealtimeConfig, TelephonyConfig, TwilioConfig
from bots.errors import ConfigError
from bots.phone_transfer import DailyTransfer, phone_transfer
from bots.settings import load_settings
from bots.telephony import dial_by_twilio, read_start
from tests.loudspeaker import turns_of_the_loop
from tests.phone import Phone
from tests.standins.phone import ACCOUNT, PASSWORD, TwilioCall
from tests.standins.phone_api import run_phone_api
from tests.standins.serving import reserved_port

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


class TestTwilio:
    @pytest.fixture
    def port(self) -> Iterator[int]:
        with reserved_port() as port:
            yield port

    def config(self, port: int, password: str = PASSWORD) -> TwilioConfig:
        secret = SecretStr(password)
        url = f"http://127.0.0.1:{port}"
        return TwilioConfig(account_sid=ACCOUNT, auth_token=secret, api_url=url, transfer_to=TO)

    @pytest.mark.parametrize(
        ("to", "callee"),
        [
            (TO, f"<Number>{TO}</Number>"),
            ("sip:desk@example.com?a=1&b=2", "<Sip>sip:desk@example.com?a=1&amp;b=2</Sip>"),
        ],
    )
    async def test_a_call_dials_whoever_takes_it_and_leaves(
        self, port: int, to: str, callee: str
    ) -> None:
        call = TwilioCall("CA1")
        async with run_phone_api(port) as api:
            api.calls[call.id] = call
            dialling = asyncio.create_task(dial_by_twilio(call.id, to, self.config(port)))
            await asyncio.wait_for(call.ended.wait(), 5)
            assert api.instructions == [f"<Response><Dial>{callee}</Dial></Response>"]
            await asyncio.wait({dialling}, timeout=0.1)
            assert not dialling.done(), "until the caller has left"
            dialling.cancel()
            await asyncio.gather(dialling, return_exceptions=True)

    async def test_why_it_cannot_is_told(self, port: int) -> None:
        async with run_phone_api(port):
            ended = await dial_by_twilio("CA1", TO, self.config(port))
            refused = await dial_by_twilio("CA1", TO, self.config(port, "guessed"))
        away = await dial_by_twilio("CA1", TO, self.config(port))
        assert (ended, refused) == ("400 Bad Request", "401 Unauthorized")
        assert "Cannot connect" in away

    def test_only_calls_of_twilio_for_whom_somebody_is_there_can_be_put_through(self) -> None:
        _, begun = TwilioCall("CA1").begin()
        call_data = read_start("twilio", json.dumps(begun))
        for transport, to, can in (
            ("twilio", TO, True),
            ("twilio", None, False),
            ("plivo", TO, False),
        ):
            twilio = self.config(1).model_copy(update={"transfer_to": to})
            config = RealtimeConfig(telephony=TelephonyConfig(twilio=twilio))
            arguments = WebSocketRunnerArguments(
                websocket=cast(Any, None), transport_type=transport, call_data=call_data
            )
            found = phone_transfer(arguments, Phone(), config)
            assert (found is not None) is can
