"""What operators, load balancers and the client's home page ask."""

import signal
from typing import Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel

from bots.config import Mode
from bots.errors import DatabaseUnavailable
from bots.registry import load_bot
from runner.api.deps import Caller, Records, Sessions
from runner.api.refusals import TO_CALLERS, refusals
from runner.errors import Forbidden, Overloaded, ServiceDraining, SessionsDisabled

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
async def drain(caller: Caller, sessions: Sessions) -> Draining:
    """Stop the service as SIGTERM does: no more sessions, and calls may end by themselves.

    Raises:
        Forbidden: If the caller is no operator.
    """
    if not caller.is_operator:
        raise Forbidden("only operators may stop the service")
    signal.raise_signal(signal.SIGTERM)
    return Draining(sessions=sessions.count)


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
