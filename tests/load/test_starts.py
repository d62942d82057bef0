"""More starts than there are lines, and more than anybody joins: `make load`."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from tests.bench.stats import percentile
from tests.integration.test_lifecycle import ended, until_no_session
from tests.service import Service, keys, run_service
from tests.socket_peer import join_by_socket

LIMITS = "PARLANTE_VOICE__REALTIME__LIMITS"
STARTS, SECS, LINES = 1000, 10.0, 20
NEVER_JOINED, AT_ONCE, JOIN_SECS = 10_000, 20, 5
ANY_NUMBER_BY_ONE = {
    f"{LIMITS}__SESSIONS_PER_USER": "100000",
    f"{LIMITS}__STARTS_PER_MINUTE": "1000000",
}
FIFTY, FEW_LINES = 50, 10
QUICK_MS = 50
FLAT_BYTES = 10 * 1024 * 1024
ROUNDS = 3


@dataclass(frozen=True)
class Footprint:
    """What a process holds."""

    memory_bytes: int
    descriptors: int
    threads: int

    def __str__(self) -> str:
        mib = self.memory_bytes / 1024 / 1024
        return f"{mib:.0f} MiB, {self.descriptors} descriptors, {self.threads} threads"


def footprint(service: Service) -> Footprint:
    process = psutil.Process(service.process.pid)
    return Footprint(process.memory_info().rss, process.num_fds(), process.num_threads())


@dataclass(frozen=True)
class Answer:
    """The answer to a start."""

    status: int
    ms: float
    retry_after: str | None
    body: dict[str, Any]


async def start(http: aiohttp.ClientSession) -> Answer:
    began = time.perf_counter()
    async with http.post("/start", json={"transport": "websocket", "body": {}}) as response:
        body = await response.json()
        ms = (time.perf_counter() - began) * 1000
        return Answer(response.status, ms, response.headers.get("Retry-After"), body)


@asynccontextmanager
async def client(service: Service, key: str) -> AsyncIterator[aiohttp.ClientSession]:
    headers = {"X-API-Key": key}
    async with aiohttp.ClientSession(service.url, headers=headers) as http:
        yield http


def report(service: Service, what: str, answers: list[Answer]) -> None:
    times = [answer.ms for answer in answers]
    p50, p95, p99 = (percentile(times, share) for share in (50, 95, 99))
    print(f"{what}: p50 {p50:.1f}, p95 {p95:.1f}, p99 {p99:.1f}, longest {max(times):.1f} ms")
    print(f"  the service: {footprint(service)}")


async def crowd(service: Service, key: str) -> list[Answer]:
    """Start a thousand sessions in ten seconds, and join each that there is."""
    async with client(service, key) as http, AsyncExitStack() as calls:
        began = time.perf_counter()

        async def one(number: int) -> Answer:
            await asyncio.sleep(began + number * SECS / STARTS - time.perf_counter())
            answer = await start(http)
            if answer.status == 200:
                await calls.enter_async_context(join_by_socket(answer.body["wsUrl"], muted=True))
            return answer

        answers = await asyncio.gather(*(one(number) for number in range(STARTS)))
        async with http.get("/voice/realtime/health") as response:
            assert (await response.json())["active_sessions"] == LINES
    await until_no_session(service.url, timeout=30)
    return answers


async def test_a_thousand_starts_in_ten_seconds_get_twenty_lines_and_quick_refusals(
    tmp_path: Path,
) -> None:
    # Twenty lines are for those whose models run elsewhere. Nobody says a word: two cores cannot
    # listen to twenty, and who refuses the others is not who listens.
    environment = {
        f"{LIMITS}__SESSIONS": str(LINES),
        **ANY_NUMBER_BY_ONE,
        "OPENAI_API_KEY": "sk-nobody-asks",
        "PARLANTE_BOTS__RECEPTIONIST__GREETING": "",
    }
    with run_service(tmp_path, environment=environment) as service:
        key = keys(tmp_path, "add", "ada")
        for number in range(ROUNDS):
            answers = await crowd(service, key)
            refused = [answer for answer in answers if answer.status == 429]
            report(service, f"round {number + 1}, {len(refused)} refused", refused)
            assert len(refused) == STARTS - LINES, Counter(answer.status for answer in answers)
            assert all(answer.retry_after for answer in refused)
            if number == 0:
                settled = footprint(service)
        assert percentile([answer.ms for answer in refused], 50) < QUICK_MS
        after = footprint(service)
    assert after.memory_bytes - settled.memory_bytes < FLAT_BYTES
    # The pool of the database may grow; one descriptor a call would be forty.
    assert after.descriptors < settled.descriptors + LINES


async def test_of_fifty_who_come_at_once_the_refused_are_told_at_once(tmp_path: Path) -> None:
    environment = {f"{LIMITS}__SESSIONS": str(FEW_LINES), **ANY_NUMBER_BY_ONE}
    times: list[float] = []
    with run_service(tmp_path, "--profile", "offline", environment=environment) as service:
        key = keys(tmp_path, "add", "ada")
        for number in range(ROUNDS):
            async with client(service, key) as http:
                answers = await asyncio.gather(*(start(http) for _ in range(FIFTY)))
                refused = [answer for answer in answers if answer.status == 429]
                report(service, f"round {number + 1}, {len(refused)} of {FIFTY} refused", refused)
                assert len(refused) == FIFTY - FEW_LINES
                assert all(answer.retry_after for answer in refused)
                times += [answer.ms for answer in refused]
                async with http.get("/voice/realtime/sessions") as response:
                    mine = (await response.json())["sessions"]
                started = [session["session_id"] for session in mine if session["is_active"]]
                assert len(started) == FEW_LINES
                for session_id in started:
                    async with http.delete(f"/voice/realtime/session/{session_id}") as response:
                        assert response.status == 204
    assert percentile(times, 50) < QUICK_MS


async def forsake(service: Service, key: str) -> list[Answer]:
    """Start ten thousand sessions, twenty at a time, and join none of them."""
    numbers = iter(range(NEVER_JOINED))
    async with client(service, key) as http:

        async def some() -> list[Answer]:
            return [await start(http) for _ in numbers]

        some_of_all = await asyncio.gather(*(some() for _ in range(AT_ONCE)))
    answers = [answer for some_answers in some_of_all for answer in some_answers]
    await until_no_session(service.url, timeout=60)
    return answers


async def test_ten_thousand_sessions_that_nobody_joins_are_gone_after_their_time(
    tmp_path: Path,
) -> None:
    lines = {
        f"{LIMITS}__SESSIONS": str(NEVER_JOINED),
        **ANY_NUMBER_BY_ONE,
        f"{LIMITS}__JOIN_TIMEOUT": str(JOIN_SECS),
        # What is to be seen here is what they leave behind, not how many are too many.
        f"{LIMITS}__MAX_LAG": "1000",
    }
    with run_service(tmp_path, "--profile", "offline", environment=lines) as service:
        key = keys(tmp_path, "add", "ada")
        for number in range(ROUNDS):
            answers = await forsake(service, key)
            assert [answer.status for answer in answers] == [200] * NEVER_JOINED
            report(service, f"round {number + 1}, {len(answers)} started", answers)
            if number == 0:
                settled = footprint(service)
        assert await ended(service.url, "never_joined") == ROUNDS * NEVER_JOINED
        after = footprint(service)
    assert after.memory_bytes - settled.memory_bytes < FLAT_BYTES
    # The pool of the database may grow; one descriptor a call would be forty.
    assert after.descriptors < settled.descriptors + LINES
