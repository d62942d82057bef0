"""The clinic's calendar: a table of real appointments.

Times are the clinic's own wall-clock times, without a zone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from sqlalchemy import Index, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from bots.tools.contact import FEWEST_DIGITS, digits
from bots.tools.desk import Desk, Refusal, Table

SLOT = timedelta(minutes=30)
LONGEST_NOTICE = timedelta(days=180)

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
OpeningHours = Mapping[int, tuple[time, time]]
CLINIC_HOURS: OpeningHours = {
    0: (time(8), time(18)),
    1: (time(8), time(18)),
    2: (time(8), time(13)),
    3: (time(8), time(20)),
    4: (time(8), time(16)),
    5: (time(9), time(12)),
}
CLINIC_DOCTORS = ("Doctor Elena Marsh", "Doctor Samuel Okoye", "Doctor Priya Raman")


_STANDING = text("cancelled_at IS NULL")


class Appointment(Table):
    """One booking. A cancelled one stays, with the time of its cancelling."""

    __tablename__ = "appointments"

    id: Mapped[int] = mapped_column(primary_key=True)
    starts_at: Mapped[datetime]
    doctor: Mapped[str]
    name: Mapped[str]
    name_key: Mapped[str]
    phone: Mapped[str]
    reason: Mapped[str]
    created_at: Mapped[datetime]
    cancelled_at: Mapped[datetime | None]

    __table_args__ = (
        # No doctor sees two patients at once, and no caller has one appointment twice.
        Index(
            "one_patient_for_each_slot",
            "starts_at",
            "doctor",
            unique=True,
            sqlite_where=_STANDING,
            postgresql_where=_STANDING,
        ),
        Index(
            "one_slot_for_each_caller",
            "starts_at",
            "name_key",
            "phone",
            unique=True,
            sqlite_where=_STANDING,
            postgresql_where=_STANDING,
        ),
    )

    def spoken(self) -> dict[str, Any]:
        """Return what a bot tells about this appointment."""
        return {
            "appointment_id": self.id,
            "name": self.name,
            "day": f"{self.starts_at:%A}",
            "date": f"{self.starts_at:%Y-%m-%d}",
            "time": f"{self.starts_at:%H:%M}",
            "doctor": self.doctor,
            "reason": self.reason,
        }


@dataclass(frozen=True)
class Wish:
    """What a caller wants to book.

    Attributes:
        name: The patient.
        phone: Digits in any spelling; only the digits are kept.
        reason: Why, in the caller's words.
        starts_at: The clinic's local time.
        doctor: Part of a doctor's name; empty for any doctor.
    """

    name: str
    phone: str
    reason: str
    starts_at: datetime
    doctor: str = ""


class Calendar:
    """The appointments.

    Args:
        desk: Where they are written; its clock is the clinic's.
        hours: Opening and closing time by weekday, 0 for Monday; closed on days left out.
        doctors: Who sees patients. The first one free is taken where the caller names none.
    """

    def __init__(
        self,
        desk: Desk,
        *,
        hours: OpeningHours = CLINIC_HOURS,
        doctors: Sequence[str] = CLINIC_DOCTORS,
    ) -> None:
        self.hours = hours
        self._desk = desk
        self._doctors = tuple(doctors)

    @property
    def now(self) -> datetime:
        """The clinic's local time."""
        return self._desk.clock()

    async def book(self, wish: Wish) -> Appointment:
        """Store an appointment; the same wish again returns the same appointment.

        Raises:
            Refusal: Something is missing (`name_missing`, `phone_missing`), the time does
                not suit (`past`, `too_far`, `closed`, `not_a_slot`), there is no such doctor
                (`unknown_doctor`) or nobody is free (`slot_taken`).
        """
        name, phone = " ".join(wish.name.split()), digits(wish.phone)
        if not name:
            raise Refusal("name_missing", "Ask for the caller's full name.")
        if len(phone) < FEWEST_DIGITS:
            raise Refusal("phone_missing", "Ask for a phone number with all its digits.")
        self.check_time(wish.starts_at)
        for doctor in self._candidates(wish.doctor):
            row = Appointment(
                starts_at=wish.starts_at,
                doctor=doctor,
                name=name,
                name_key=name.casefold(),
                phone=phone,
                reason=wish.reason.strip(),
                created_at=self.now,
            )
            if await self._insert(row):
                return row
            if same := await self._same(row):
                return same
        raise Refusal("slot_taken", await self._other_times(wish))

    def check_time(self, starts_at: datetime) -> None:
        """Check that an appointment may begin at `starts_at`, whoever else has booked.

        Raises:
            Refusal: `past`, `too_far`, `closed` or `not_a_slot`.
        """
        if starts_at <= self.now:
            raise Refusal("past", "That time is over. Ask for a day and time to come.")
        if starts_at > self.now + LONGEST_NOTICE:
            raise Refusal("too_far", "Ask for a day within the next six months.")
        hours = self.hours.get(starts_at.weekday())
        if hours is None:
            ask = f"We are closed on {starts_at:%A}. Ask for another day."
            raise Refusal("closed", ask)
        opens, closes = (datetime.combine(starts_at, hour) for hour in hours)
        if starts_at < opens or starts_at + SLOT > closes:
            ask = f"On {starts_at:%A} we see patients from {opens:%H:%M} to {closes:%H:%M}."
            raise Refusal("closed", f"{ask} Ask for a time within these hours.")
        if (starts_at - opens) % SLOT:
            raise Refusal("not_a_slot", "Ask for a full or a half hour.")

    async def upcoming(self, *, phone: str = "", name: str = "") -> list[Appointment]:
        """Return the appointments to come of a phone number, of a name, or of both together.

        Raises:
            Refusal: Neither is given (`phone_missing`).
        """
        query = select(Appointment).where(
            Appointment.cancelled_at.is_(None), Appointment.starts_at > self.now
        )
        if not digits(phone) and not name.strip():
            raise Refusal("phone_missing", "Ask for the caller's phone number.")
        if digits(phone):
            query = query.where(Appointment.phone == digits(phone))
        if name.strip():
            query = query.where(Appointment.name_key == " ".join(name.casefold().split()))
        async with self._desk.session() as session:
            return list(await session.scalars(query.order_by(Appointment.starts_at)))

    async def cancel(self, appointment_id: int) -> Appointment:
        """Cancel an appointment; one that is cancelled already is returned as it is.

        Raises:
            Refusal: There is no such appointment (`not_found`).
        """
        async with self._desk.session() as session:
            row = await session.get(Appointment, appointment_id)
            if row is None:
                raise _not_found()
            row.cancelled_at = row.cancelled_at or self.now
            return row

    async def cancel_at(self, name: str, starts_at: datetime) -> Appointment:
        """Cancel the appointment of `name` at that time; a repetition returns the same one.

        Raises:
            Refusal: There is no such appointment (`not_found`).
        """
        query = (
            select(Appointment)
            .where(
                Appointment.name_key == " ".join(name.casefold().split()),
                Appointment.starts_at == starts_at,
            )
            .order_by(Appointment.cancelled_at.is_not(None), Appointment.id.desc())
        )
        async with self._desk.session() as session:
            row = await session.scalar(query.limit(1))
        if row is None:
            raise _not_found()
        return await self.cancel(row.id)

    async def free_times(self, day: date, doctor: str = "") -> list[datetime]:
        """Return when somebody, or the named doctor, is free on `day`."""
        hours = self.hours.get(day.weekday())
        if hours is None:
            return []
        begin, end = (datetime.combine(day, hour) for hour in hours)
        candidates = self._candidates(doctor)
        query = select(Appointment.starts_at).where(
            Appointment.cancelled_at.is_(None),
            Appointment.starts_at.between(begin, end),
            Appointment.doctor.in_(candidates),
        )
        async with self._desk.session() as session:
            taken = list(await session.scalars(query))
        slots = [begin + i * SLOT for i in range((end - begin) // SLOT)]
        return [s for s in slots if s > self.now and taken.count(s) < len(candidates)]

    def _candidates(self, doctor: str) -> tuple[str, ...]:
        wanted = doctor.casefold().replace("dr.", "").replace("doctor", "").strip()
        found = tuple(name for name in self._doctors if wanted in name.casefold())
        if not found:
            known = ", ".join(self._doctors)
            raise Refusal("unknown_doctor", f"Our doctors are {known}. Ask which one.")
        return found

    async def _insert(self, row: Appointment) -> bool:
        try:
            async with self._desk.session() as session:
                session.add(row)
        except IntegrityError:
            return False
        return True

    async def _same(self, row: Appointment) -> Appointment | None:
        query = select(Appointment).where(
            Appointment.cancelled_at.is_(None),
            Appointment.starts_at == row.starts_at,
            Appointment.name_key == row.name_key,
            Appointment.phone == row.phone,
        )
        async with self._desk.session() as session:
            return await session.scalar(query)

    async def _other_times(self, wish: Wish) -> str:
        free = await self.free_times(wish.starts_at.date(), wish.doctor)
        nearest = sorted(free, key=lambda slot: abs(slot - wish.starts_at))[:3]
        if not nearest:
            return "That day is full. Ask for another day."
        times = ", ".join(f"{slot:%H:%M}" for slot in sorted(nearest))
        return f"That time is taken. Offer one of these times of the same day: {times}."


def _not_found() -> Refusal:
    return Refusal("not_found", "Ask for the name, the day and the time once more.")
