"""What routes ask for by its type: who is asking, a body, and the parts of the service."""

from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict
from starlette.requests import HTTPConnection

from runner.auth import Gate, Principal
from runner.errors import Forbidden, SessionNotFound
from runner.session import session_id_of
from runner.sessions import SessionManager
from runner.store import Store
from runner.tables import SessionRow

_API_KEY = APIKeyHeader(name="X-API-Key", auto_error=False)
_BEARER = HTTPBearer(auto_error=False, description="An API key or a JSON Web Token.")


async def _caller(
    request: Request,
    api_key: Annotated[str | None, Security(_API_KEY)],
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)],
) -> Principal:
    gate: Gate = request.app.state.gate
    return await gate.admit(api_key, bearer.credentials if bearer else None, request.headers)


# FastAPI takes functions that are not async to a thread, which is two switches for each request.
async def _sessions(connection: HTTPConnection) -> SessionManager:
    manager: SessionManager = connection.app.state.sessions
    return manager


async def _store(connection: HTTPConnection) -> Store:
    store: Store = connection.app.state.store
    return store


class Body(BaseModel):
    """What comes in a request, of the very types that the API describes."""

    model_config = ConfigDict(strict=True)


Caller = Annotated[Principal, Depends(_caller)]
"""Who is asking; nobody gets past it without a key, where keys are needed."""


async def _operator(caller: Caller) -> Principal:
    if not caller.is_operator:
        raise Forbidden("only operators may do that: use a key that was made with --operator")
    return caller


Operator = Annotated[Principal, Depends(_operator)]
"""The same, of operators only."""

Sessions = Annotated[SessionManager, Depends(_sessions)]
Records = Annotated[Store, Depends(_store)]


async def _seen(
    caller: Caller, sessions: Sessions, records: Records, session_id: str
) -> SessionRow:
    row = await records.session(session_id_of(session_id))
    if row is None or not caller.may_see(row.user_id):
        raise SessionNotFound("there never was such a session")
    if row.ended_at is None and row.id not in sessions.here:
        # Its end is being written, or has been since it was looked up.
        await sessions.until_written(row.id)
        row = await records.session(row.id) or row
    return row


Seen = Annotated[SessionRow, Depends(_seen)]
"""The session of the path, which whoever asks may know of; to others, there is none."""
