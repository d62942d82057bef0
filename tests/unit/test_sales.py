"""What the sales desk's tools tell and write down."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import select

from bots.tools.contact import contact_key
from bots.tools.desk import Desk, Refusal
from bots.tools.sales import PLANS, Lead, plans, quote, save_lead
from tests.tools import run_tool


async def leads(desk: Desk) -> list[Lead]:
    async with desk.session() as session:
        return list(await session.scalars(select(Lead)))


DANA = {"name": "Dana Whitfield", "contact": "dana@example.com", "needs": "invoices"}


async def test_prices_are_worked_out_by_the_tool(desk: Desk) -> None:
    told = await run_tool(quote, desk, plan="team", users=5)
    assert told == {"plan": "Team", "users": 5, "dollars_a_month": 95}
    told = await run_tool(quote, desk, plan="Business", users=12, by_the_year=True)
    assert told == {"plan": "Business", "users": 12, "dollars_a_year": 4680}


@pytest.mark.parametrize(
    ("plan", "users", "error"),
    [("gold", 1, "unknown_plan"), ("Team", 11, "wrong_users"), ("Solo", 0, "wrong_users")],
)
async def test_what_cannot_be_bought_is_refused_with_what_to_ask(
    desk: Desk, plan: str, users: int, error: str
) -> None:
    told = await run_tool(quote, desk, plan=plan, users=users)
    assert told["error"] == error
    assert told["ask"]


async def test_plans_are_told_with_their_prices(desk: Desk) -> None:
    told = (await run_tool(plans, desk))["plans"]
    assert told["Solo"]["dollars_a_month_for_each_user"] == PLANS["Solo"].dollars
    assert told["Business"]["most_users"] == "any number"


async def test_who_is_interested_is_written_down_once(desk: Desk) -> None:
    assert (await run_tool(save_lead, desk, **DANA))["written_down"]
    again = {**DANA, "contact": "Dana at example dot com", "plan": "team", "users": 4}
    await run_tool(save_lead, desk, **again)
    [row] = await leads(desk)
    assert (row.name, row.plan, row.users) == ("Dana Whitfield", "Team", 4)


async def test_who_is_written_down_twice_at_once_is_there_once(desk: Desk) -> None:
    await asyncio.gather(*(run_tool(save_lead, desk, **DANA) for _ in range(8)))
    assert len(await leads(desk)) == 1


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"name": " "}, "name_missing"),
        ({"contact": "my office"}, "contact_unclear"),
        ({"plan": "gold"}, "unknown_plan"),
    ],
)
async def test_nobody_is_written_down_by_halves(
    desk: Desk, change: dict[str, Any], error: str
) -> None:
    assert (await run_tool(save_lead, desk, **{**DANA, **change}))["error"] == error
    assert not await leads(desk)


@pytest.mark.parametrize(
    ("spoken", "key"),
    [
        ("dana@example.com", "dana@example.com"),
        ("Dana dot Whitfield at example dot com", "dana.whitfield@example.com"),
        ("dana dash w at my-shop dot example", "dana-w@my-shop.example"),
        ("(555) 01-34", "5550134"),
        ("+1 555 0134", "15550134"),
    ],
)
def test_contacts_are_the_same_however_they_are_said(spoken: str, key: str) -> None:
    assert contact_key(spoken) == key


@pytest.mark.parametrize("spoken", ["", "at home", "12 34", "dana at example"])
def test_what_is_no_contact_is_asked_for_again(spoken: str) -> None:
    with pytest.raises(Refusal) as refused:
        contact_key(spoken)
    assert refused.value.code == "contact_unclear"
