"""Reads days and times as a language model or a caller gives them."""

import re
from datetime import date, datetime, time, timedelta

from bots.tools.calendar import WEEKDAYS
from bots.tools.desk import Refusal


def parse_when(day: str, hour: str, today: date) -> datetime:
    """Read a day and a time as a language model or a caller gives them.

    Args:
        day: `2026-11-24`, `today`, `tomorrow` or a weekday, which is the next one after `today`.
        hour: `14:30`, `2:30 pm`, `2 pm` or `14`.
        today: The day that words like tomorrow count from.

    Raises:
        Refusal: One of them cannot be read (`date_unclear`, `time_unclear`).
    """
    return datetime.combine(_parse_day(day, today), _parse_hour(hour))


def _parse_day(day: str, today: date) -> date:
    word = day.strip().lower().removeprefix("next ").removeprefix("on ")
    if word in ("today", "tomorrow"):
        return today + timedelta(days=word == "tomorrow")
    if word in WEEKDAYS:
        ahead = (WEEKDAYS.index(word) - today.weekday() - 1) % 7 + 1
        return today + timedelta(days=ahead)
    try:
        return date.fromisoformat(word)
    except ValueError as exc:
        raise Refusal("date_unclear", "Ask for the day of the appointment.") from exc


_HOUR = re.compile(r"(\d{1,2})(?:[:.](\d{2}))?(?::\d{2})?\s*(?:(a|p)\.?m\.?)?")


def _parse_hour(hour: str) -> time:
    found = _HOUR.fullmatch(hour.strip().lower())
    try:
        if not found:
            raise ValueError(hour)
        clock_hour, minute, half = int(found[1]), int(found[2] or 0), found[3]
        if half:
            clock_hour = clock_hour % 12 + (12 if half == "p" else 0)
        return time(clock_hour, minute)
    except ValueError as exc:
        raise Refusal("time_unclear", "Ask for the time of the appointment.") from exc
