"""The files of a model on the disk: what they are called, how big and how right they are."""

import hashlib
from pathlib import Path

from bots.models.manifest import ModelFile


def part_name(file: ModelFile) -> str:
    """Return the name of a growing file; one with other contents, of another release, differs."""
    return f"{file.name}.{file.sha256[:8]}.part"


def size_of(path: Path) -> int:
    """Return the size of a file in bytes, 0 if there is none that can be seen."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def problem_of(path: Path, file: ModelFile) -> str | None:
    """Read a file and say what is wrong with it, if anything."""
    with path.open("rb") as content:
        sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    if sha256 == file.sha256:
        return None
    return f"{file.name} has sha256 {sha256} instead of {file.sha256} and was removed"
