"""Sessions, for whoever builds on the service."""

from enum import StrEnum

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse, Response

from runner import sessions
from runner.api.deps import Caller, Records
from runner.errors import SessionNotFound
from runner.transcripts import Transcript, to_text, to_vtt, transcript

router = APIRouter(prefix="/voice/realtime", tags=["Sessions"])


class TranscriptFormat(StrEnum):
    """How a transcript is written."""

    JSON = "json"
    TEXT = "txt"
    VTT = "vtt"


@router.get(
    "/session/{session_id}/transcript",
    response_model=Transcript,
    responses={200: {"content": {"text/plain": {}, "text/vtt": {}}}},
)
async def session_transcript(
    caller: Caller,
    records: Records,
    session_id: str,
    format: TranscriptFormat = TranscriptFormat.JSON,
) -> Transcript | Response:
    """Return what was said and done in a session so far; it stays after the session."""
    history = await records.history(sessions.session_id(session_id))
    if history is None or not caller.may_see(history.session.user_id):
        raise SessionNotFound("there never was such a session")
    whole = transcript(history)
    match format:
        case TranscriptFormat.TEXT:
            return PlainTextResponse(to_text(whole))
        case TranscriptFormat.VTT:
            return Response(to_vtt(whole), media_type="text/vtt")
    return whole
