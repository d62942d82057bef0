"""What the service keeps, in SQLite and in PostgreSQL."""

import asyncio
import math
from datetime import UTC, timedelta, timezone
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from pydantic import SecretStr
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

from bots.database import connect
from bots.errors import DatabaseUnavailable, ServiceUnavailable
from runner import store as store_module
from runner.store import MIGRATIONS, History, Store, alembic_config, head
from runner.tables import EventRow, SessionRow, Table, ToolCallRow
from tests.database import Postgres
from tests.rows import NOON, session_row, turn_row


async def history_of(store: Store, name: str = "s1") -> History:
    row = await store.session(name)
    assert row
    return await store.history(row)


async def test_what_is_saved_is_there_for_another_process(
    store: Store, engine: AsyncEngine, tmp_path: Path
) -> None:
    await asyncio.gather(*(store.add(session_row(name)) for name in ("s1", "s2", "s3")))
    await store.save(
        [turn_row(2, "On Sunday?"), turn_row(1, "Hello."), turn_row(1, "Not mine.", of="s2")]
    )
    url = engine.url.render_as_string(hide_password=False)
    other = connect(SecretStr(url), tmp_path)
    history = await history_of(Store(other))
    await other.dispose()
    assert (history.session.bot, history.session.created_at) == ("receptionist", NOON)
    assert [(row.sequence, row.heard) for row in history.turns] == [
        (1, "Hello."),
        (2, "On Sunday?"),
    ]
    assert history.turns[0].ended_at == NOON + timedelta(seconds=2)
    assert await store.session("of-nobody") is None


async def test_a_moment_of_another_zone_is_the_same_moment(store: Store) -> None:
    there = NOON.astimezone(timezone(timedelta(hours=9)))
    await store.add(session_row(created_at=there))
    history = await history_of(store)
    assert history.session.created_at == NOON
    assert history.session.created_at.tzinfo is UTC


async def test_half_of_a_pair_of_characters_is_no_text_and_loses_nothing_else(
    store: Store,
) -> None:
    """Clients can send one in JSON: \\ud83d, the first half of an emoji."""
    await store.add(session_row())
    await store.save([turn_row(1, "It is \ud83d so.")])
    [turn] = (await history_of(store)).turns
    assert turn.heard == "It is ? so."


async def test_saving_again_changes_what_is_set_and_nothing_else(store: Store) -> None:
    await store.add(session_row())
    for _ in range(2):
        await store.save([turn_row(1, "Hello.")])
    await store.save([SessionRow(id="s1", ended_at=NOON, end_reason="client_left")])
    history = await history_of(store)
    assert history.session.bot == "receptionist"
    assert history.session.end_reason == "client_left"
    assert [row.heard for row in history.turns] == ["Hello."]


async def test_all_rows_are_saved_or_none(store: Store) -> None:
    await store.add(session_row())
    with pytest.raises(Exception, match=r"(?i)foreign key"):
        await store.save([turn_row(1, "Hello."), turn_row(1, "Whose?", of="nobody")])
    history = await history_of(store)
    assert not history.turns


@pytest.mark.parametrize(
    ("result", "kept"),
    [
        ({"day": "Sunday", "fee": 25.5}, {"day": "Sunday", "fee": 25.5}),
        (None, None),
        ("Grüße 🦜", "Grüße 🦜"),
        ("a\0b", "a\0b"),
        ({"\ud83d": "\ud83d"}, {"?": "?"}),
        ({"at": NOON}, {"at": str(NOON)}),
        ({"ratio": math.nan}, "{'ratio': nan}"),
        ({(1, 2): "odd"}, "{(1, 2): 'odd'}"),
    ],
)
async def test_whatever_a_tool_returns_is_kept(store: Store, result: object, kept: object) -> None:
    call = ToolCallRow(
        session_id="s1",
        sequence=1,
        call_id="c1",
        tool="opening_hours",
        outcome="completed",
        arguments={},
        result=result,
        started_at=NOON,
    )
    await store.add(session_row())
    await store.save([call])
    history = await history_of(store)
    assert history.tool_calls[0].result == kept


async def test_text_that_a_database_cannot_keep_is_kept_as_far_as_it_can(store: Store) -> None:
    await store.add(session_row())
    await store.save([turn_row(1, "be\0fore"), turn_row(2, "'; DROP TABLE turns; --")])
    history = await history_of(store)
    assert [row.heard for row in history.turns] == ["before", "'; DROP TABLE turns; --"]


async def test_migrations_make_the_tables_that_the_code_has(
    store: Store, engine: AsyncEngine
) -> None:
    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return compare_metadata(context, Table.metadata)

    async with engine.connect() as connection:
        assert not await connection.run_sync(differences)
    assert ScriptDirectory(str(MIGRATIONS)).get_heads() == [head()]


