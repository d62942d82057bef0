"""The records of a session: in one sequence, and all of them."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from loguru import logger
from sqlalchemy.ext.asyncio import AsyncEngine

from bots import database
from bots.errors import DatabaseUnavailable
from processors.transcript import Speaker, ToolCall, ToolOutcome, Turn
from runner import journal as journal_module
from runner.journal import Journal
from runner.lines import EndReason
from runner.store import History, Store
from runner.tables import EventRow, NoticeRow
from tests.database import Postgres
from tests.rows import NOON, session_row


def said(text: str) -> Turn:
    return Turn(Speaker.USER, text, NOON, NOON)


def tool(outcome: ToolOutcome, call_id: str = "c1", **more: object) -> ToolCall:
    return ToolCall(call_id, "opening_hours", outcome, NOON, **more)  # type: ignore[arg-type]


async def kept(store: Store) -> History:
    row = await store.session("s1")
    assert row
    return await store.history(row)


async def events(store: Store) -> list[EventRow]:
    return [row for row in await store.happenings("s1") if isinstance(row, EventRow)]


def nobody(*_: object) -> list[NoticeRow]:
    """Tell no other server of an event."""
    return []


async def begin(store: Store) -> Journal:
    await store.add(session_row())
    return Journal("s1", store, nobody)


@pytest.fixture
async def file_store(in_file: AsyncEngine) -> Store:
    store = Store(in_file)
    await store.open()
    return store


@pytest.fixture
async def log() -> AsyncIterator[list[str]]:
    lines: list[str] = []
    handler = logger.add(lambda line: lines.append(str(line)), level="WARNING")
    yield lines
    logger.remove(handler)


async def test_everything_has_its_place_in_one_sequence(store: Store) -> None:
    journal = await begin(store)
    await journal.joined(is_first=True)
    await journal.turn(said("When do you open?"))
    await journal.tool_call(tool(ToolOutcome.RUNNING, arguments={"day": "Sunday"}))
    await journal.turn(said("Hello?"))
    await journal.tool_call(tool(ToolOutcome.COMPLETED, result={"hours": "none"}))
    await journal.ended(EndReason.CLIENT_LEFT, {})

    history = await kept(store)
    assert [(row.sequence, row.kind) for row in await events(store)] == [
        (1, "joined"),
        (5, "ended"),
    ]
    assert [(row.sequence, row.heard) for row in history.turns] == [
        (2, "When do you open?"),
        (4, "Hello?"),
    ]
    [call] = history.tool_calls
    assert (call.sequence, call.tool, call.outcome) == (3, "opening_hours", "completed")
    assert (call.arguments, call.result) == ({"day": "Sunday"}, {"hours": "none"})
    assert history.session.joined_at
    assert history.session.ended_at
    assert history.session.end_reason == "client_left"


async def test_a_tool_that_has_not_come_to_its_end_is_kept_as_running(file_store: Store) -> None:
    journal = await begin(file_store)
    await journal.tool_call(tool(ToolOutcome.RUNNING, arguments={}))
    await journal.tool_call(tool(ToolOutcome.COMPLETED, call_id="of-nobody"))
    await journal.ended(EndReason.STOPPED, {})
    [call] = (await kept(file_store)).tool_calls
    assert call.outcome == "running"
    assert call.ended_at is None


async def test_nothing_is_lost_while_the_server_is_away(
    postgres: Postgres, on_server: AsyncEngine, monkeypatch: pytest.MonkeyPatch, log: list[str]
) -> None:
    monkeypatch.setattr(journal_module, "RETRY_SECS", (0.05,))
    store = Store(on_server)
    await store.open()
    journal = await begin(store)
    postgres.stop()
    for number in range(20):
        await journal.turn(said(f"turn {number}"))
    ending = asyncio.create_task(journal.ended(EndReason.CLIENT_LEFT, {}))
    await asyncio.sleep(0.3)
    assert not ending.done()
    postgres.start()
    await asyncio.wait_for(ending, 10)
    history = await kept(store)
    assert [row.heard for row in history.turns] == [f"turn {number}" for number in range(20)]
    assert history.session.end_reason == "client_left"
    assert "cannot be reached" in log[0]
    assert "turn 3" not in "".join(log)


async def test_nothing_is_lost_while_another_process_writes(
    file_store: Store, in_file: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "RETRY_SECS", (0.05,))
    monkeypatch.setattr(database, "LOCK_MS", 50)
    journal = await begin(file_store)
    await in_file.dispose()
    other = sqlite3.connect(str(in_file.url.database), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    await journal.turn(said("Hello."))
    await asyncio.sleep(0.3)
    assert not (await kept(file_store)).turns
    other.execute("COMMIT")
    other.close()
    await asyncio.wait_for(journal.ended(EndReason.CLIENT_LEFT, {}), 10)
    assert [row.heard for row in (await kept(file_store)).turns] == ["Hello."]


async def test_whoever_reports_waits_when_too_much_is_unwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: list[str]
) -> None:
    monkeypatch.setattr(journal_module, "BACKLOG_ROWS", 3)
    nowhere = database.connect(None, tmp_path / "no" / "such" / "folder")
    journal = Journal("s1", Store(nowhere), nobody)
    reporting = asyncio.create_task(report(journal, 10))
    done, _ = await asyncio.wait({reporting}, timeout=0.3)
    assert not done
    reporting.cancel()
    ending = asyncio.create_task(journal.ended(EndReason.STOPPED, {}))
    await asyncio.sleep(0.05)
    ending.cancel()
    await asyncio.gather(reporting, ending, return_exceptions=True)
    await journal.close()
    await nowhere.dispose()
    assert "records are lost" in log[-1]


async def report(journal: Journal, count: int) -> None:
    for number in range(count):
        await journal.turn(said(f"turn {number}"))


async def test_a_record_that_no_database_takes_costs_none_of_the_others(
    store: Store, log: list[str]
) -> None:
    journal = await begin(store)
    await journal.turn(said("before"))
    await journal.turn(said(None))  # type: ignore[arg-type]
    await journal.turn(said("after"))
    await asyncio.wait_for(journal.ended(EndReason.CLIENT_LEFT, {}), 10)
    assert [row.heard for row in (await kept(store)).turns] == ["before", "after"]
    [line] = log
    assert "a record is lost" in line


async def test_a_client_that_comes_back_joined_first_when_it_first_did(store: Store) -> None:
    journal = await begin(store)
    await journal.joined(is_first=True)
    await journal.written()
    first = (await kept(store)).session.joined_at
    await journal.event("left")
    await journal.joined(is_first=False)
    await journal.ended(EndReason.HUNG_UP, {})
    assert (await kept(store)).session.joined_at == first
    assert [row.kind for row in await events(store)] == ["joined", "left", "joined", "ended"]


async def test_a_session_that_is_taken_up_again_goes_on_counting(store: Store) -> None:
    journal = await begin(store)
    await journal.turn(said("before"))
    await journal.tool_call(tool(ToolOutcome.RUNNING, arguments={}))
    await journal.event("answer")
    await journal.written()
    await journal.close()
    assert await store.last_sequence("s1") == 3
    again = Journal("s1", store, nobody, await store.last_sequence("s1"))
    await again.turn(said("after"))
    await again.ended(EndReason.HUNG_UP, {})
    assert [(row.sequence, row.heard) for row in (await kept(store)).turns] == [
        (1, "before"),
        (4, "after"),
    ]
    assert await store.last_sequence("of-nobody") == 0


async def test_a_tool_that_is_told_of_twice_is_one(store: Store) -> None:
    journal = await begin(store)
    for _ in range(2):
        await journal.tool_call(tool(ToolOutcome.RUNNING, arguments={}))
    await journal.tool_call(tool(ToolOutcome.COMPLETED, result="done"))
    await journal.tool_call(tool(ToolOutcome.FAILED, error="too late"))
    await journal.ended(EndReason.HUNG_UP, {})
    [call] = (await kept(store)).tool_calls
    assert (call.outcome, call.result, call.error) == ("completed", "done", None)


async def test_what_must_be_on_record_is_not_waited_for_for_ever(
    postgres: Postgres, on_server: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "RETRY_SECS", (0.05,))
    monkeypatch.setattr(journal_module, "WRITTEN_SECS", 0.3)
    store = Store(on_server)
    await store.open()
    journal = await begin(store)
    postgres.stop()
    await journal.turn(said("Hello."))
    with pytest.raises(DatabaseUnavailable):
        await journal.written()
    postgres.start()
    monkeypatch.setattr(journal_module, "WRITTEN_SECS", 10)
    await journal.written()
    assert [row.heard for row in (await kept(store)).turns] == ["Hello."]
    await journal.close()
