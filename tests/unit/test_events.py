"""What happens in a session, told as it happens."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from processors.transcript import Speaker, ToolCall, ToolOutcome, Turn
from runner import happenings
from runner.happenings import Audience, Happening
from runner.journal import Journal
from runner.sessions import SessionManager
from tests.app import key_of, service

BASE = "/voice/realtime"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def state(name: str) -> Happening:
    return Happening("state", NOON, {"state": name})


async def test_all_followers_hear_everything_in_its_order_until_its_end() -> None:
    audience = Audience()
    with audience.follow() as one, audience.follow() as two:
        for name in ("listening", "thinking"):
            audience.tell(state(name))
        audience.end()
        audience.tell(state("speaking"))
        for follower in (one, two):
            assert [it.data["state"] async for it in follower] == ["listening", "thinking"]


async def test_a_follower_who_reads_too_slowly_is_cut_off_and_holds_up_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(happenings, "MOST_UNREAD", 2)
    audience = Audience()
    with audience.follow() as slow, audience.follow() as quick:
        heard = asyncio.create_task(everything(quick))
        for number in range(5):
            audience.tell(state(str(number)))
            await asyncio.sleep(0)
        audience.end()
        assert await heard == ["0", "1", "2", "3", "4"]
        assert await everything(slow) == ["0", "1"]


async def everything(follower: happenings.Follower) -> list[str]:
    return [it.data["state"] async for it in follower]


def parse(stream: str) -> list[tuple[str, Any]]:
    """Return the events of a stream that has ended."""
    found = []
    for block in stream.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines())
        found.append((fields["event"], json.loads(fields["data"])))
    return found


async def begin(http: httpx.AsyncClient) -> tuple[str, Journal]:
    body = {"agent_type": "single_agent"}
    name = (await http.post(f"{BASE}/session", json=body)).json()["session_id"]
    manager: SessionManager = http.app.state.sessions  # type: ignore[attr-defined]
    journal = manager.journal(name)
    assert journal
    return name, journal


async def test_what_has_happened_is_told_first_and_then_what_happens() -> None:
    async with service() as http:
        name, journal = await begin(http)
        await journal.turn(Turn(Speaker.USER, "Are you open?", NOON, NOON))
        running = ToolCall("c1", "hours", ToolOutcome.RUNNING, NOON, arguments={})
        await journal.tool_call(running)
        path = f"{BASE}/session/{name}/events"
        reading = asyncio.create_task(http.get(path))
        while not journal.audience._followers:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        # Whether they come before the past is read, or after: they are told once.
        later = NOON + timedelta(seconds=1)
        done = ToolCall("c1", "hours", ToolOutcome.COMPLETED, later, result={"open": {1, 2}})
        await journal.tool_call(done)
        journal.audience.tell(state("speaking"))
        await journal.turn(Turn(Speaker.BOT, "Yes.", NOON, NOON, generated="Yes. Do come."))
        await http.delete(f"{BASE}/session/{name}")
        live = await asyncio.wait_for(reading, 10)
        after = await http.get(path)

    assert live.headers["content-type"].startswith("text/event-stream")
    told = [
        (kind, event["sequence"], event["data"].get("outcome") or event["data"].get("state"))
        for kind, event in parse(live.text)
    ]
    assert ("state", None, "speaking") in told
    kept = [it for it in told if it[0] != "state"]
    assert kept[:2] == [("started", 1, None), ("turn", 2, None)]
    assert kept[-3:] == [("tool_call", 3, "completed"), ("turn", 4, None), ("ended", 5, None)]
    assert len(set(kept)) == len(kept)
    turn = next(event for kind, event in parse(live.text) if event["sequence"] == 4)
    assert (turn["data"]["heard"], turn["data"]["generated"]) == ("Yes.", "Yes. Do come.")

    [*before, (kind, now)] = parse(after.text)
    assert [(kind, event["sequence"]) for kind, event in before] == [
        ("started", 1),
        ("turn", 2),
        ("tool_call", 3),
        ("turn", 4),
        ("ended", 5),
    ]
    assert before[-1][1]["data"]["reason"] == "deleted"
    assert before[-1][1]["data"]["usage"]["services"] == []
    assert before[-1][1]["data"]["usage"]["services"] == []
    assert (kind, now["data"]) == ("state", {"state": "disconnected"})


async def test_nobody_follows_the_session_of_another() -> None:
    async with service() as http:
        ada, eve = await key_of(http, "ada"), await key_of(http, "eve")
        http.headers["X-API-Key"] = ada
        name, _ = await begin(http)
        http.headers["X-API-Key"] = eve
        refused = await http.get(f"{BASE}/session/{name}/events")
        nowhere = await http.get(f"{BASE}/session/of-nobody/events")
    assert refused.status_code == 404
    assert refused.json() == nowhere.json()
