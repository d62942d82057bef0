"""What is made from a model once and kept for the next start."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory


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
