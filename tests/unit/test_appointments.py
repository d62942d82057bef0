import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from bots.database import connect
from bots.tools.appointments import (
    APPOINTMENT_TOOLS,
    CLINIC_SERVICES,
    book_appointment,
    cancel_appointment,
    list_appointments,
    opening_hours,
    services,
)
from bots.tools.calendar import (
    CLINIC_DOCTORS,
    Calendar,
    Wish,
)
from bots.tools.desk import Desk, Refusal
from bots.tools.spoken_time import parse_when
from tests.tools import run_tool

FRIDAY_NOON = datetime(2026, 11, 20, 12, 0)
TUESDAY_TEN = datetime(2026, 11, 24, 10, 0)
DANA = Wish("Dana Whitfield", "555 0134", "sore knee", TUESDAY_TEN)


class Clock:
    def __init__(self) -> None:
        self.now = FRIDAY_NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@asynccontextmanager
async def open_store(data_dir: Path, clock: Clock) -> AsyncIterator[Calendar]:
    engine = connect(None, data_dir)
    desk = Desk(engine, clock)
    await desk.open()
    yield Calendar(desk)
    await engine.dispose()


@pytest.fixture
async def store(tmp_path: Path, clock: Clock) -> AsyncIterator[Calendar]:
    async with open_store(tmp_path, clock) as store:
        yield store


async def call(tool: Any, store: Calendar, **arguments: Any) -> dict[str, Any]:
    return await run_tool(tool, store._desk, **arguments)


async def refused(coroutine: Any) -> str:
    with pytest.raises(Refusal) as caught:
        await coroutine
    assert caught.value.ask
    return caught.value.code


class TestBooking:
    async def test_a_booking_can_be_listed_by_phone_and_by_name(self, store):
        booked = await store.book(DANA)

        for found in (
            await store.upcoming(phone="555-0134"),
            await store.upcoming(name="dana  whitfield"),
        ):
            assert [row.id for row in found] == [booked.id]
        assert await store.upcoming(phone="555 9999") == []

    async def test_a_booking_is_there_for_another_process(self, store, tmp_path, clock):
        await store.book(DANA)

        async with open_store(tmp_path, clock) as other:
            assert len(await other.upcoming(phone=DANA.phone)) == 1

    async def test_the_same_wish_twice_is_one_booking(self, store):
        first = await store.book(DANA)
        again = await store.book(replace(DANA, name="dana whitfield", phone="5550134"))

        assert again.id == first.id
        assert len(await store.upcoming(phone=DANA.phone)) == 1

    async def test_the_same_wish_twice_at_once_is_one_booking(self, store):
        rows = await asyncio.gather(*(store.book(DANA) for _ in range(8)))

        assert len({row.id for row in rows}) == 1

    async def test_a_slot_has_room_for_as_many_callers_as_there_are_doctors(self, store):
        wishes = [replace(DANA, phone=f"555 010{i}") for i in range(5)]

        results = await asyncio.gather(*map(store.book, wishes), return_exceptions=True)

        booked = [r.doctor for r in results if not isinstance(r, BaseException)]
        refusals = [r for r in results if isinstance(r, Refusal)]
        assert sorted(booked) == sorted(CLINIC_DOCTORS)
        assert [refusal.code for refusal in refusals] == ["slot_taken", "slot_taken"]

    async def test_a_doctor_who_is_taken_is_refused_with_other_times(self, store):
        await store.book(replace(DANA, doctor="Marsh"))

        with pytest.raises(Refusal) as caught:
            await store.book(replace(DANA, phone="555 0199", doctor="Dr. Marsh"))

        assert caught.value.code == "slot_taken"
        assert "09:00, 09:30, 10:30" in caught.value.ask

    async def test_an_unknown_doctor_is_refused_with_the_known_ones(self, store):
        with pytest.raises(Refusal, match="Okoye") as caught:
            await store.book(replace(DANA, doctor="House"))

        assert caught.value.code == "unknown_doctor"

    @pytest.mark.parametrize(
        ("wish", "code"),
        [
            (replace(DANA, name="  "), "name_missing"),
            (replace(DANA, phone="none"), "phone_missing"),
            (replace(DANA, starts_at=FRIDAY_NOON), "past"),
            (replace(DANA, starts_at=datetime(2027, 11, 23, 10)), "too_far"),
            (replace(DANA, starts_at=datetime(2026, 11, 22, 10)), "closed"),
            (replace(DANA, starts_at=datetime(2026, 11, 21, 8, 30)), "closed"),
            (replace(DANA, starts_at=datetime(2026, 11, 21, 12)), "closed"),
            (replace(DANA, starts_at=datetime(2026, 11, 24, 10, 10)), "not_a_slot"),
        ],
    )
    async def test_a_wish_that_cannot_be_met_says_why(self, store, wish, code):
        assert await refused(store.book(wish)) == code
        assert await store.upcoming(name="Dana Whitfield") == []

    async def test_the_last_slot_of_the_day_can_be_booked(self, store):
        row = await store.book(replace(DANA, starts_at=datetime(2026, 11, 21, 11, 30)))

        assert row.spoken()["day"] == "Saturday"

    async def test_listing_for_nobody_asks_for_the_phone_number(self, store):
        assert await refused(store.upcoming()) == "phone_missing"


