"""More starts than there are lines, and more than anybody joins: `make load`."""

import asyncio
import json
import selectors
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import httpx
import psutil

from tests.bench.stats import percentile
from tests.integration.test_lifecycle import ended
from tests.service import Service, keys, run_service, until_no_session
from tests.socket_peer import join_by_socket

LIMITS = "PARLANTE_VOICE__REALTIME__LIMITS"
STARTS, SECS, LINES = 1000, 10.0, 20
NEVER_JOINED, AT_ONCE, JOIN_SECS = 10_000, 20, 5
NO_OTHER_LIMIT = {
    f"{LIMITS}__SESSIONS_PER_USER": "100000",
    f"{LIMITS}__STARTS_PER_MINUTE": "1000000",
    f"{LIMITS}__MAX_LAG": "1000",
}
FIFTY, FEW_LINES, CROWDS = 50, 10, 8
QUICK_MS = 50
"""How long a refusal may take; in the crowd of a thousand, how much longer than an answer that
takes nothing: what holds up both, such as calls that begin, is none of its doing."""

START, JSON = '{"transport": "websocket", "body": {}}', {"Content-Type": "application/json"}
ANSWER_SECS = 10

A_FEW = 5
"""Beside every so many starts the service is asked for an answer that takes nothing."""

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
    async with http.post("/start", data=START, headers=JSON) as response:
        body = await response.json()
        ms = (time.perf_counter() - began) * 1000
        return Answer(response.status, ms, response.headers.get("Retry-After"), body)


def start_at_once(service: Service, key: str, count: int) -> list[Answer]:
    """Start so many sessions, over a connection each, and return when each answer arrived.

    By blocking sockets: aiohttp takes longer for fifty at once than the service does.
    """
    address = urlsplit(service.url)
    answers = []
    with ExitStack() as stack, selectors.DefaultSelector() as arrivals:
        for _ in range(count):
            connection = HTTPConnection(str(address.hostname), address.port, timeout=ANSWER_SECS)
            stack.enter_context(closing(connection))
            began = time.perf_counter()
            connection.request("POST", "/start", START, {"X-API-Key": key, **JSON})
            arrivals.register(connection.sock, selectors.EVENT_READ, (connection, began))
        while arrivals.get_map():
            arrived = arrivals.select(ANSWER_SECS)
            now = time.perf_counter()
            assert arrived, "no answer"
            for one, _ in arrived:
                arrivals.unregister(one.fileobj)
                answers.append((one.data[0], (now - one.data[1]) * 1000))
        return [read(connection.getresponse(), ms) for connection, ms in answers]


def read(response: HTTPResponse, ms: float) -> Answer:
    body = json.loads(response.read())
    return Answer(response.status, ms, response.headers["Retry-After"], body)


async def ask_for_nothing(http: aiohttp.ClientSession) -> float:
    """Return how long an answer takes, ms, for which the service has to do nothing."""
    began = time.perf_counter()
    async with http.post("/daily-dialin-webhook", json={"test": "test"}) as response:
        assert response.status == 200
        await response.read()
    return (time.perf_counter() - began) * 1000


@asynccontextmanager
async def client(service: Service, key: str) -> AsyncIterator[aiohttp.ClientSession]:
    headers = {"X-API-Key": key}
    async with aiohttp.ClientSession(service.url, headers=headers) as http:
        yield http


def report(service: Service, what: str, answers: list[Answer], nothing_ms: list[float]) -> None:
    print(f"{what}: {shares([answer.ms for answer in answers])}")
    print(f"  an answer that takes nothing: {shares(nothing_ms)}")
    print(f"  the service: {footprint(service)}")


def shares(times: list[float]) -> str:
    p50, p95, p99 = (percentile(times, share) for share in (50, 95, 99))
    return f"p50 {p50:.1f}, p95 {p95:.1f}, p99 {p99:.1f}, longest {max(times):.1f} ms"


