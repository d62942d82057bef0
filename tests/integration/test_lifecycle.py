"""How calls end, and that nothing of them stays."""

import asyncio
import signal
import sys
import time
from pathlib import Path

import aiohttp

from runner.peer import connect
from tests.service import ROOT, Service, run_service

CLOSED_TAB_SECS = 15


async def get(url: str) -> dict:
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        return await response.json()


async def until_no_session(url: str, timeout: float) -> None:
    async with asyncio.timeout(timeout):
        while (await get(f"{url}/ready"))["sessions"]:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.1)


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


async def test_a_service_that_is_stopped_ends_its_calls_and_exits_with_zero(
    tmp_path: Path,
) -> None:
    with run_service(tmp_path) as service:
        async with connect(service.url) as peer:
            await peer.wait_for_state("listening", timeout=20)
            service.process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(service.process.wait, 20) == 0
    assert "Traceback" not in service.log
