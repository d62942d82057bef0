"""Where the sound of sessions is kept: a folder for each, in it a file for each of its calls."""

from collections.abc import Iterable, Iterator
from pathlib import Path

CHUNK_BYTES = 64 * 1024


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
