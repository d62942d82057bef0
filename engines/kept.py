"""What is made from a model once and kept for the next start."""

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

KEPT_SECS = 30 * 24 * 3600
"""What is in a folder is kept for so long after it was last used."""


def kept_stem(source: Path) -> str:
    """Return what to begin the name of a kept file with: another one for each state of `source`.

    Raises:
        OSError: If `source` cannot be read.
    """
    stat = source.stat()
    return f"{source.stem}-{stat.st_size:x}-{stat.st_mtime_ns:x}"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield where to write a file or folder that appears at once, when it is whole.

    Raises:
        OSError: If it cannot be written; nothing of it stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=path.parent) as folder:
        part = Path(folder) / path.name
        yield part
        try:
            part.rename(path)
        except OSError:
            # Another process may have been faster.
            if not path.exists():
                raise


def delete_older(source: Path, made: Sequence[Path]) -> None:
    """Delete what was made of a model in another state of it, or by another version.

    Args:
        source: The model's file.
        made: The files that were made of it now, in one folder, with names by `kept_stem`.
    """
    state = "-[0-9a-f]+-[0-9a-f]+"
    name = re.compile(rf"{re.escape(source.stem)}{state}(\.\w+)?{re.escape(source.suffix)}")
    with suppress(OSError):
        for file in made[0].parent.iterdir():
            if name.fullmatch(file.name) and file not in made:
                file.unlink(missing_ok=True)


def open_folder(kept: Path, source: Path, kind: str, version: str) -> Path | None:
    """Make a folder for what is made with a model, file by file; delete what is old.

    Args:
        kept: Where the folder is to be.
        source: The model's file.
        kind: A word for what is in the folder. Of the same kind, files that nobody has used for
            `KEPT_SECS` are deleted, whatever they were made with.
        version: Of what makes it; another one has another folder.

    Returns:
        The folder; None if it cannot be written.
    """
    try:
        folder = kept / f"{kept_stem(source)}-{kind}-{version}"
        folder.mkdir(parents=True, exist_ok=True)
        for file in kept.glob(f"*-{kind}-*/*"):
            if time.time() - file.stat().st_atime > KEPT_SECS:
                file.unlink(missing_ok=True)
    except OSError:
        return None
    return folder
