"""How calls end, and that nothing of them stays."""

import asyncio
import re
import signal
import sys
import time
from pathlib import Path

import aiohttp
import pytest
from aiortc import RTCPeerConnection

from bots.config import AnnouncementConfig
from runner.peer import Peer, connect
from tests.service import ROOT, Service, get, run_service, until_no_session

pytestmark = pytest.mark.long

CLOSED_TAB_SECS = 15
WORDS = AnnouncementConfig()


async def test_a_peer_that_dies_without_a_word_ends_its_call_in_time(service: Service) -> None:
    caller = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "import asyncio, sys\n"
        "from runner.peer import connect\n"
        "async def call():\n"
        "    async with connect(sys.argv[1]) as peer:\n"
        "        await asyncio.sleep(3)\n"
        "        print('up', flush=True)\n"
        "        await asyncio.sleep(60)\n"
        "asyncio.run(call())\n",
        service.url,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert caller.stdout
    await asyncio.wait_for(caller.stdout.readline(), 30)
    caller.send_signal(signal.SIGKILL)
    await caller.wait()
    died_at = time.monotonic()
    await until_no_session(service.url, timeout=CLOSED_TAB_SECS)
    assert time.monotonic() - died_at < CLOSED_TAB_SECS
    assert "peer_lost" in service.log


async def test_a_client_that_hangs_up_ends_its_call_at_once(service: Service) -> None:
    async with connect(service.url) as peer:
        await peer.wait_for_state("listening", timeout=20)
    await until_no_session(service.url, timeout=3)


async def test_a_client_that_comes_back_with_a_new_connection_stays_in_its_session(
    service: Service,
) -> None:
    stopped = await ended(service.url, "stopped")
    async with connect(service.url) as old:
        await old.wait_for_state("listening", timeout=20)
        async with connect(service.url, session_id=old.session_id) as new:
            await new.wait_for_state("listening", timeout=20)
            await asyncio.wait_for(old.closed.wait(), 5)
            assert (await get(f"{service.url}/ready"))["sessions"] == 1
            before = len(new.messages)
            new.send("send-text", {"content": "When do you open on Monday?"})
            await new.hear_out(timeout=30, after=before)
    await until_no_session(service.url, timeout=3)
    assert await ended(service.url, "stopped") == stopped, "it has not ended between"


async def test_when_all_lines_are_busy_the_next_caller_is_told_so(tmp_path: Path) -> None:
    limit = {"PARLANTE_VOICE__REALTIME__LIMITS__SESSIONS": "1"}
    with run_service(tmp_path, environment=limit) as service:
        async with aiohttp.ClientSession(service.url) as http:
            async with http.post("/start", json={}) as first:
                assert first.status == 200
            async with http.post("/start", json={}) as second:
                body = await second.json()
                assert second.status == 429
                assert int(second.headers["Retry-After"]) > 0
    assert body["error"]["code"] == "SESSION_LIMIT_EXCEEDED"
    assert body["error"]["retryable"] is True
    assert body["info"] == body["detail"] == body["error"]["message"]


async def test_a_session_that_nobody_joins_ends(tmp_path: Path) -> None:
    limit = {"PARLANTE_VOICE__REALTIME__LIMITS__JOIN_TIMEOUT": "0.5"}
    with run_service(tmp_path, environment=limit) as service:
        url = f"{service.url}/start"
        async with aiohttp.ClientSession() as http, http.post(url, json={}) as response:
            assert response.status == 200
        await until_no_session(service.url, timeout=3)
        assert await ended(service.url, "never_joined") == 1
        [session] = (await get(f"{service.url}/voice/realtime/sessions"))["sessions"]
        assert session["end_reason"] == "never_joined"


async def test_an_offer_whose_client_never_connects_ends_its_session(tmp_path: Path) -> None:
    limit = {"PARLANTE_VOICE__REALTIME__LIMITS__JOIN_TIMEOUT": "0.5"}
    with run_service(tmp_path, environment=limit) as service:
        await offer_and_stay_away(service)
        await until_no_session(service.url, timeout=10)
        assert await ended(service.url, "never_joined") == 1


