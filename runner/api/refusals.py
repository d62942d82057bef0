"""What the OpenAPI document says of errors: the one shape, and which may come from where."""

from collections import defaultdict
from typing import Any

from pydantic import BaseModel

from bots.errors import DatabaseUnavailable, ParlanteError
from bots.registry import UnknownBot
from runner.errors import (
    BodyTooLarge,
    InvalidRequest,
    KeySetUnavailable,
    Overloaded,
    ProcessUnavailable,
    RoomUnavailable,
    ServiceDraining,
    SessionLimitExceeded,
    SessionNotFound,
    SessionsDisabled,
    StartRateExceeded,
    TransportUnavailable,
    Unauthenticated,
    http_status,
)


class Problem(BaseModel):
    """What is wrong.

    Attributes:
        code: Names the kind of error.
        message: Tells what to do.
        retryable: Whether the same request may work later.
    """

    code: str
    message: str
    retryable: bool


class Refusal(BaseModel):
    """An error; `info` and `detail` repeat its message, because Pipecat's clients show these."""

    error: Problem
    info: str
    detail: str


def refusals(*kinds: type[ParlanteError]) -> dict[int | str, dict[str, Any]]:
    """Return what FastAPI takes as `responses` of a route that raises errors of these kinds."""
    raised: tuple[type[ParlanteError], ...] = (*kinds, InvalidRequest, BodyTooLarge)
    of_status = defaultdict(list)
    for kind in dict.fromkeys(raised):
        [meaning, *_] = (kind.__doc__ or "").splitlines()
        of_status[http_status(kind)].append(f"`{kind.code}`: {meaning}")
    return {
        status: {"model": Refusal, "description": " ".join(told)}
        for status, told in of_status.items()
    }


def refusals_of_stream(*kinds: type[ParlanteError]) -> dict[int | str, dict[str, Any]]:
    """Return the same for a route whose answer is a stream: what FastAPI takes for its refusals."""
    schema = {"$ref": "#/components/schemas/Refusal"}
    return {
        status: {
            "description": refusal["description"],
            "content": {"application/json": {"schema": schema}},
        }
        for status, refusal in refusals(*kinds).items()
    }


TO_CALLERS = (Unauthenticated, KeySetUnavailable, DatabaseUnavailable)
"""Wherever it matters who is asking."""

OF_SESSIONS = (*TO_CALLERS, SessionNotFound)
"""Where a session is asked for by its name."""

OF_STARTS = (
    *TO_CALLERS,
    UnknownBot,
    SessionLimitExceeded,
    StartRateExceeded,
    Overloaded,
    ServiceDraining,
    SessionsDisabled,
    TransportUnavailable,
    RoomUnavailable,
    ProcessUnavailable,
)
"""Where a session is started."""
