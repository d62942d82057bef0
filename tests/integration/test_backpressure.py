"""Clients that send too much, read too little, or do neither: by real sockets."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import numpy as np
import psutil
import pytest
from websockets.asyncio.client import connect as open_socket

from processors.protocols.socket_transport import MAX_WAITING_SECS
from runner.clients.client import SAMPLE_RATE_HZ
from runner.clients.json_sockets import (
    PushToTalk,
    RealtimeClient,
    SandwichClient,
    VoiceAgentClient,
)
from runner.clients.rtvi_socket import RtviSocketClient
from runner.clients.sockets import SocketClient, joined
from tests.integration.test_lifecycle import metric
from tests.service import OFFLINE_SPEECH, Service, get, run_service
from tests.shared_service import SharedService
from tests.speech import Speaker, silence, words_wrong
from tests.standins.openai_server import OpenAIStandin, always, run_openai_standin

KEY = "sk-standin"
QUESTION = "Are you open on Sunday?"
STORY = " ".join(f"This is sentence number {n}, and there are more of them." for n in range(30))
REPLY_SECS = 30
IDLE_SECS = 2.0
DROPPED_SECS = 10.0
"""Of `limits.lost_peer_timeout`, and what it takes until the end of the call is seen."""

MANY_BYTES = 24 * 1024 * 1024
"""More than anything that is measured here may add to the memory of the service."""

HEARD_SECS = 15
"""What waits at most goes on within 7.5 s, and is then to be recognised on a busy machine."""

TOO_BIG = 1009
FRAME_BYTES = 100 * 1024 * 1024
JUNK_MESSAGES = 100_000
DROPPED = "parlante_audio_dropped_seconds_total"
CLIENTS: dict[str, type[SocketClient]] = {
    "voice-agent": VoiceAgentClient,
    "sandwich": SandwichClient,
    "realtime": RealtimeClient,
    "websocket": RtviSocketClient,
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, openai_port: int) -> Iterator[SharedService]:
    service = SharedService(
        tmp_path_factory,
        {
            "OPENAI_API_KEY": KEY,
            "OPENAI_BASE_URL": f"http://127.0.0.1:{openai_port}/v1",
            "PARLANTE_VOICE__REALTIME__LIMITS__EMPTY_TIMEOUT": "2",
            "PARLANTE_VOICE__REALTIME__LIMITS__SESSIONS": str(len(CLIENTS)),
            **OFFLINE_SPEECH,
        },
    )
    yield service
    service.close()


@pytest.fixture
async def service(shared: SharedService, openai_port: int) -> AsyncIterator[Service]:
    """A service whose bots tell a long story, whatever they are asked."""
    async with (
        run_openai_standin(OpenAIStandin(KEY, "", always(STORY)), openai_port),
        shared.alone() as service,
    ):
        yield service


def memory(service: Service) -> int:
    return int(psutil.Process(service.process.pid).memory_info().rss)


async def start(service: Service, protocol: str) -> str:
    """Start a session with the receptionist; return the address of its socket."""
    wish = {"transport": protocol, "body": {"bot": "receptionist"}}
    async with (
        aiohttp.ClientSession(service.url) as http,
        http.post("/start", json=wish) as answer,
    ):
        return str((await answer.json())["wsUrl"])


@asynccontextmanager
async def call(
    service: Service, protocol: str, *, receive_bytes: int | None = None
) -> AsyncIterator[SocketClient]:
    """Call the receptionist.

    Args:
        service: Where.
        protocol: Which is spoken.
        receive_bytes: How much the system of the client keeps that it does not read.
    """
    address = await start(service, protocol)
    parts = urlsplit(address)
    sock = socket.socket()
    if receive_bytes:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    sock.connect((parts.hostname, parts.port))
    sock.setblocking(False)
    ws = await open_socket(address, sock=sock, ping_interval=None)
    client = CLIENTS[protocol](ws)
    client.begin_to_read()
    try:
        await client.open()
        yield client
    finally:
        if not client.closed.is_set():
            ws.transport.abort()
        await client.close()


async def last_reason(service: Service) -> str:
    """Return why the last session ended, when that has been written down."""
    async with asyncio.timeout(10):
        while True:
            newest, *_ = (await get(f"{service.url}/voice/realtime/sessions"))["sessions"]
            if newest["end_reason"]:
                return str(newest["end_reason"])
            await asyncio.sleep(0.05)


async def first_sound(client: SocketClient) -> None:
    async with asyncio.timeout(REPLY_SECS):
        while not client.heard:  # noqa: ASYNC110 - sound is no message
            await asyncio.sleep(0.02)


@pytest.mark.long
@pytest.mark.parametrize(
    ("protocol", "receive_bytes"), [("voice-agent", None), ("realtime", 4096), ("websocket", 4096)]
)
async def test_a_reader_that_stops_is_dropped_while_the_bot_speaks(
    service: Service, speaker: Speaker, protocol: str, receive_bytes: int | None
) -> None:
    question = await speaker.say(QUESTION)
    async with call(service, protocol, receive_bytes=receive_bytes) as client:
        await client.say(question)
        await first_sound(client)
        before, stopped_at = memory(service), time.monotonic()
        client.socket.transport.pause_reading()
        await service.until_logged("the call has ended: peer_lost")
        assert time.monotonic() - stopped_at < DROPPED_SECS
        assert memory(service) - before < MANY_BYTES
    assert await last_reason(service) == "peer_lost"


@pytest.mark.long
@pytest.mark.parametrize("protocol", ["sandwich", "websocket"])
async def test_answers_to_who_does_not_read_them_leave_nothing_behind(
    service: Service, protocol: str
) -> None:
    async with call(service, protocol, receive_bytes=4096) as client:
        ours = client.socket.transport.get_extra_info("sockname")[1]
        before = memory(service)
        client.socket.transport.pause_reading()
        send_junk(client)
        await service.until_logged("the call has ended: peer_lost")
        async with asyncio.timeout(DROPPED_SECS):
            while ours in peers(service):  # noqa: ASYNC110 - the system's
                await asyncio.sleep(0.1)
        assert memory(service) - before < MANY_BYTES
    assert await last_reason(service) == "peer_lost"


def peers(service: Service) -> set[int]:
    """Return the ports of those who are connected with a service."""
    connections = psutil.Process(service.process.pid).net_connections("tcp")
    return {it.raddr.port for it in connections if it.raddr}


@pytest.mark.long
async def test_who_answers_no_ping_is_dropped(service: Service) -> None:
    async def be_gone(protocol: str) -> None:
        async with call(service, protocol) as client:
            client.socket.transport.pause_reading()
            await service.until_logged("the call has ended: peer_lost", times=len(CLIENTS))

    async with asyncio.timeout(DROPPED_SECS):
        await asyncio.gather(*map(be_gone, CLIENTS))


@pytest.mark.long
async def test_who_says_nothing_is_asked_and_then_left(tmp_path: Path) -> None:
    environment = {
        "PARLANTE_VOICE__REALTIME__LIMITS__IDLE_TIMEOUT": str(IDLE_SECS),
        "PARLANTE_VOICE__REALTIME__LIMITS__SESSIONS": str(len(CLIENTS)),
    }
    with run_service(tmp_path, environment=environment) as service:

        async def be_silent(protocol: str) -> None:
            begun_at = time.monotonic()
            async with call(service, protocol) as client:
                await asyncio.wait_for(client.closed.wait(), 2 * IDLE_SECS + REPLY_SECS)
                assert time.monotonic() - begun_at > 2 * IDLE_SECS
                assert client.heard, "it was asked"
                assert client.refusal is None

        await asyncio.gather(*map(be_silent, CLIENTS))
        await service.until_logged("ended: user_idle", times=len(CLIENTS))


@pytest.mark.long
async def test_who_sends_three_times_too_fast_is_answered_soon_and_takes_no_memory(
    service: Service, speaker: Speaker
) -> None:
    question = await speaker.say(QUESTION)
    noise = np.random.default_rng(1).normal(0, 300, SAMPLE_RATE_HZ // 4).astype(np.int16)
    async with call(service, "sandwich") as client:
        assert isinstance(client, SandwichClient)
        taken = []
        for _ in range(2):
            for _ in range(40):
                for _ in range(3):
                    await client.send_sound(noise)
                await asyncio.sleep(0.25)
            taken.append(memory(service))
        await client.send_sound(question)
        await client.release(silence(0.5))
        heard = await client.wait_for(client.user_words, timeout=HEARD_SECS)
        assert words_wrong(QUESTION, heard["text"]) <= 1
        assert taken[-1] - taken[0] < MANY_BYTES


@pytest.mark.long
@pytest.mark.parametrize(("protocol", "minutes"), [("sandwich", 20), ("voice-agent", 5)])
async def test_of_many_minutes_at_once_the_last_are_heard_soon(
    service: Service, speaker: Speaker, protocol: str, minutes: int
) -> None:
    question = await speaker.say(QUESTION)
    dropped_secs = await metric(service.url, DROPPED)
    async with call(service, protocol) as client:
        assert isinstance(client, PushToTalk)
        taken = []
        for _ in range(2):
            for _ in range(3 * minutes):
                await client.send_sound(silence(10))
                await asyncio.sleep(0)
            taken.append(memory(service))
        await client.send_sound(question)
        await client.release(silence(0.5))
        heard = await client.wait_for(client.user_words, timeout=HEARD_SECS)
        assert words_wrong(QUESTION, client.user_words(heard) or "") <= 1
        assert taken[-1] - taken[0] < MANY_BYTES
        dropped_secs = await metric(service.url, DROPPED) - dropped_secs
        assert dropped_secs > 60 * minutes - 2 * MAX_WAITING_SECS
    assert service.log.count("faster than it can be heard") == 1


async def test_the_end_of_a_call_does_not_wait_behind_its_sound(service: Service) -> None:
    async with call(service, "realtime") as client:
        assert isinstance(client, RealtimeClient)
        for _ in range(30):
            await client.send_sound(silence(10))
        await client.hang_up()
        await asyncio.wait_for(client.closed.wait(), 2)
    assert await last_reason(service) == "hung_up"


@pytest.mark.parametrize("protocol", CLIENTS)
async def test_a_hundred_megabytes_in_one_frame_close_the_call(
    service: Service, protocol: str
) -> None:
    async with call(service, protocol) as client:
        before = memory(service)
        sending = asyncio.create_task(client.socket.send(" " * FRAME_BYTES))
        await asyncio.wait_for(client.closed.wait(), 10)
        await asyncio.gather(sending, return_exceptions=True)
        assert client.socket.close_code == TOO_BIG
        assert memory(service) - before < FRAME_BYTES / 2


@pytest.mark.long
async def test_junk_of_one_client_does_not_keep_others_waiting(service: Service) -> None:
    async with call(service, "sandwich") as client:
        send_junk(client)
        waits = []
        while len(client.messages) < JUNK_MESSAGES / 10:
            asked_at = time.monotonic()
            await get(f"{service.url}/health")
            waits.append(time.monotonic() - asked_at)
        assert len(waits) > 3
        assert max(waits) < 1.0
        assert {message["code"] for message in client.messages} == {"INVALID_MESSAGE"}


def send_junk(client: SocketClient) -> None:
    """Send text frames of two letters, masked with zeros, all at once."""
    client.socket.transport.write(b"\x81\x82\0\0\0\0{}" * JUNK_MESSAGES)


@pytest.mark.long
@pytest.mark.parametrize("protocol", CLIENTS)
async def test_who_breaks_off_in_the_midst_of_an_utterance_is_understood_again(
    service: Service, speaker: Speaker, protocol: str
) -> None:
    question = await speaker.say(QUESTION)
    address, make = await start(service, protocol), CLIENTS[protocol]
    async with joined(address, make) as client:
        await client.send_sound(question[: len(question) // 2])
        client.socket.transport.abort()
    await service.until_logged("the call has ended: peer_lost")
    async with joined(address, make) as client:
        await client.say(question)
        heard = await client.wait_for(client.user_words, timeout=REPLY_SECS)
        assert words_wrong(QUESTION, client.user_words(heard) or "") <= 1