async def test_starts_comings_and_goings_are_counted_and_the_lag_of_the_event_loop(
    tmp_path: Path,
) -> None:
    with run_service(tmp_path) as service:
        assert "open to every program on this machine" in service.log
        async with connect(service.url) as peer:
            await peer.wait_for_state("listening", timeout=20)
        await until_no_session(service.url, timeout=5)
        for event in ("started", "joined", "left", "ended"):
            sample = f'parlante_session_events_total{{event="{event}"}}'
            assert await metric(service.url, sample) == 1, event
        assert "its client has joined" in service.log
        assert "its client has left" in service.log
        async with asyncio.timeout(5):
            while not await metric(service.url, "parlante_event_loop_lag_seconds_count"):  # noqa: ASYNC110
                await asyncio.sleep(0.1)


@pytest.mark.parametrize("question", [WORDS.anybody_there, ""], ids=["asked", "not asked"])
async def test_a_caller_who_says_nothing_is_left(tmp_path: Path, question: str) -> None:
    settings = {
        "PARLANTE_VOICE__REALTIME__LIMITS__IDLE_TIMEOUT": "2",
        "PARLANTE_VOICE__REALTIME__ANNOUNCEMENTS__ANYBODY_THERE": question,
    }
    with run_service(tmp_path, environment=settings) as service:
        async with connect(service.url) as peer:
            await asyncio.wait_for(peer.closed.wait(), 60)
        said = words_of(peer)
        assert said.endswith(f"{question} {WORDS.nobody_there}")
        assert said.count(WORDS.anybody_there) == bool(question)
        await until_no_session(service.url, timeout=5)
        assert await ended(service.url, "user_idle") == 1


async def test_a_caller_is_warned_before_time_is_up_and_told_when_it_is(tmp_path: Path) -> None:
    limits = {
        "PARLANTE_VOICE__REALTIME__LIMITS__SESSION_DURATION": "12",
        "PARLANTE_VOICE__REALTIME__LIMITS__DURATION_WARNING": "4",
    }
    with run_service(tmp_path, environment=limits) as service:
        async with connect(service.url) as peer:
            await asyncio.wait_for(peer.closed.wait(), 60)
        said = words_of(peer)
        assert said.index(WORDS.nearly_up) < said.index(WORDS.time_is_up)
        await until_no_session(service.url, timeout=5)
        assert await ended(service.url, "max_duration") == 1


async def test_a_service_that_is_told_to_stop_takes_no_more_calls_but_lets_this_one_end(
    tmp_path: Path,
) -> None:
    with run_service(tmp_path) as service:
        async with connect(service.url) as peer, aiohttp.ClientSession(service.url) as http:
            await peer.wait_for_state("listening", timeout=20)
            service.process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(5):
                while (await status(http, "GET", "/ready"))[0] == 200:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            assert await status(http, "GET", "/ready") == (503, "SERVICE_DRAINING", "5")
            assert await status(http, "POST", "/start") == (503, "SERVICE_DRAINING", "5")
            assert (await status(http, "GET", "/health"))[0] == 200
            before = len(peer.messages)
            peer.send("send-text", {"content": "When do you open on Monday?"})
            await peer.hear_out(timeout=30, after=before)
        assert await asyncio.to_thread(service.process.wait, 20) == 0
    assert "Traceback" not in service.log


async def test_a_service_that_is_told_to_stop_ends_the_calls_that_go_on_for_too_long(
    tmp_path: Path,
) -> None:
    with run_service(tmp_path, environment={"PARLANTE_SERVER__DRAIN_TIMEOUT": "1"}) as service:
        async with connect(service.url) as peer:
            await peer.wait_for_state("listening", timeout=20)
            service.process.send_signal(signal.SIGTERM)
            await asyncio.wait_for(peer.closed.wait(), 30)
        assert WORDS.closing in words_of(peer)
        assert await asyncio.to_thread(service.process.wait, 20) == 0
    assert "drained" in service.log
    assert "Traceback" not in service.log


