"""Transcripts as JSON, as text and as WebVTT."""

from datetime import UTC, datetime, timedelta

import pytest

from runner.store import History
from runner.tables import SessionRow, ToolCallRow, TurnRow
from runner.transcripts import ToolEntry, Transcript, to_text, to_vtt, transcript

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def turn(sequence: int, speaker: str, heard: str, at: float, *, cut: bool = False) -> TurnRow:
    return TurnRow(
        session_id="s1",
        sequence=sequence,
        speaker=speaker,
        heard=heard,
        generated="",
        spoken="",
        started_at=NOON + timedelta(seconds=at),
        ended_at=NOON + timedelta(seconds=at + 1.5),
        interrupted=cut,
    )


@pytest.fixture
def call() -> Transcript:
    booking = ToolCallRow(
        session_id="s1",
        sequence=3,
        call_id="c1",
        tool="book_appointment",
        outcome="completed",
        arguments={"day": "Sunday"},
        result={"booked": True},
        error=None,
        started_at=NOON + timedelta(seconds=4),
        ended_at=NOON + timedelta(seconds=5),
    )
    turns = [
        turn(1, "bot", "How can I help?", 0.25),
        turn(2, "user", "Tom & I --> <b>Sunday</b>\n\nat ten", 2),
        turn(4, "bot", "", 6, cut=True),
        turn(5, "bot", "It is", 3_661.0004, cut=True),
    ]
    return transcript(History(SessionRow(id="s1", bot="b", created_at=NOON), turns, [booking], []))


def test_tools_stand_where_they_ran(call: Transcript) -> None:
    assert [entry.sequence for entry in call.entries] == [1, 2, 3, 4, 5]
    tool = call.entries[2]
    assert isinstance(tool, ToolEntry)
    assert (tool.tool, tool.result) == ("book_appointment", {"booked": True})
    again = Transcript.model_validate_json(call.model_dump_json())
    assert again == call


def test_text_has_a_line_for_each_turn_that_was_heard(call: Transcript) -> None:
    assert to_text(call).splitlines() == [
        "[12:00:00] Bot: How can I help?",
        "[12:00:02] User: Tom & I --> <b>Sunday</b> at ten",
        "[12:00:04] (book_appointment: completed)",
        "[13:01:01] Bot: It is —",
    ]


def test_webvtt_has_a_cue_for_each_turn_that_was_heard(call: Transcript) -> None:
    assert to_vtt(call) == (
        "WEBVTT\n"
        "\n"
        "1\n00:00:00.250 --> 00:00:01.750\n<v Bot>How can I help?\n"
        "\n"
        "2\n00:00:02.000 --> 00:00:03.500\n"
        "<v User>Tom &amp; I --&gt; &lt;b&gt;Sunday&lt;/b&gt; at ten\n"
        "\n"
        "5\n01:01:01.000 --> 01:01:02.500\n<v Bot>It is —\n"
    )
