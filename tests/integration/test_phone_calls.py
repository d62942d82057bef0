"""Calls by phone, by way of each provider, to the real service."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import numpy as np
import psutil
import pytest
from websockets.asyncio.client import connect as open_socket
from websockets.exceptions import ConnectionClosed

from runner.session import session_id_of
from tests.integration.test_bot_processes import holders
from tests.integration.test_transcript import GREETING, QUESTION, entries, read_when
from tests.phone_caller import OVER_SECS, PhoneCaller, calling, environment, play, take, tell
from tests.service import Service, get, until_no_session
from tests.shared_service import SharedService
from tests.speech import Listener, Speaker, words_wrong
from tests.standins.openai_server import OpenAIStandin, Reply, always, run_openai_standin
from tests.standins.phone import CALLED, CALLER, CALLS, PASSWORD, TwilioCall, recording
from tests.standins.phone_api import PhoneApi, run_phone_api
from tests.standins.serving import reserved_port

REFUSED = 4003
CANNOT_BE_TAKEN = 1008
FREE_SECS = 5
ANSWER = "Parking is free behind the building."
KEY = "sk-standin"
TO = "+15550123"
REPLIES: tuple[Reply, ...] = (
    ("open_ticket", {"name": "Dana", "contact": "555 0134", "problem": "All is gone."}),
    ("hand_over", {"ticket": 1, "reason": "Data are lost."}),
    "I put you through now.",
)
GARBAGE = [
    "",
    "{",
    "[]",
    '{"event": "media", "media": null}',
    '{"event": "media", "media": {"payload": "not Base64!"}}',
    '{"event": "media", "media": {"payload": "AA=="}}',
    '{"event": "of tomorrow"}',
]


@pytest.fixture(scope="module")
def api_port() -> Iterator[int]:
    with reserved_port() as port:
        yield port


@pytest.fixture
async def api(api_port: int) -> AsyncIterator[PhoneApi]:
    async with run_phone_api(api_port) as api:
        yield api


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, api_port: int) -> Iterator[SharedService]:
    service = SharedService(tmp_path_factory, environment(api_port))
    yield service
    service.close()


@pytest.fixture
async def service(shared: SharedService, api: PhoneApi) -> AsyncIterator[Service]:
    """A service with offline models that takes calls of all providers, whose APIs are there."""
    async with shared.alone() as service:
        yield service


@pytest.fixture
def call_id() -> str:
    """Names a call as no other is named: what comes again within minutes is the same call."""
    return f"CA{uuid.uuid4().hex}"


def session_of(caller: PhoneCaller) -> str:
    assert caller.socket.request
    return session_id_of(caller.socket.request.path.rpartition("/")[2])


async def reason(service: Service, session_id: str) -> str:
    """Return why a session has ended, when it has."""
    await until_no_session(service.url, timeout=FREE_SECS)
    session = await get(f"{service.url}/voice/realtime/session/{session_id}")
    return str(session["end_reason"])


@pytest.mark.long
async def test_a_media_stream_of_twilio_holds_a_call(
    service: Service, api: PhoneApi, call_id: str, speaker: Speaker, listener: Listener
) -> None:
    call = TwilioCall(call_id)
    api.calls[call.id] = call
    address = await take(service.url, call)
    # The greeting, the question, its answer, some keys, and an answer to those.
    recorded = recording(call, 5.0, await speaker.say(QUESTION), 8.0, "4711#", 6.0)
    caller = await play(address, call, recorded)
    session_id = session_of(caller)
    transcript = await read_when(service.url, session_id, entries(5))
    said = [entry["heard"] for entry in transcript["entries"]]
    assert said[0] == GREETING
    assert words_wrong(QUESTION, said[1]) <= 1
    assert ANSWER in said[2]
    assert said[3] == "I key in 4711#"
    heard = await listener.hear(np.concatenate(caller.heard)[: 28 * 48_000])
    assert "family clinic" in heard
    assert "parking is free" in heard
    assert await reason(service, session_id) == "hung_up"
    assert not api.ended, "the caller has ended it"
    assert api.refused == 0
    for secret in (CALLER, CALLED, PASSWORD):
        assert secret not in service.log


async def test_a_wrong_signature_starts_nothing(service: Service, call_id: str) -> None:
    call = TwilioCall(call_id)
    signed = call.signed("https://elsewhere.example.com/telephony/twilio", call.asks())
    for headers in ({}, signed):
        status, answer = await tell(service.url, call, headers=headers)
        assert status == 403
        assert "Stream" not in answer
    assert (await get(f"{service.url}/ready"))["sessions"] == 0


@pytest.mark.long
@pytest.mark.parametrize("name", CALLS)
async def test_the_bot_is_heard_and_hears_by_every_provider(
    service: Service,
    api: PhoneApi,
    call_id: str,
    speaker: Speaker,
    listener: Listener,
    name: str,
) -> None:
    call = CALLS[name](call_id)
    api.calls[call.id] = call
    async with calling(service.url, call) as caller:
        session_id = session_of(caller)
        assert "family clinic" in await listener.hear(await caller.hear_out())
        for message in GARBAGE:
            await caller.send(message)
        await caller.microphone.say(await speaker.say(QUESTION))
        asked = len(caller.heard)
        await caller.until_heard(0.5, after=asked)
        cleared = len(caller.cleared_at)
        await caller.microphone.say(await speaker.say("Sorry, are you open on Sunday?"))
        answer = await caller.until_cleared(cleared)
        assert answer > asked, "the first answer is cut short"
        assert "sunday" in await listener.hear(await caller.hear_out(after=answer))
        async with aiohttp.ClientSession() as http:
            await http.delete(f"{service.url}/voice/realtime/session/{session_id}")
        await asyncio.wait_for(caller.closed.wait(), OVER_SECS)
    assert await reason(service, session_id) == "deleted"
    assert api.ended == ([] if name == "exotel" else [call.id]), "at Exotel, its stream ends it"
    assert api.refused == 0
    assert "Traceback" not in service.log


@pytest.mark.long
@pytest.mark.parametrize("name", CALLS)
async def test_a_caller_who_hangs_up_is_not_waited_for(
    service: Service, api: PhoneApi, call_id: str, name: str
) -> None:
    call = CALLS[name](call_id)
    api.calls[call.id] = call
    async with calling(service.url, call) as caller:
        await caller.until_heard()
    assert await reason(service, session_of(caller)) == "hung_up"
    assert not api.ended


async def refusal(address: str, first: str | None = None) -> tuple[int, str]:
    """Open a stream that is not wanted; return the code and reason that it is closed with."""
    async with open_socket(address) as socket:
        if first:
            await socket.send(first)
        with pytest.raises(ConnectionClosed) as closed:
            await asyncio.wait_for(socket.recv(), OVER_SECS)
    assert closed.value.rcvd
    return closed.value.rcvd.code, closed.value.rcvd.reason


async def test_a_stream_of_nobody_is_refused(service: Service) -> None:
    base = service.url.replace("http", "ws")
    assert (await refusal(f"{base}/ws/twilio/of-nobody"))[0] == REFUSED
    async with aiohttp.ClientSession(service.url) as http, http.post("/start", json={}) as answer:
        token = (await answer.json())["sessionId"]
    code, why = await refusal(f"{base}/ws/twilio/{token}")
    assert (code, "held over webrtc" in why) == (REFUSED, True)
    async with aiohttp.ClientSession(service.url) as http:
        await http.delete(f"/voice/realtime/session/{token}")


@pytest.mark.long
async def test_a_stream_that_does_not_begin_is_given_up(service: Service, call_id: str) -> None:
    address = await take(service.url, TwilioCall(call_id))
    code, why = await refusal(address, '{"event": "connected"}')
    assert (code, "begins" in why) == (CANNOT_BE_TAKEN, True)
    token = address.rpartition("/")[2]
    async with aiohttp.ClientSession(service.url) as http:
        await http.delete(f"/voice/realtime/session/{token}")


@pytest.fixture(scope="module")
def in_processes(
    tmp_path_factory: pytest.TempPathFactory, api_port: int, openai_port: int
) -> Iterator[SharedService]:
    """A service whose calls have a process each, and are short."""
    variables = {
        **environment(api_port),
        "OPENAI_API_KEY": KEY,
        "OPENAI_BASE_URL": f"http://127.0.0.1:{openai_port}/v1",
        "PARLANTE_VOICE__REALTIME__LIMITS__SESSION_DURATION": "20",
        "PARLANTE_VOICE__REALTIME__LIMITS__DURATION_WARNING": "0",
        "PARLANTE_VOICE__REALTIME__TELEPHONY__TWILIO__TRANSFER_TO": TO,
    }
    service = SharedService(tmp_path_factory, variables)
    yield service
    service.close()


@pytest.mark.long
async def test_keys_reach_the_bot_and_a_call_ends_when_its_last_word_was_played(
    in_processes: SharedService, openai_port: int, api: PhoneApi, call_id: str
) -> None:
    asked: list[Any] = []

    def reply(messages: list[Any]) -> Reply:
        asked.append(messages[-1]["content"])
        return "Thank you."

    call = TwilioCall(call_id)
    api.calls[call.id] = call
    standin = OpenAIStandin(key=KEY, heard="", reply=reply)
    async with run_openai_standin(standin, openai_port), in_processes.alone() as service:
        async with calling(service.url, call) as caller:
            await caller.hear_out()
            heard = len(caller.heard)
            await caller.press("12#")
            await caller.hear_out(after=heard)
            await asyncio.wait_for(caller.closed.wait(), OVER_SECS)
        assert await reason(service, session_of(caller)) == "max_duration"
        assert "is held by process" in service.log
        assert "Traceback" not in service.log
    assert "I key in 12#" in str(asked[-1])
    assert api.ended == [call.id]
    assert caller.ended_at - caller.heard_at > 0.4, "it is ended when it was played"


@pytest.mark.long
async def test_a_caller_is_put_through_to_a_person(
    in_processes: SharedService, openai_port: int, api: PhoneApi, speaker: Speaker, call_id: str
) -> None:
    def reply(messages: list[Any]) -> Reply:
        return REPLIES[sum(message["role"] == "tool" for message in messages)]

    call = TwilioCall(call_id)
    api.calls[call.id] = call
    standin = OpenAIStandin(key=KEY, heard="I want to talk to a person.", reply=reply)
    async with run_openai_standin(standin, openai_port), in_processes.alone() as service:
        async with calling(service.url, call, "?bot=callcenter") as caller:
            await caller.hear_out()
            await caller.microphone.say(await speaker.say("I want to talk to a person."))
            await asyncio.wait_for(caller.closed.wait(), OVER_SECS)
        assert await reason(service, session_of(caller)) == "transferred"
        assert "Traceback" not in service.log
    assert api.instructions == [f"<Response><Dial><Number>{TO}</Number></Dial></Response>"]
    assert not api.ended, "somebody else has it"


@pytest.mark.long
async def test_a_call_whose_process_dies_is_over(
    in_processes: SharedService, openai_port: int, api: PhoneApi, call_id: str
) -> None:
    standin = OpenAIStandin(key=KEY, heard="", reply=always("Thank you."))
    async with run_openai_standin(standin, openai_port), in_processes.alone() as service:
        async with calling(service.url, TwilioCall(call_id)) as caller:
            await caller.until_heard()
            psutil.Process(holders(service)[session_of(caller)]).kill()
            await asyncio.wait_for(caller.closed.wait(), OVER_SECS)
        assert await reason(service, session_of(caller)) == "crashed"