class TestCancelling:
    async def test_a_cancelled_slot_is_free_again(self, store):
        booked = await store.book(replace(DANA, doctor="Marsh"))
        await store.cancel(booked.id)

        assert await store.upcoming(phone=DANA.phone) == []
        other = await store.book(replace(DANA, phone="555 0199", doctor="Marsh"))
        assert other.id != booked.id

    async def test_cancelling_twice_is_cancelling_once(self, store, clock):
        booked = await store.book(DANA)
        first = await store.cancel(booked.id)
        clock.now = datetime(2026, 11, 20, 13)
        again = await store.cancel_at("dana whitfield", TUESDAY_TEN)

        assert again.cancelled_at == first.cancelled_at == FRIDAY_NOON

    async def test_name_and_time_cancel_the_booking_that_stands(self, store):
        await store.cancel((await store.book(DANA)).id)
        second = await store.book(DANA)

        assert (await store.cancel_at(DANA.name, TUESDAY_TEN)).id == second.id

    async def test_what_was_never_booked_is_not_found(self, store):
        assert await refused(store.cancel(99)) == "not_found"
        assert await refused(store.cancel_at("Dana Whitfield", TUESDAY_TEN)) == "not_found"


class TestStore:
    async def test_the_file_is_written_ahead_and_durably(self, store):
        async with store._desk.database.connect() as connection:
            journal = (await connection.exec_driver_sql("PRAGMA journal_mode")).scalar()
            synchronous = (await connection.exec_driver_sql("PRAGMA synchronous")).scalar()

        assert (journal, synchronous) == ("wal", 2)

    async def test_free_times_leave_out_what_is_over_and_what_is_taken(self, store, clock):
        clock.now = datetime(2026, 11, 21, 9, 40)
        await store.book(replace(DANA, starts_at=datetime(2026, 11, 21, 10, 30), doctor="Raman"))

        free = await store.free_times(date(2026, 11, 21), "Raman")

        assert [f"{slot:%H:%M}" for slot in free] == ["10:00", "11:00", "11:30"]
        assert await store.free_times(date(2026, 11, 22)) == []


