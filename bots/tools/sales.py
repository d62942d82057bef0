"""The tools of a software company's sales desk: plans, what they cost, and who is interested."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pipecat.services.llm_service import FunctionCallParams
from sqlalchemy import select
from sqlalchemy.orm import Mapped, mapped_column

from bots.tools.contact import contact_key
from bots.tools.desk import Desk, Refusal, Result, Table, desk_of, tool
from bots.trust import read_only

MONTHS_PAID_BY_THE_YEAR = 10
"""Of twelve."""


@dataclass(frozen=True)
class Plan:
    """What can be bought.

    Attributes:
        dollars: For each user and month.
        most_users: How many may use it; None for any number.
        features: What is in it beyond the plan before.
    """

    dollars: int
    most_users: int | None
    features: tuple[str, ...]


PLANS: Mapping[str, Plan] = {
    "Solo": Plan(9, 1, ("any number of invoices and customers", "card payments", "tax reports")),
    "Team": Plan(19, 10, ("estimates", "recurring invoices", "reminders")),
    "Business": Plan(39, None, ("roles", "approvals", "an API", "phone support")),
}


class Lead(Table):
    """Somebody who is interested."""

    __tablename__ = "leads"

    id: Mapped[int] = mapped_column(primary_key=True)
    contact_key: Mapped[str] = mapped_column(unique=True)
    contact: Mapped[str]
    name: Mapped[str]
    company: Mapped[str]
    needs: Mapped[str]
    plan: Mapped[str]
    users: Mapped[int]
    written_at: Mapped[datetime]


def price(plan: str, users: int, *, yearly: bool) -> dict[str, Any]:
    """Return what a plan costs.

    Raises:
        Refusal: If there is no such plan (`unknown_plan`), or not for so many (`wrong_users`).
    """
    name = next((name for name in PLANS if name.casefold() == plan.strip().casefold()), None)
    if name is None:
        raise Refusal("unknown_plan", f"The plans are {', '.join(PLANS)}. Ask which one.")
    found = PLANS[name]
    if users < 1:
        raise Refusal("wrong_users", "Ask how many people will use it.")
    if found.most_users and users > found.most_users:
        ask = f"{name} is for {found.most_users} at most: offer the next plan."
        raise Refusal("wrong_users", ask)
    monthly = found.dollars * users
    cost = (
        {"dollars_a_year": monthly * MONTHS_PAID_BY_THE_YEAR}
        if yearly
        else {"dollars_a_month": monthly}
    )
    return {"plan": name, "users": users, **cost}


class Leads:
    """Those who are interested.

    Args:
        desk: Where they are written.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def save(
        self, *, name: str, contact: str, company: str, needs: str, plan: str, users: int
    ) -> Lead:
        """Write down somebody who is interested; who is known by the contact is changed.

        Raises:
            Refusal: If the name or the contact is missing (`name_missing`, `contact_unclear`), or
                the plan does not fit (see `price`).
        """
        if not name.strip():
            raise Refusal("name_missing", "Ask for the caller's name.")
        lead = Lead(
            contact_key=contact_key(contact),
            contact=contact.strip(),
            name=name.strip(),
            company=company.strip(),
            needs=needs.strip(),
            plan=price(plan, users, yearly=False)["plan"] if plan.strip() else "",
            users=users,
            written_at=self._desk.clock(),
        )
        known = select(Lead).where(Lead.contact_key == lead.contact_key)
        there = await self._desk.insert_once(lead, known)
        if there is lead:
            return lead
        lead.id = there.id
        async with self._desk.session() as session:
            return await session.merge(lead)


@read_only
@tool
async def plans(params: FunctionCallParams) -> Result:
    """Tell which plans of the software there are, with their prices and what is in them."""
    return {
        "plans": {
            name: {
                "dollars_a_month_for_each_user": plan.dollars,
                "most_users": plan.most_users or "any number",
                "adds": plan.features,
            }
            for name, plan in PLANS.items()
        },
        "by_the_year": "two months are free",
        "trial": "thirty days, without a credit card",
    }


@read_only
@tool
async def quote(
    params: FunctionCallParams, plan: str, users: int, by_the_year: bool = False
) -> Result:
    """Work out what a plan costs for a number of users. Never work it out yourself.

    Args:
        params: The call in progress.
        plan: Solo, Team or Business.
        users: How many people will use it.
        by_the_year: Whether they pay for a year at once, which is cheaper.
    """
    return price(plan, users, yearly=by_the_year)


@tool
async def save_lead(
    params: FunctionCallParams,
    name: str,
    contact: str,
    needs: str,
    company: str = "",
    plan: str = "",
    users: int = 1,
) -> Result:
    """Write down a caller who is interested, so that a colleague gets in touch.

    Call it when the caller has agreed, and has given a name and a mail address or phone number.

    Args:
        params: The call in progress.
        name: The caller's name.
        contact: The caller's mail address or phone number.
        needs: What they need it for, in a few words.
        company: The caller's company. Leave empty if none was named.
        plan: The plan they want. Leave empty if they do not know yet.
        users: How many people will use it.
    """
    row = await Leads(desk_of(params)).save(
        name=name, contact=contact, company=company, needs=needs, plan=plan, users=users
    )
    return {"written_down": True, "name": row.name, "contact": row.contact}


SALES_TOOLS = (plans, quote, save_lead)
