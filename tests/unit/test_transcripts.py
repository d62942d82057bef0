"""Transcripts as JSON, as text and as WebVTT."""

from datetime import timedelta
from pathlib import Path

import pytest

from runner.store import History
from runner.tables import ToolCallRow
from runner.transcripts import ToolEntry, Transcript, to_text, to_vtt, transcript
from tests.rows import NOON, session_row, turn_row

SAMPLES = Path(__file__).parents[2] / "client" / "fixtures"
"""What the browser client writes; client/src/session/export.test.ts has it write the same."""


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
        turn_row(1, "How can I help?", speaker="bot", at_secs=0.25, lasts_secs=1.5),
        turn_row(2, "Tom & I --> <b>Sunday</b>\n\nat ten", at_secs=2, lasts_secs=1.5),
        turn_row(4, "", speaker="bot", at_secs=6, cut=True),
        turn_row(5, "It is", speaker="bot", at_secs=3_661.0004, cut=True),
        turn_row(6, "typed", at_secs=3_664, lasts_secs=0),
    ]
    return transcript(History(session_row(), turns, [booking]))


def test_tools_stand_where_they_ran(call: Transcript) -> None:
    assert [entry.sequence for entry in call.entries] == [1, 2, 3, 4, 5, 6]
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
        "[13:01:04] User: typed",
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
        "5\n01:01:01.000 --> 01:01:03.000\n<v Bot>It is —\n"
        "\n"
        "6\n01:01:04.000 --> 01:01:05.000\n<v User>typed\n"
    )


def test_the_browser_client_writes_transcripts_as_the_server_does() -> None:
    sample = (SAMPLES / "transcript.json").read_bytes()
    call = Transcript.model_validate_json(sample, extra="forbid")
    assert call.model_dump(exclude_unset=True) == call.model_dump(), "no name is left out"
    assert to_text(call) == (SAMPLES / "transcript.txt").read_text()
    assert to_vtt(call) == (SAMPLES / "transcript.vtt").read_text()
