"""What happens in a session, as it happens."""

from collections.abc import AsyncIterator
from contextlib import nullcontext
from datetime import UTC, datetime

from fastapi import APIRouter
from fastapi.sse import EventSourceResponse, ServerSentEvent

from runner.api.deps import Records, Seen, Sessions
from runner.api.refusals import OF_SESSIONS, refusals_of_stream
from runner.happenings import Happening, happening

router = APIRouter(prefix="/voice/realtime", tags=["Sessions"])


@router.get(
    "/session/{session_id}/events",
    response_class=EventSourceResponse,
    responses=refusals_of_stream(*OF_SESSIONS),
)
async def session_events(
    row: Seen, records: Records, sessions: Sessions
) -> AsyncIterator[ServerSentEvent]:
    """Tell what has happened in a session, and then what happens, until it has ended.

    Whoever reads too slowly is cut off, and may come again.
    """
    journal = sessions.journal(row.id)
    with journal.audience.follow() if journal else nullcontext() as follower:
        if journal:
            # What is on its way to the store is neither there yet, nor told to who has just come.
            await journal.written()
        past = [happening(it) for it in await records.happenings(row.id)]
        told = {(it.sequence, it.at) for it in past}
        for before in past:
            yield _event(before)
        state = sessions.presence(row.id).state
        yield _event(Happening("state", datetime.now(UTC), {"state": state.value}))
        if follower:
            async for now in follower:
                # As stored, the same may look different: it is told apart by when it was.
                if (now.sequence, now.at) not in told:
                    yield _event(now)


def _event(it: Happening) -> ServerSentEvent:
    data = {"at": it.at, "sequence": it.sequence, "data": it.data}
    return ServerSentEvent(event=it.kind, data=data)
