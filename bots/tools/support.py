"""The tools of technical support: known issues, tickets, and handing a caller over to a person."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pipecat.services.llm_service import FunctionCallParams
from sqlalchemy import ForeignKey, Index, select, text
from sqlalchemy.orm import Mapped, mapped_column

from bots.tools.contact import contact_key
from bots.tools.desk import Desk, Refusal, Result, Table, desk_of, tool, transfer_of
from bots.trust import read_only

KNOWN_ISSUES: Mapping[str, str] = {
    "The app for Android closes when a photo is added to an invoice.": (
        "Add the photo in the browser. A new version of the app comes on Thursday."
    ),
    "Invoices in Spanish show the date in the English form.": (
        "Choose the form of dates by hand in the settings, under Language."
    ),
    "Some banks turn down card payments of more than two thousand dollars.": (
        "The customer can pay in two parts, or confirm the payment in the app of the bank."
    ),
}
"""What is wrong at the moment, and what to do until it is mended."""

PUT_THROUGH = (
    "Tell the caller in one short sentence that you put them through to a person now. Ask nothing."
)

_OPEN = text("solved_at IS NULL")


class Ticket(Table):
    """A problem that somebody works on."""

    __tablename__ = "tickets"

    id: Mapped[int] = mapped_column(primary_key=True)
    contact_key: Mapped[str] = mapped_column(index=True)
    contact: Mapped[str]
    name: Mapped[str]
    problem: Mapped[str]
    tried: Mapped[str]
    created_at: Mapped[datetime]
    solved_at: Mapped[datetime | None]

    __table_args__ = (
        Index(
            "one_ticket_for_each_problem",
            "contact_key",
            "problem",
            unique=True,
            sqlite_where=_OPEN,
            postgresql_where=_OPEN,
        ),
    )

    def spoken(self) -> dict[str, Any]:
        """Return what a bot tells about this ticket."""
        return {
            "ticket": self.id,
            "problem": self.problem,
            "since": f"{self.created_at:%A %Y-%m-%d}",
            "status": "solved" if self.solved_at else "a colleague works on it",
        }


class Handoff(Table):
    """A caller whom a person is to talk to."""

    __tablename__ = "handoffs"

    id: Mapped[int] = mapped_column(primary_key=True)
    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id"), unique=True)
    reason: Mapped[str]
    created_at: Mapped[datetime]


class Tickets:
    """The tickets.

    Args:
        desk: Where they are written.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def open(self, *, name: str, contact: str, problem: str, tried: str) -> Ticket:
        """Write down a problem; the same problem of the same contact is one ticket until solved.

        Raises:
            Refusal: If something is missing (`name_missing`, `problem_missing`, `contact_unclear`).
        """
        if not name.strip():
            raise Refusal("name_missing", "Ask for the caller's name.")
        if not problem.strip():
            raise Refusal("problem_missing", "Ask what does not work.")
        row = Ticket(
            contact_key=contact_key(contact),
            contact=contact.strip(),
            name=name.strip(),
            problem=problem.strip(),
            tried=tried.strip(),
            created_at=self._desk.clock(),
        )
        same = select(Ticket).where(
            Ticket.contact_key == row.contact_key,
            Ticket.problem == row.problem,
            Ticket.solved_at.is_(None),
        )
        return await self._desk.insert_once(row, same)

    async def of(self, contact: str) -> list[Ticket]:
        """Return the tickets of a mail address or phone number, the newest first.

        Raises:
            Refusal: If it is neither (`contact_unclear`).
        """
        query = select(Ticket).where(Ticket.contact_key == contact_key(contact))
        async with self._desk.session() as session:
            return list(await session.scalars(query.order_by(Ticket.id.desc())))

    async def hand_over(self, ticket_id: int, reason: str) -> Handoff:
        """Write down that a person is to talk to the caller; once for each ticket.

        Raises:
            Refusal: If there is no such ticket (`not_found`).
        """
        async with self._desk.session() as session:
            if not await session.get(Ticket, ticket_id):
                raise Refusal("not_found", "Open a ticket first.")
        row = Handoff(ticket_id=ticket_id, reason=reason.strip(), created_at=self._desk.clock())
        same = select(Handoff).where(Handoff.ticket_id == ticket_id)
        return await self._desk.insert_once(row, same)


@read_only
@tool
async def known_issues(params: FunctionCallParams) -> Result:
    """Tell what is known to be wrong at the moment, and what callers can do until it is mended."""
    return {"known_issues": dict(KNOWN_ISSUES)}


@tool
async def open_ticket(
    params: FunctionCallParams, name: str, contact: str, problem: str, tried: str = ""
) -> Result:
    """Write down a problem that could not be solved in this call, so that somebody works on it.

    Args:
        params: The call in progress.
        name: The caller's name.
        contact: The caller's mail address or phone number.
        problem: What does not work, in one sentence.
        tried: What has been tried already. Leave empty if nothing was.
    """
    tickets = Tickets(desk_of(params))
    row = await tickets.open(name=name, contact=contact, problem=problem, tried=tried)
    return {"written_down": True, **row.spoken()}


@read_only
@tool
async def ticket_status(params: FunctionCallParams, contact: str) -> Result:
    """Find the tickets of a caller, and whether they are solved.

    Args:
        params: The call in progress.
        contact: The mail address or phone number that the ticket was opened with.
    """
    rows = await Tickets(desk_of(params)).of(contact)
    return {"tickets": [row.spoken() for row in rows]}


@tool
async def hand_over(params: FunctionCallParams, ticket: int, reason: str) -> Result:
    """Have a person talk to the caller: when they ask for one, or when you cannot help.

    The result says whether the caller is put through now, or called back.

    Args:
        params: The call in progress.
        ticket: The number of the caller's ticket; open one first if there is none.
        reason: Why a person is needed, in a few words.
    """
    row = await Tickets(desk_of(params)).hand_over(ticket, reason)
    told = {"handed_over": True, "ticket": row.ticket_id}
    if transfer := transfer_of(params):
        transfer.ask()
        return {**told, "put_through_now": True, "next": PUT_THROUGH}
    return {**told, "called_back": "within an hour"}


SUPPORT_TOOLS = (known_issues, open_ticket, ticket_status, hand_over)