class TestWhen:
    @pytest.mark.parametrize(
        ("day", "hour", "expected"),
        [
            ("2026-11-24", "10:00", TUESDAY_TEN),
            ("Tuesday", "10 am", TUESDAY_TEN),
            ("next tuesday", "10:00:00", TUESDAY_TEN),
            ("friday", "2 p.m.", datetime(2026, 11, 27, 14)),
            ("tomorrow", "9:30", datetime(2026, 11, 21, 9, 30)),
            ("today", "12 pm", FRIDAY_NOON),
            ("today", "12 am", datetime(2026, 11, 20, 0)),
        ],
    )
    def test_days_and_times_are_read_as_models_write_them(self, day, hour, expected):
        assert parse_when(day, hour, FRIDAY_NOON.date()) == expected

    @pytest.mark.parametrize(
        ("day", "hour", "code"),
        [
            ("soon", "10:00", "date_unclear"),
            ("2026-02-30", "10:00", "date_unclear"),
            ("tuesday", "25:00", "time_unclear"),
            ("tuesday", "10:75", "time_unclear"),
            ("tuesday", "in the morning", "time_unclear"),
        ],
    )
    def test_what_cannot_be_read_is_asked_for(self, day, hour, code):
        with pytest.raises(Refusal) as caught:
            parse_when(day, hour, FRIDAY_NOON.date())
        assert caught.value.code == code


class TestTools:
    ARGUMENTS = {  # noqa: RUF012
        "name": "Dana Whitfield",
        "phone": "555 0134",
        "reason": "sore knee",
        "date": "2026-11-24",
        "time": "10:00",
    }

    def test_the_model_is_offered_each_tool_with_its_arguments_described(self):
        from pipecat.adapters.llm.schemas.direct_function import DirectFunctionWrapper

        for tool in APPOINTMENT_TOOLS:
            schema = DirectFunctionWrapper(tool).to_function_schema()
            assert schema.description
            assert all(prop.get("description") for prop in schema.properties.values())
        book = DirectFunctionWrapper(book_appointment).to_function_schema()
        assert book.required == ["name", "phone", "reason", "date", "time"]

    async def test_booking_confirms_what_was_stored(self, store):
        result = await call(book_appointment, store, **self.ARGUMENTS)

        assert result == {
            "booked": True,
            "appointment_id": 1,
            "name": "Dana Whitfield",
            "day": "Tuesday",
            "date": "2026-11-24",
            "time": "10:00",
            "doctor": "Doctor Elena Marsh",
            "reason": "sore knee",
        }

    async def test_a_repeated_call_answers_the_same(self, store):
        first = await call(book_appointment, store, **self.ARGUMENTS)

        assert await call(book_appointment, store, **self.ARGUMENTS) == first

    async def test_a_refusal_tells_the_model_what_to_ask(self, store):
        result = await call(book_appointment, store, **{**self.ARGUMENTS, "date": "sunday"})

        assert result == {"error": "closed", "ask": "We are closed on Sunday. Ask for another day."}

    async def test_a_listed_appointment_can_be_cancelled_by_its_id(self, store):
        await call(book_appointment, store, **self.ARGUMENTS)
        listed = await call(list_appointments, store, phone="5550134")
        id_ = listed["appointments"][0]["appointment_id"]

        assert (await call(cancel_appointment, store, appointment_id=id_))["cancelled"] is True
        assert await call(list_appointments, store, phone="5550134") == {"appointments": []}

    async def test_an_appointment_can_be_cancelled_by_name_and_time(self, store):
        await call(book_appointment, store, **self.ARGUMENTS)

        result = await call(
            cancel_appointment, store, name="Dana Whitfield", date="tuesday", time="10:00"
        )

        assert result["cancelled"] is True

    @pytest.mark.parametrize(
        ("tool", "arguments", "error"),
        [
            (list_appointments, {"phone": "unknown"}, "phone_missing"),
            (cancel_appointment, {}, "date_unclear"),
            (cancel_appointment, {"appointment_id": 7}, "not_found"),
        ],
    )
    async def test_errors_are_results_and_never_raised(self, store, tool, arguments, error):
        result = await call(tool, store, **arguments)

        assert result["error"] == error
        assert result["ask"]

    async def test_hours_and_services_are_told(self, store):
        hours = await call(opening_hours, store)

        assert hours["today"] == "Friday 2026-11-20"
        assert hours["hours"]["thursday"] == "08:00 to 20:00"
        assert hours["hours"]["sunday"] == "closed"
        assert (await call(services, store))["services"] == dict(CLINIC_SERVICES)
