"""What operators, load balancers and the client's home page ask."""

from datetime import UTC, datetime
from typing import Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel

from bots.config import Mode
from bots.errors import DatabaseUnavailable
from bots.registry import load_bot
from runner.api.deps import Operator, Records, Sessions
from runner.api.refusals import TO_CALLERS, refusals
from runner.errors import Forbidden, Overloaded, ServiceDraining, SessionsDisabled
from runner.last_hour import Minute, ServiceFailures

router = APIRouter(tags=["Operations"])

UNREADY = (SessionsDisabled, ServiceDraining, Overloaded, DatabaseUnavailable)


class Alive(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    """Sessions are taken.

    Attributes:
        sessions: How many hold a line now.
    """

    status: Literal["ready"] = "ready"
    sessions: int


class Draining(BaseModel):
    """The service stops.

    Attributes:
        sessions: How many hold a line still.
    """

    status: Literal["draining"] = "draining"
    sessions: int


class Overview(BaseModel):
    """How the service is, and was within the last hour.

    Attributes:
        is_draining: Whether it takes no more sessions, because it stops.
        sessions: How many hold a line now.
        lines: How many lines there are.
        minutes: Those in which there was an answer or a failure, the oldest first.
        failures: The services that have failed, the last to fail first.
    """

    at: datetime
    is_draining: bool
    sessions: int
    lines: int
    minutes: list[Minute]
    failures: list[ServiceFailures]


class Agent(BaseModel):
    """A bot that can be called.

    Attributes:
        modes: How it can be talked with, the usual way first.
    """

    name: str
    description: str
    modes: list[Mode]


class Agents(BaseModel):
    """The bots on offer.

    Attributes:
        default: Who answers a client that names none.
    """

    agents: list[Agent]
    default: str


@router.get("/health")
async def health() -> Alive:
    """Say that the process is alive."""
    return Alive()


@router.get("/ready", responses=refusals(*UNREADY))
async def ready(sessions: Sessions, records: Records) -> Ready:
    """Say that calls are taken: models are loaded, else the service would not listen.

    Raises:
        SessionsDisabled: If the settings let nobody start one.
        ServiceDraining: If the service is about to stop.
        Overloaded: If calls are slow, or the machine is busy.
        DatabaseUnavailable: If the database cannot be reached.
    """
    sessions.check_ready()
    await records.ping()
    return Ready(sessions=sessions.count)


@router.post("/drain", status_code=202, responses=refusals(*TO_CALLERS, Forbidden))
async def drain(_: Operator, sessions: Sessions) -> Draining:
    """Stop the service as SIGTERM does: no more sessions, and calls may end by themselves.

    To ask for it again changes nothing.
    """
    sessions.ask_to_drain()
    return Draining(sessions=sessions.count)


@router.get("/overview", responses=refusals(*TO_CALLERS, Forbidden))
async def overview(_: Operator, sessions: Sessions) -> Overview:
    """Tell an operator how the service is, and was within the last hour."""
    last_hour = sessions.telemetry.last_hour
    return Overview(
        at=datetime.now(UTC),
        is_draining=sessions.is_draining,
        sessions=sessions.count,
        lines=sessions.lines,
        minutes=last_hour.minutes(),
        failures=last_hour.failures(),
    )


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(request: Request) -> Response:
    """Tell Prometheus how long users waited for answers, and what for."""
    page = request.app.state.sessions.telemetry.page()
    return Response(page, media_type=CONTENT_TYPE_LATEST)


@router.get("/agents")
async def agents(request: Request) -> Agents:
    """List the bots."""
    settings = request.app.state.resources.settings
    bots = {name: load_bot(name, settings) for name in settings.bots}
    return Agents(
        agents=[
            Agent(name=name, description=bot.description, modes=bot.modes_in(settings))
            for name, bot in bots.items()
        ],
        default=settings.default_bot,
    )
