"""What a user wants of every session that they start."""

from fastapi import APIRouter

from bots.config import ServiceWishes
from runner.api.deps import Body, Caller, Records, Sessions
from runner.api.refusals import TO_CALLERS, refusals

router = APIRouter(prefix="/voice/realtime", tags=["Sessions"])


class Wishes(Body, ServiceWishes):
    """Which models and voice answer, of the providers that the profile has chosen."""


@router.get("/config", responses=refusals(*TO_CALLERS))
async def config(caller: Caller, records: Records) -> ServiceWishes:
    """Return what whoever asks wants of every session; null leaves it to `voice.yaml`."""
    return ServiceWishes(**await records.config_of(caller.user))


@router.put("/config", responses=refusals(*TO_CALLERS))
async def configure(
    caller: Caller, records: Records, sessions: Sessions, wishes: Wishes
) -> ServiceWishes:
    """Keep what whoever asks wants of every session, from the next one on."""
    sessions.check_wishes(wishes)
    await records.configure(caller.user, wishes.model_dump(exclude_none=True))
    return wishes
