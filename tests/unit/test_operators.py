"""What operators see of everybody's calls, and what they may do."""

import signal
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from processors.failover import Failure
from processors.latency import TurnLatency
from runner.lines import EndReason
from runner.session import SessionReporter
from runner.sessions import SessionManager
from tests.app import key_of, service

BASE = "/voice/realtime"
LINES = {"realtime": {"limits": {"sessions": 4}}}
WAIT = TurnLatency(640.0, {"llm_inference": 250.0}, made_ahead=False, withdrawn=0)


def manager_of(http: httpx.AsyncClient) -> SessionManager:
    manager: SessionManager = http.app.state.sessions  # type: ignore[attr-defined]
    return manager


async def start(http: httpx.AsyncClient, user: str) -> str:
    """Start a session of a user who comes with a key."""
    http.headers["X-API-Key"] = await key_of(http, user)
    answer = await http.post(f"{BASE}/session", json={"agent_type": "single_agent"})
    name: str = answer.json()["session_id"]
    return name


async def as_operator(http: httpx.AsyncClient) -> None:
    http.headers["X-API-Key"] = await key_of(http, "olga", is_operator=True)


async def test_an_operator_sees_the_sessions_of_everybody_and_whose_they_are() -> None:
    async with service(voice=LINES) as http:
        ada, eve = await start(http, "ada"), await start(http, "eve")
        await as_operator(http)
        assert (await http.get(f"{BASE}/sessions")).json() == {"sessions": []}
        listed = (await http.get(f"{BASE}/sessions?everybody=true")).json()["sessions"]
    assert [(it["session_id"], it["user"]) for it in listed] == [(eve, "eve"), (ada, "ada")]


async def test_those_that_go_on_can_be_listed_alone_and_those_that_have_ended() -> None:
    async with service(voice=LINES) as http:
        over, ending, now = [await start(http, name) for name in ("ada", "eve", "ivy")]
        await as_operator(http)
        await http.delete(f"{BASE}/session/{over}")
        store = http.app.state.store  # type: ignore[attr-defined]
        async with store._writing():
            # The store does not know yet that it has ended.
            manager_of(http)._end(ending, EndReason.DELETED)
            answer = await http.get(f"{BASE}/sessions?everybody=true&active=true")
        await manager_of(http).until_written(ending)
        path = f"{BASE}/sessions?everybody=true"
        ended = (await http.get(f"{path}&active=false")).json()["sessions"]
        everything = (await http.get(path)).json()["sessions"]
    assert [it["session_id"] for it in answer.json()["sessions"]] == [now]
    assert [it["session_id"] for it in ended] == [ending, over]
    assert len(everything) == 3


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", f"{BASE}/sessions?everybody=true"), ("GET", "/overview"), ("POST", "/drain")],
)
async def test_what_is_for_operators_is_refused_to_others(method: str, path: str) -> None:
    async with service() as http:
        key = await key_of(http, "ada")
        without = await http.request(method, path)
        answer = await http.request(method, path, headers={"X-API-Key": key})
    assert (without.status_code, answer.status_code) == (401, 403)
    assert answer.json()["error"]["code"] == "FORBIDDEN"


async def test_the_last_wait_for_an_answer_is_told_of_every_session() -> None:
    async with service() as http:
        name = await start(http, "ada")
        manager = manager_of(http)
        session = manager._sessions[name]
        nothing = manager.telemetry
        reporter = SessionReporter(
            session, manager.answered, nothing.failed, nothing.used, nothing.dropped
        )
        path = f"{BASE}/session/{name}"
        assert (await http.get(path)).json()["last_wait_ms"] is None
        await reporter.on_answer(WAIT)
        assert (await http.get(path)).json()["last_wait_ms"] == 640.0


async def test_the_overview_has_what_was_measured_and_what_failed() -> None:
    async with service(voice=LINES) as http:
        await start(http, "ada")
        await as_operator(http)
        manager = manager_of(http)
        manager.answered(WAIT)
        manager.telemetry.failed(Failure("llm", "openai", "timeout", "anthropic"))
        told = (await http.get("/overview")).json()
    assert (told["is_draining"], told["sessions"], told["lines"]) == (False, 1, 4)
    [minute, *_] = told["minutes"]
    assert minute["wait"] == {"p50_ms": 640.0, "p95_ms": 640.0}
    assert minute["stages"] == {"llm_inference": {"p50_ms": 250.0, "p95_ms": 250.0}}
    [failing] = told["failures"]
    assert (failing["provider"], failing["reason"], failing["count"]) == ("openai", "timeout", 1)


async def test_a_service_that_drains_says_so_and_is_not_hurried_by_being_told_again() -> None:
    told: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: told.append(number))
    try:
        async with service() as http:
            await as_operator(http)
            for _ in range(2):
                assert (await http.post("/drain")).status_code == 202
            assert told == [signal.SIGTERM]
            await manager_of(http).drain()
            assert (await http.get("/overview")).json()["is_draining"] is True
            assert (await http.post("/drain")).status_code == 202
    finally:
        signal.signal(signal.SIGTERM, before)
    assert told == [signal.SIGTERM], "a second signal would stop it at once"


async def test_the_calls_of_a_session_that_were_recorded_are_told_with_their_ends(
    tmp_path: Path,
) -> None:
    async with service(data_dir=tmp_path) as http:
        name = await start(http, "ada")
        folder = tmp_path / "recordings" / name
        folder.mkdir(parents=True)
        (folder / "001.ogg").write_bytes(b"first call")
        (folder / "002.ogg").write_bytes(b"second")
        now = datetime.now(UTC)
        recorded = (await http.get(f"{BASE}/session/{name}")).json()["recorded"]
        sound = (await http.get(f"{BASE}/session/{name}/recording")).content
    first, second = recorded
    assert sound[: first["size"]] == b"first call"
    assert sound[first["size"] :][: second["size"]] == b"second"
    assert abs((datetime.fromisoformat(second["until"]) - now).total_seconds()) < 5
