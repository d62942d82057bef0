"""Which models are on this machine: status, paths, verify, pull.

A file is called by its final name only once its size and sha256 are right, so that a look at
the sizes is enough to know that a model is there.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path

from bots.models.errors import ModelCorrupt, ModelMissing, ModelSourceFailed, ModelStoreUnusable
from bots.models.files import part_name, problem_of, size_of
from bots.models.manifest import Manifest
from bots.models.sources import Progress, Pull

if sys.platform != "win32":
    import fcntl


class ModelStatus(Enum):
    """How much of a model is on this machine."""

    MISSING = "missing"
    """Nothing."""

    PARTIAL = "partial"
    """Some of it: a pull was interrupted and can go on."""

    PRESENT = "present"
    """All of it."""


def _silent(done_bytes: int, total_bytes: int, label: str) -> None:
    pass


class ModelStore:
    """Models in a directory, each in a directory of its name.

    Args:
        directory: Need not exist.
        manifest: The models.
    """

    def __init__(self, directory: Path, manifest: Manifest) -> None:
        self.directory = directory
        self.manifest = manifest
        self._unreachable: dict[str, str] = {}

    def status(self, name: str) -> ModelStatus:
        """Look at the sizes of a model's files.

        Raises:
            ModelUnknown: If there is no such model.
        """
        model = self.manifest.model(name)
        folder = self.directory / name
        if all(size_of(folder / file.name) == file.size_bytes for file in model.files):
            return ModelStatus.PRESENT
        begun = any(
            size_of(folder / file.name) or size_of(folder / part_name(file)) for file in model.files
        )
        return ModelStatus.PARTIAL if begun else ModelStatus.MISSING

    def path(self, name: str) -> Path:
        """Return the directory of a model that is present.

        Raises:
            ModelUnknown: If there is no such model.
            ModelMissing: If it has to be pulled first.
        """
        if self.status(name) is not ModelStatus.PRESENT:
            raise ModelMissing([name], self.directory)
        return self.directory / name

    def file(self, name: str) -> Path:
        """Return the first file of a model that is present: the one that engines open.

        Raises:
            ModelUnknown: If there is no such model.
            ModelMissing: If it has to be pulled first.
        """
        return self.path(name) / self.manifest.model(name).files[0].name

    def verify(self, name: str) -> None:
        """Read all of a model; wrong files are removed, so that a pull brings them anew.

        Raises:
            ModelUnknown: If there is no such model.
            ModelMissing: If it has to be pulled first.
            ModelCorrupt: If a file was wrong.
            ModelStoreUnusable: If a file cannot be read or removed.
        """
        folder = self.path(name)
        with _usable(folder):
            wrong = {
                folder / file.name: problem
                for file in self.manifest.model(name).files
                if (problem := problem_of(folder / file.name, file))
            }
            for path in wrong:
                path.unlink(missing_ok=True)
        if wrong:
            raise ModelCorrupt(name, self.directory, list(wrong.values()))

    def pull(self, name: str, progress: Progress = _silent) -> None:
        """Fetch what is missing of a model; goes on where an earlier pull stopped.

        Of two pulls at once, in whatever processes, the second waits for the first. A host that
        cannot be reached is not asked again in the life of the store: without a network, looking
        up its name alone can take seconds.

        Args:
            name: The model.
            progress: Told of every piece that arrives.

        Raises:
            ModelUnknown: If there is no such model.
            ModelSourceFailed: If no source delivers it; what has arrived is kept.
            ModelCorrupt: If only something else is delivered under its name.
            ModelStoreUnusable: If the directory cannot be written.
        """
        model = self.manifest.model(name)
        if self.status(name) is ModelStatus.PRESENT:
            return
        folder = self.directory / name

        def waiting() -> None:
            progress(0, model.size_bytes, f"{name} (waiting for another pull)")

        with _usable(folder):
            folder.mkdir(parents=True, exist_ok=True)
            with _locked(folder / ".lock", waiting):
                failures = Pull(model, folder, progress, self._unreachable).run()
        said = [str(failure) for failure in failures]
        if any(failure.is_corrupt for failure in failures):
            raise ModelCorrupt(name, self.directory, said)
        if failures:
            raise ModelSourceFailed(name, self.directory, said)


@contextmanager
def _usable(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ModelStoreUnusable(directory, error) from error


@contextmanager
def _locked(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the lock that `path` is, across processes; `waiting` is called if another has it."""
    with path.open("ab") as file:
        if sys.platform != "win32":
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waiting()
                fcntl.flock(file, fcntl.LOCK_EX)
        yield
