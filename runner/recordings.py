"""Where the sound of sessions is kept: a folder for each, in it a file for each of its calls."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel

CHUNK_BYTES = 64 * 1024


class RecordedCall(BaseModel):
    """The sound of one call of a session.

    Attributes:
        size: How many bytes of the whole it is; the calls follow each other.
        until: When its last sound was written, which is done by the second while it goes on.
    """

    size: int
    until: datetime


def recorded_calls(data_dir: Path, session_id: str) -> list[RecordedCall]:
    """Return what there is of the sound of a session, in order."""
    files = [path.stat() for path in recordings(data_dir, session_id)]
    return [
        RecordedCall(size=it.st_size, until=datetime.fromtimestamp(it.st_mtime, UTC))
        for it in files
    ]


def recordings(data_dir: Path, session_id: str) -> list[Path]:
    """Return the recordings of a session, in order; none, if it was not recorded."""
    return sorted(_folder(data_dir, session_id).glob("*.ogg"))


def next_recording(data_dir: Path, session_id: str) -> Path:
    """Return where the next call of a session is recorded."""
    number = len(recordings(data_dir, session_id)) + 1
    return _folder(data_dir, session_id) / f"{number:03}.ogg"


def sound_of(paths: Iterable[Path]) -> Iterator[bytes]:
    """Read recordings as one, in chunks: Ogg streams may follow each other (RFC 3533, chaining)."""
    for path in paths:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk


def _folder(data_dir: Path, session_id: str) -> Path:
    return data_dir / "recordings" / session_id