async def test_migrations_lead_back_as_well(store: Store, engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.run_sync(lambda c: command.downgrade(alembic_config(c), "base"))
    async with engine.connect() as connection:
        with pytest.raises(Exception, match=r"(?i)no such table|does not exist"):
            await connection.execute(text("SELECT * FROM sessions"))
    await store.open()
    await store.add(session_row())


async def test_opening_again_leaves_all_as_it_is(store: Store) -> None:
    await store.add(session_row())
    await store.open()
    assert await store.session("s1")


async def test_services_that_start_together_migrate_once(on_server: AsyncEngine) -> None:
    await asyncio.gather(*(Store(on_server).open() for _ in range(4)))
    await Store(on_server).add(session_row())


async def test_a_database_of_a_newer_version_is_refused(store: Store, engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ServiceUnavailable, match="newer version"):
        await store.open()


async def test_a_server_that_is_away_is_told_as_such_and_found_again(
    postgres: Postgres, on_server: AsyncEngine
) -> None:
    store = Store(on_server)
    await store.open()
    await store.add(session_row("before"))
    postgres.stop()
    for _ in range(2):
        with pytest.raises(DatabaseUnavailable, match="cannot be reached"):
            await store.ping()
    with pytest.raises(DatabaseUnavailable):
        await store.add(session_row("meanwhile"))
    postgres.start()
    await store.ping()
    assert await store.session("before")


async def test_a_server_that_does_not_answer_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "QUERY_SECS", 0.2)
    callers: list[asyncio.StreamWriter] = []
    silent = await asyncio.start_server(lambda _, writer: callers.append(writer), "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    engine = connect(SecretStr(f"postgres://parlante@127.0.0.1:{port}/postgres"), tmp_path)
    with pytest.raises(DatabaseUnavailable, match="cannot be reached"):
        await Store(engine).ping()
    await engine.dispose()
    silent.close()
    for writer in callers:
        writer.close()
    assert callers


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql://me:secret@host/db", "'mysql' is not supported"),
        ("host:secret", "cannot be read"),
        ("sqlite://", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
    ],
)
def test_a_url_of_no_use_is_refused_without_its_password(
    url: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises(ServiceUnavailable, match=words) as refused:
        connect(SecretStr(url), tmp_path)
    assert "secret" not in refused.value.message


async def test_events_keep_their_data(store: Store) -> None:
    joined = EventRow(session_id="s1", sequence=1, at=NOON, kind="joined", data={"by": "webrtc"})
    await store.add(session_row())
    await store.save([joined])
    [event] = await store.happenings("s1")
    assert isinstance(event, EventRow)
    assert (event.kind, event.data) == ("joined", {"by": "webrtc"})


async def test_sessions_that_no_service_has_are_ended_when_they_last_had_one(store: Store) -> None:
    for name in ("kept", "forsaken", "ended"):
        await store.add(session_row(name))
    await store.end("ended", NOON, "hung_up")
    seen_at = NOON + timedelta(minutes=1)
    await store.keep_alive(["forsaken", "kept"], seen_at)
    await store.keep_alive(["kept"], seen_at + timedelta(minutes=5))
    [row] = await store.end_forsaken(seen_at + timedelta(seconds=1), "forsaken")
    assert (row.id, row.ended_at, row.end_reason) == ("forsaken", seen_at, "forsaken")
    assert not await store.end_forsaken(seen_at + timedelta(seconds=1), "forsaken")
    rows = [await store.session(name) for name in ("kept", "forsaken", "ended")]
    assert [row and row.end_reason for row in rows] == [None, "forsaken", "hung_up"]


async def test_of_services_that_find_a_lost_session_at_once_one_has_it(
    store: Store, engine: AsyncEngine, tmp_path: Path
) -> None:
    lost = [f"s{number}" for number in range(20)]
    for name in lost:
        await store.add(session_row(name, transport="daily"))
    await store.add(session_row("of-a-browser"))
    await store.add(session_row("has-ended", transport="daily"))
    await store.end("has-ended", NOON, "hung_up")
    lost_at, now = NOON + timedelta(minutes=1), NOON + timedelta(minutes=2)
    await store.add(session_row("lives", transport="daily", seen_at=lost_at))
    url = engine.url.render_as_string(hide_password=False)
    engines = [connect(SecretStr(url), tmp_path) for _ in range(4)]
    claims = [Store(it).claim_lost(["daily", "livekit"], lost_at, now) for it in engines]
    claimed = [row.id for rows in await asyncio.gather(*claims) for row in rows]
    again = await store.claim_lost(["daily"], lost_at, now)
    for it in engines:
        await it.dispose()
    assert sorted(claimed) == sorted(lost)
    assert not again


async def test_a_session_ends_once(store: Store) -> None:
    await store.add(session_row())
    await store.end("s1", NOON, "deleted")
    await store.end("s1", NOON + timedelta(hours=1), "forsaken")
    row = await store.session("s1")
    assert row
    assert (row.ended_at, row.end_reason) == (NOON, "deleted")


async def test_sessions_of_the_first_version_stay_and_nothing_lets_into_them(
    store: Store, engine: AsyncEngine
) -> None:
    async with engine.begin() as connection:
        await connection.run_sync(lambda c: command.downgrade(alembic_config(c), "0001"))
        await connection.execute(text("INSERT INTO users (id) VALUES ('ada')"))
        await connection.execute(
            text(
                "INSERT INTO sessions (id, user_id, room_name, transport, bot, created_at) "
                "VALUES ('old', 'ada', 'room', 'webrtc', 'receptionist', '2026-11-22 12:00:00')"
            )
        )
    await store.open()
    row = await store.session("old")
    assert row
    assert (row.changes, row.token_hash, row.seen_at) == ({}, "", row.created_at)
