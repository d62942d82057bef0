"""What a user wants of every session that they start."""

from fastapi import APIRouter

from bots.config import ServiceWishes
from runner.api.deps import Caller, Records, Sessions

router = APIRouter(prefix="/voice/realtime", tags=["Sessions"])


@router.get("/config")
async def config(caller: Caller, records: Records) -> ServiceWishes:
    """Return what whoever asks wants of every session; null leaves it to `voice.yaml`."""
    return ServiceWishes(**await records.config_of(caller.user))


@router.put("/config")
async def configure(
    caller: Caller, records: Records, sessions: Sessions, wishes: ServiceWishes
) -> ServiceWishes:
    """Keep what whoever asks wants of every session, from the next one on."""
    sessions.check_wishes(wishes)
    await records.configure(caller.user, wishes.model_dump(exclude_none=True))
    return wishes
