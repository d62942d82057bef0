"""What the tools of technical support tell and write down."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import func, select

from bots.tools.desk import Desk, Refusal
from bots.tools.support import (
    KNOWN_ISSUES,
    Handoff,
    Tickets,
    hand_over,
    known_issues,
    open_ticket,
    ticket_status,
)
from processors.switchboard import transfer_in
from tests.tools import run_tool


class Switch:
    """Notes how often it is asked to put the caller through."""

    asked = 0

    def ask(self) -> None:
        self.asked += 1


DANA = {"name": "Dana Whitfield", "contact": "555 0134", "problem": "She cannot log in."}


async def test_a_problem_is_written_down_and_can_be_asked_for(desk: Desk) -> None:
    told = await run_tool(open_ticket, desk, **DANA, tried="a new password")
    assert told["written_down"]
    [found] = (await run_tool(ticket_status, desk, contact="(555) 01 34"))["tickets"]
    assert found == {
        "ticket": told["ticket"],
        "problem": DANA["problem"],
        "since": "Friday 2026-11-20",
        "status": "a colleague works on it",
    }
    assert (await run_tool(ticket_status, desk, contact="555 9999"))["tickets"] == []


async def test_the_same_problem_is_one_ticket_also_when_it_is_told_twice_at_once(
    desk: Desk,
) -> None:
    told = await asyncio.gather(*(run_tool(open_ticket, desk, **DANA) for _ in range(8)))
    assert len({answer["ticket"] for answer in told}) == 1


async def test_a_problem_that_comes_back_is_a_new_ticket(desk: Desk) -> None:
    tickets = Tickets(desk)
    first = await tickets.open(**DANA, tried="")
    first.solved_at = desk.clock()
    async with desk.session() as session:
        await session.merge(first)
    second = await tickets.open(**DANA, tried="")
    statuses = [row.spoken()["status"] for row in await tickets.of(DANA["contact"])]
    assert second.id != first.id
    assert statuses == ["a colleague works on it", "solved"]


async def test_a_caller_is_handed_over_once(desk: Desk) -> None:
    ticket = (await run_tool(open_ticket, desk, **DANA))["ticket"]
    asked = {"ticket": ticket, "reason": "wants to talk to a person"}
    told = await asyncio.gather(*(run_tool(hand_over, desk, **asked) for _ in range(4)))
    assert all(answer["handed_over"] for answer in told)
    async with desk.session() as session:
        assert await session.scalar(select(func.count()).select_from(Handoff)) == 1


async def test_who_has_not_come_by_phone_is_called_back(desk: Desk) -> None:
    ticket = (await run_tool(open_ticket, desk, **DANA))["ticket"]
    told = await run_tool(hand_over, desk, ticket=ticket, reason="wants to talk to a person")
    assert told == {"handed_over": True, "ticket": ticket, "called_back": "within an hour"}


async def test_who_has_is_put_through_when_that_is_written_down(desk: Desk) -> None:
    transfer = Switch()
    asked = {"ticket": 1, "reason": "wants to talk to a person", "transfer": transfer}
    assert (await run_tool(hand_over, desk, **asked))["error"] == "not_found"
    assert not transfer.asked
    await run_tool(open_ticket, desk, **DANA)
    told = await run_tool(hand_over, desk, **asked)
    assert (told["handed_over"], told["put_through_now"]) == (True, True)
    assert "called_back" not in told
    assert transfer_in(told) is None, "to no specialist"
    assert transfer.asked == 1
    async with desk.session() as session:
        assert await session.scalar(select(func.count()).select_from(Handoff)) == 1


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"name": ""}, "name_missing"),
        ({"problem": " "}, "problem_missing"),
        ({"contact": "here"}, "contact_unclear"),
    ],
)
async def test_a_ticket_that_lacks_something_is_refused_with_what_to_ask(
    desk: Desk, change: dict[str, Any], error: str
) -> None:
    told = await run_tool(open_ticket, desk, **{**DANA, **change})
    assert told["error"] == error
    assert told["ask"]


async def test_nobody_is_handed_over_without_a_ticket(desk: Desk) -> None:
    with pytest.raises(Refusal) as refused:
        await Tickets(desk).hand_over(1, "angry")
    assert refused.value.code == "not_found"


async def test_what_is_known_to_be_wrong_is_told_with_what_to_do(desk: Desk) -> None:
    assert (await run_tool(known_issues, desk))["known_issues"] == KNOWN_ISSUES
