"""Rows of the store, for tests."""

from datetime import UTC, datetime, timedelta
from typing import Any

from runner.tables import SessionRow, TurnRow

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def session_row(name: str = "s1", **more: Any) -> SessionRow:
    """Make a session that was started at noon."""
    columns = {
        "id": name,
        "user_id": "ada",
        "room_name": "voice-ada-1",
        "transport": "webrtc",
        "bot": "receptionist",
        "changes": {},
        "token_hash": "",
        "created_at": NOON,
        "seen_at": NOON,
    }
    return SessionRow(**{**columns, **more})


def turn_row(
    sequence: int,
    heard: str,
    *,
    of: str = "s1",
    speaker: str = "user",
    at_secs: float = 0,
    lasts_secs: float = 2,
    cut: bool = False,
) -> TurnRow:
    """Make a turn that began so many seconds after noon."""
    started_at = NOON + timedelta(seconds=at_secs)
    return TurnRow(
        session_id=of,
        sequence=sequence,
        speaker=speaker,
        heard=heard,
        generated="",
        spoken="",
        started_at=started_at,
        ended_at=started_at + timedelta(seconds=lasts_secs),
        interrupted=cut,
    )