async def test_a_service_whose_calls_take_too_much_memory_lets_them_end_and_stops(
    tmp_path: Path,
) -> None:
    limit = {"PARLANTE_VOICE__REALTIME__WORKER__MEMORY_LIMIT": "1"}
    with run_service(tmp_path, environment=limit) as service:
        async with connect(service.url) as peer:
            await peer.hear_out(timeout=30)
            await service.until_logged("their process has to end")
            assert not peer.closed.is_set()
        assert await asyncio.to_thread(service.process.wait, 20) == 0
    assert "Traceback" not in service.log


async def test_a_service_that_is_told_to_stop_does_not_wait_for_a_client_that_has_not_come(
    tmp_path: Path,
) -> None:
    with run_service(tmp_path) as service:
        await offer_and_stay_away(service)
        service.process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(service.process.wait, 20) == 0


@pytest.mark.parametrize(
    ("signals", "drain_timeout"),
    [([signal.SIGINT], "60"), ([signal.SIGTERM, signal.SIGTERM], "60"), ([signal.SIGTERM], "0")],
    ids=["interrupted", "told twice", "not to wait"],
)
async def test_a_service_stops_at_once(
    tmp_path: Path, signals: list[signal.Signals], drain_timeout: str
) -> None:
    wait = {"PARLANTE_SERVER__DRAIN_TIMEOUT": drain_timeout}
    with run_service(tmp_path, environment=wait) as service:
        async with connect(service.url) as peer:
            await peer.wait_for_state("listening", timeout=20)
            for number in signals:
                service.process.send_signal(number)
                await asyncio.sleep(0.2)
            assert await asyncio.to_thread(service.process.wait, 20) == 0
    assert WORDS.closing not in words_of(peer)
    assert "Traceback" not in service.log


async def offer_and_stay_away(service: Service) -> None:
    """Have an offer answered whose client does not connect."""
    pc = RTCPeerConnection()
    pc.addTransceiver("audio")
    await pc.setLocalDescription(await pc.createOffer())
    offer = {"sdp": pc.localDescription.sdp, "type": "offer"}
    url = f"{service.url}/api/offer"
    async with aiohttp.ClientSession() as http, http.post(url, json=offer) as response:
        assert response.status == 200
    await pc.close()


async def status(http: aiohttp.ClientSession, method: str, path: str) -> tuple[int, str, str]:
    """Return the status of a reply, the code of its error, and when to come again."""
    body = {} if method == "POST" else None
    async with http.request(method, path, json=body) as response:
        code = (await response.json()).get("error", {}).get("code", "")
        return response.status, code, response.headers.get("Retry-After", "")


def words_of(peer: Peer) -> str:
    """Return what the bot said, as its voice took it."""
    said = [m["data"]["text"] for m in peer.messages if m["type"] == "bot-tts-text"]
    return " ".join(" ".join(said).split())


async def metric(url: str, sample: str) -> float:
    """Return a sample of the metrics, by its name and its labels as they are written there."""
    async with aiohttp.ClientSession() as http, http.get(f"{url}/metrics") as response:
        page = await response.text()
    [value] = re.findall(rf"^{re.escape(sample)} (\S+)$", page, re.MULTILINE)
    return float(value)


async def ended(url: str, reason: str) -> float:
    """Return how many sessions ended for a reason, as the metrics tell."""
    return await metric(url, f'parlante_sessions_ended_total{{reason="{reason}"}}')


async def test_who_watches_the_service_has_a_port_where_no_client_gets_in(service: Service) -> None:
    [address] = re.findall(r"watched at (\S+)/metrics", service.log)
    async with aiohttp.ClientSession() as http:
        for path in ("/health", "/ready", "/metrics"):
            async with http.get(f"{address}{path}") as answer:
                assert answer.status == 200, path
        for path in ("/", "/agents", "/voice/realtime/sessions"):
            async with http.get(f"{address}{path}") as answer:
                assert answer.status == 404, path
        async with http.post(f"{address}/start", json={}) as answer:
            assert answer.status == 404
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await http.ws_connect(f"{address}/ws-client")
