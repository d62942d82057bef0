"""The tools over the clinic's calendar.

Every tool answers with a small dict: what happened, or what is wrong (`Refusal`).
"""

from collections.abc import Mapping

from pipecat.services.llm_service import FunctionCallParams

from bots.tools.calendar import CLINIC_DOCTORS, WEEKDAYS, Calendar, Wish
from bots.tools.desk import Result, desk_of, tool
from bots.tools.spoken_time import parse_when
from bots.trust import read_only

CLINIC_SERVICES: Mapping[str, str] = {
    "general check-up": "eighty dollars",
    "flu shot": "twenty-five dollars",
    "travel vaccination": "sixty dollars",
    "blood test": "forty dollars",
    "skin check": "ninety-five dollars",
    "physiotherapy": "seventy dollars",
}


def _calendar(params: FunctionCallParams) -> Calendar:
    return Calendar(desk_of(params))


@tool
async def book_appointment(
    params: FunctionCallParams,
    name: str,
    phone: str,
    reason: str,
    date: str,
    time: str,
    doctor: str = "",
) -> Result:
    """Book an appointment at the clinic. Call it once the caller has given all of these.

    Only tell the caller that it is booked when the result says so.

    Args:
        params: The call in progress.
        name: The full name of the patient.
        phone: The phone number of the caller.
        reason: Why the patient comes, in a few words.
        date: The day as YYYY-MM-DD, or a weekday, or tomorrow.
        time: The time as HH:MM, 24 hours.
        doctor: The doctor the caller asked for. Leave empty if none was named.
    """
    calendar = _calendar(params)
    starts_at = parse_when(date, time, calendar.now.date())
    row = await calendar.book(Wish(name, phone, reason, starts_at, doctor))
    return {"booked": True, **row.spoken()}


@read_only
@tool
async def list_appointments(params: FunctionCallParams, phone: str) -> Result:
    """Find the coming appointments of a caller.

    Args:
        params: The call in progress.
        phone: The phone number the appointments were booked with.
    """
    rows = await _calendar(params).upcoming(phone=phone)
    return {"appointments": [row.spoken() for row in rows]}


@tool
async def cancel_appointment(
    params: FunctionCallParams,
    appointment_id: int | None = None,
    name: str = "",
    date: str = "",
    time: str = "",
) -> Result:
    """Cancel an appointment, either by its id or by name, date and time together.

    Args:
        params: The call in progress.
        appointment_id: The id that booking or listing gave.
        name: The full name of the patient.
        date: The day as YYYY-MM-DD, or a weekday, or tomorrow.
        time: The time as HH:MM, 24 hours.
    """
    calendar = _calendar(params)
    if appointment_id is not None:
        row = await calendar.cancel(appointment_id)
    else:
        row = await calendar.cancel_at(name, parse_when(date, time, calendar.now.date()))
    return {"cancelled": True, **row.spoken()}


@read_only
@tool
async def opening_hours(params: FunctionCallParams) -> Result:
    """Tell when the clinic is open on each day of the week, and what day it is today."""
    calendar = _calendar(params)
    hours = {
        day: f"{calendar.hours[i][0]:%H:%M} to {calendar.hours[i][1]:%H:%M}"
        if i in calendar.hours
        else "closed"
        for i, day in enumerate(WEEKDAYS)
    }
    return {"today": f"{calendar.now:%A %Y-%m-%d}", "hours": hours}


@read_only
@tool
async def services(params: FunctionCallParams) -> Result:
    """Tell which services the clinic offers, with their prices, and who the doctors are."""
    return {"services": dict(CLINIC_SERVICES), "doctors": list(CLINIC_DOCTORS)}


APPOINTMENT_TOOLS = (
    book_appointment,
    list_appointments,
    cancel_appointment,
    opening_hours,
    services,
)
