"""The tools over the clinic's calendar.

Every tool answers with a small dict: what happened, or under "error" what is wrong together with
"ask", what the bot should say or ask next.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from pipecat.services.llm_service import FunctionCallParams

from bots.tools.calendar import (
    CLINIC_DOCTORS,
    WEEKDAYS,
    AppointmentError,
    AppointmentStore,
    Wish,
)
from bots.tools.spoken_time import parse_when

CLINIC_SERVICES: Mapping[str, str] = {
    "general check-up": "eighty dollars",
    "flu shot": "twenty-five dollars",
    "travel vaccination": "sixty dollars",
    "blood test": "forty dollars",
    "skin check": "ninety-five dollars",
    "physiotherapy": "seventy dollars",
}


class AppointmentResources(Protocol):
    """What the tools need of `params.app_resources`."""

    @property
    def appointments(self) -> AppointmentStore:
        """The clinic's appointments."""
        ...


def _store(params: FunctionCallParams) -> AppointmentStore:
    resources: AppointmentResources = params.app_resources
    return resources.appointments


def _refusal(error: AppointmentError) -> dict[str, Any]:
    return {"error": error.code, "ask": error.ask}


async def book_appointment(
    params: FunctionCallParams,
    name: str,
    phone: str,
    reason: str,
    date: str,
    time: str,
    doctor: str = "",
) -> None:
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
    store = _store(params)
    try:
        starts_at = parse_when(date, time, store.now.date())
        row = await store.book(Wish(name, phone, reason, starts_at, doctor))
    except AppointmentError as error:
        await params.result_callback(_refusal(error))
    else:
        await params.result_callback({"booked": True, **row.spoken()})


async def list_appointments(params: FunctionCallParams, phone: str) -> None:
    """Find the coming appointments of a caller.

    Args:
        params: The call in progress.
        phone: The phone number the appointments were booked with.
    """
    try:
        rows = await _store(params).upcoming(phone=phone)
    except AppointmentError as error:
        await params.result_callback(_refusal(error))
    else:
        await params.result_callback({"appointments": [row.spoken() for row in rows]})


async def cancel_appointment(
    params: FunctionCallParams,
    appointment_id: int | None = None,
    name: str = "",
    date: str = "",
    time: str = "",
) -> None:
    """Cancel an appointment, either by its id or by name, date and time together.

    Args:
        params: The call in progress.
        appointment_id: The id that booking or listing gave.
        name: The full name of the patient.
        date: The day as YYYY-MM-DD, or a weekday, or tomorrow.
        time: The time as HH:MM, 24 hours.
    """
    store = _store(params)
    try:
        if appointment_id is not None:
            row = await store.cancel(appointment_id)
        else:
            row = await store.cancel_at(name, parse_when(date, time, store.now.date()))
    except AppointmentError as error:
        await params.result_callback(_refusal(error))
    else:
        await params.result_callback({"cancelled": True, **row.spoken()})


async def opening_hours(params: FunctionCallParams) -> None:
    """Tell when the clinic is open on each day of the week, and what day it is today."""
    store = _store(params)
    hours = {
        day: f"{store.hours[i][0]:%H:%M} to {store.hours[i][1]:%H:%M}"
        if i in store.hours
        else "closed"
        for i, day in enumerate(WEEKDAYS)
    }
    await params.result_callback({"today": f"{store.now:%A %Y-%m-%d}", "hours": hours})


async def services(params: FunctionCallParams) -> None:
    """Tell which services the clinic offers, with their prices, and who the doctors are."""
    await params.result_callback(
        {"services": dict(CLINIC_SERVICES), "doctors": list(CLINIC_DOCTORS)}
    )


APPOINTMENT_TOOLS = (
    book_appointment,
    list_appointments,
    cancel_appointment,
    opening_hours,
    services,
)
