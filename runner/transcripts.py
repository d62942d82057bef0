"""The transcript of a session as JSON, as text and as WebVTT."""

import html
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from processors.transcript import Past, Speaker, ToolCall, ToolOutcome, Turn
from runner.store import History
from runner.tables import ToolCallRow, TurnRow

SHORTEST_CUE = timedelta(seconds=1)


class TurnEntry(BaseModel):
    """What somebody said.

    Attributes:
        heard: What the other side heard of it; the transcript in the strict sense.
        generated: What the language model wrote.
        spoken: What was given to the voice.
        interrupted: Whether the user spoke over it.
    """

    type: Literal["turn"] = "turn"
    sequence: int
    speaker: Speaker
    heard: str
    generated: str
    spoken: str
    interrupted: bool
    started_at: datetime
    ended_at: datetime


class ToolEntry(BaseModel):
    """A tool that the bot used."""

    type: Literal["tool_call"] = "tool_call"
    sequence: int
    call_id: str
    tool: str
    outcome: ToolOutcome
    arguments: Any
    result: Any
    error: str | None
    started_at: datetime
    ended_at: datetime | None


class Transcript(BaseModel):
    """All that was said and done in a session, in its order.

    Attributes:
        ended_at: None while the session goes on.
        end_reason: Why it ended.
    """

    session_id: str
    bot: str
    created_at: datetime
    ended_at: datetime | None
    end_reason: str | None
    entries: list[Annotated[TurnEntry | ToolEntry, Field(discriminator="type")]]


def past(history: History) -> Past:
    """Return what was said and done in a session, for the conversation to go on."""
    return [_recalled(row) for row in history.in_order]


def transcript(history: History) -> Transcript:
    """Put the transcript of a session together."""
    session = history.session
    return Transcript(
        session_id=session.id,
        bot=session.bot,
        created_at=session.created_at,
        ended_at=session.ended_at,
        end_reason=session.end_reason,
        entries=[entry(row) for row in history.in_order],
    )


def to_text(transcript: Transcript) -> str:
    """Write a transcript for people: a line for each turn, and for each tool."""
    lines = []
    for entry in transcript.entries:
        clock = f"{entry.started_at:%H:%M:%S}"
        if isinstance(entry, ToolEntry):
            lines.append(f"[{clock}] ({entry.tool}: {entry.outcome.value})")
        elif entry.heard:
            lines.append(f"[{clock}] {entry.speaker.value.capitalize()}: {_shown(entry)}")
    return "".join(f"{line}\n" for line in lines)


def to_vtt(transcript: Transcript) -> str:
    """Write a transcript as WebVTT, whose times count from the start of the session.

    Source: https://www.w3.org/TR/webvtt1/
    """
    cues = ["WEBVTT\n"]
    for entry in transcript.entries:
        if isinstance(entry, TurnEntry) and entry.heard:
            # A cue has to last, and what was typed took no time.
            ended_at = max(entry.ended_at, entry.started_at + SHORTEST_CUE)
            begin, end = (
                _timestamp(at - transcript.created_at) for at in (entry.started_at, ended_at)
            )
            words = html.escape(_shown(entry), quote=False)
            voice = entry.speaker.value.capitalize()
            cues.append(f"{entry.sequence}\n{begin} --> {end}\n<v {voice}>{words}\n")
    return "\n".join(cues)


def _recalled(row: TurnRow | ToolCallRow) -> Turn | ToolCall:
    if isinstance(row, TurnRow):
        return Turn(
            Speaker(row.speaker),
            row.heard,
            row.started_at,
            row.ended_at,
            generated=row.generated,
            spoken=row.spoken,
            interrupted=row.interrupted,
        )
    return ToolCall(
        row.call_id,
        row.tool,
        ToolOutcome(row.outcome),
        row.ended_at or row.started_at,
        arguments=row.arguments,
        result=row.result,
        error=row.error,
    )


def entry(row: TurnRow | ToolCallRow) -> TurnEntry | ToolEntry:
    """Return the entry of a transcript that a row stands for."""
    model = TurnEntry if isinstance(row, TurnRow) else ToolEntry
    return model.model_validate(row, from_attributes=True)


def _shown(entry: TurnEntry) -> str:
    # A line break would end a cue, and make two lines of a turn.
    words = " ".join(entry.heard.split())
    return f"{words} —" if entry.interrupted else words


def _timestamp(since: timedelta) -> str:
    ms = max(0, round(since / timedelta(milliseconds=1)))
    minutes, ms = divmod(ms, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{ms // 1000:02}.{ms % 1000:03}"