async def crowd(service: Service, key: str) -> tuple[list[Answer], list[float]]:
    """Start a thousand sessions in ten seconds, and join each that there is.

    Returns:
        The answers; and how long those took at the same time that take nothing, ms.
    """
    nothing_ms: list[float] = []
    async with client(service, key) as http, AsyncExitStack() as calls:
        began = time.perf_counter()

        async def one(number: int) -> Answer:
            await asyncio.sleep(began + number * SECS / STARTS - time.perf_counter())
            if number % A_FEW == 0:
                answer, empty_ms = await asyncio.gather(start(http), ask_for_nothing(http))
                nothing_ms.append(empty_ms)
            else:
                answer = await start(http)
            if answer.status == 200:
                await calls.enter_async_context(join_by_socket(answer.body["wsUrl"], muted=True))
            return answer

        answers = await asyncio.gather(*(one(number) for number in range(STARTS)))
        async with http.get("/voice/realtime/health") as response:
            assert (await response.json())["active_sessions"] == LINES
    await until_no_session(service.url, timeout=30)
    return answers, nothing_ms


async def test_a_thousand_starts_in_ten_seconds_get_twenty_lines_and_quick_refusals(
    tmp_path: Path,
) -> None:
    # Twenty lines are for those whose models run elsewhere. Nobody says a word: two cores cannot
    # listen to twenty, and who refuses the others is not who listens.
    environment = {
        f"{LIMITS}__SESSIONS": str(LINES),
        **NO_OTHER_LIMIT,
        "OPENAI_API_KEY": "sk-nobody-asks",
        "PARLANTE_BOTS__RECEPTIONIST__GREETING": "",
    }
    late_ms: list[float] = []
    with run_service(tmp_path, environment=environment) as service:
        key = keys(tmp_path, "add", "ada")
        for number in range(ROUNDS):
            answers, nothing_ms = await crowd(service, key)
            refused = [answer for answer in answers if answer.status == 429]
            report(service, f"round {number + 1}, {len(refused)} refused", refused, nothing_ms)
            p95_ms = percentile([answer.ms for answer in refused], 95)
            late_ms.append(p95_ms - percentile(nothing_ms, 95))
            errors = [answer.body["error"] for answer in answers if "error" in answer.body]
            codes = Counter(error["code"] for error in errors)
            assert codes == {"SESSION_LIMIT_EXCEEDED": STARTS - LINES}, errors
            assert all(answer.retry_after for answer in refused)
            if number == 0:
                settled = footprint(service)
        after = footprint(service)
    assert min(late_ms) < QUICK_MS
    assert after.memory_bytes - settled.memory_bytes < FLAT_BYTES
    # The pool of the database may grow; one descriptor a call would be forty.
    assert after.descriptors < settled.descriptors + LINES


def test_of_fifty_who_come_at_once_the_refused_are_told_at_once(tmp_path: Path) -> None:
    environment = {f"{LIMITS}__SESSIONS": str(FEW_LINES), **NO_OTHER_LIMIT}
    p95s: list[float] = []
    with run_service(tmp_path, "--profile", "offline", environment=environment) as service:
        key = keys(tmp_path, "add", "ada")
        with httpx.Client(base_url=service.url, headers={"X-API-Key": key}) as http:
            for number in range(CROWDS):
                answers = start_at_once(service, key, FIFTY)
                refused = [answer for answer in answers if answer.status == 429]
                times = [answer.ms for answer in refused]
                print(f"round {number + 1}, {len(refused)} of {FIFTY} refused: {shares(times)}")
                assert len(refused) == FIFTY - FEW_LINES
                assert all(answer.retry_after for answer in refused)
                p95s.append(percentile(times, 95))
                mine = http.get("/voice/realtime/sessions").json()["sessions"]
                started = [session["session_id"] for session in mine if session["is_active"]]
                assert len(started) == FEW_LINES
                for session_id in started:
                    http.delete(f"/voice/realtime/session/{session_id}").raise_for_status()
    assert median(p95s) < QUICK_MS, p95s


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
        **NO_OTHER_LIMIT,
        f"{LIMITS}__JOIN_TIMEOUT": str(JOIN_SECS),
    }
    with run_service(tmp_path, "--profile", "offline", environment=lines) as service:
        key = keys(tmp_path, "add", "ada")
        for number in range(ROUNDS):
            answers = await forsake(service, key)
            assert [answer.status for answer in answers] == [200] * NEVER_JOINED
            print(f"round {number + 1}: {shares([answer.ms for answer in answers])}")
            print(f"  the service: {footprint(service)}")
            if number == 0:
                settled = footprint(service)
        assert await ended(service.url, "never_joined") == ROUNDS * NEVER_JOINED
        after = footprint(service)
    assert after.memory_bytes - settled.memory_bytes < FLAT_BYTES
    # The pool of the database may grow; one descriptor a call would be forty.
    assert after.descriptors < settled.descriptors + LINES
