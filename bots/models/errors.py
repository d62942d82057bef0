"""What can go wrong with a model; each error says which command mends it.

ModelError
├── ModelUnknown          the manifest has no such model or set
├── ModelMissing          models are not wholly on this machine
├── ModelSourceFailed     no source could deliver the model
├── ModelCorrupt          what was delivered or kept is not what the manifest says
└── ModelStoreUnusable    the directory cannot be read or written
"""

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from bots.errors import ParlanteError
from bots.models.directory import default_models_dir


class ModelError(ParlanteError):
    """A model cannot be had or used."""

    code = "MODEL_ERROR"


class ModelUnknown(ModelError):
    """The manifest has no such model or set."""

    code = "MODEL_UNKNOWN"

    def __init__(self, name: str, known: Iterable[str]) -> None:
        super().__init__(f"there is no model '{name}'. Choose one of: {', '.join(known)}")


class ModelMissing(ModelError):
    """Models are not wholly on this machine.

    Args:
        names: Which.
        directory: Where they should be.
    """

    code = "MODEL_MISSING"

    def __init__(self, names: Sequence[str], directory: Path) -> None:
        quoted = ", ".join(f"'{name}'" for name in names)
        what = f"models {quoted} are" if len(names) > 1 else f"model {quoted} is"
        super().__init__(f"{what} not in {directory}. Run: {_pull_command(names, directory)}")
        self.names = tuple(names)


class ModelSourceFailed(ModelError):
    """No source could deliver the model.

    Args:
        name: The model.
        directory: Where it was to be kept.
        failures: One line for each source: which, and what it said.
    """

    code = "MODEL_SOURCE_FAILED"

    def __init__(self, name: str, directory: Path, failures: Sequence[str]) -> None:
        super().__init__(
            f"model '{name}' could not be fetched:\n{_bullets(failures)}"
            f"Check the network and run: {_pull_command([name], directory)}"
        )
        self.failures = tuple(failures)


class ModelCorrupt(ModelError):
    """What was delivered or kept is not what the manifest says; it has been removed.

    Args:
        name: The model.
        directory: Where it is kept.
        problems: One line for each file or source.
    """

    code = "MODEL_CORRUPT"

    def __init__(self, name: str, directory: Path, problems: Sequence[str]) -> None:
        super().__init__(
            f"model '{name}' is not what the manifest says:\n{_bullets(problems)}"
            f"Run: {_pull_command([name], directory)} (if that does not help, the source has "
            "changed: update Parlante)"
        )
        self.problems = tuple(problems)


class ModelStoreUnusable(ModelError):
    """The directory cannot be read or written."""

    code = "MODEL_STORE_UNUSABLE"

    def __init__(self, directory: Path, error: OSError) -> None:
        super().__init__(
            f"{directory}: {error.strerror or error}. "
            "Make room or mend the permissions, or choose another directory with --dir"
        )


def _bullets(lines: Iterable[str]) -> str:
    return "".join(f"  - {line}\n" for line in lines)


def _pull_command(names: Sequence[str], directory: Path) -> str:
    command = f"python -m runner models pull {' '.join(names)}"
    if directory == default_models_dir():
        return command
    return f"{command} --dir {shlex.quote(str(directory))}"
