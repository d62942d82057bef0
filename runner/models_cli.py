"""`python -m runner models list|pull|verify`: what is there, fetch it, check it."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from bots.models import (
    Manifest,
    Model,
    ModelError,
    ModelStatus,
    ModelStore,
    Progress,
    default_models_dir,
    load_manifest,
)

DEFAULT_SET = "default"

_ACTIONS = {
    "list": "show the models and which of them are on this machine",
    "pull": "fetch what is missing; goes on where an earlier pull stopped",
    "verify": "read the files and compare them with the manifest",
}


def add_parser(
    subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]",
) -> argparse.ArgumentParser:
    """Add `models` and its actions, and return its parser; parsed arguments go to `run`."""
    models = subparsers.add_parser("models", help="list, fetch and check the offline models")
    actions = models.add_subparsers(dest="action", required=True)
    for action, explanation in _ACTIONS.items():
        parser = actions.add_parser(action, help=explanation, description=explanation)
        parser.add_argument(
            "names",
            nargs="*",
            metavar="NAME",
            help="a model, or a set: tiny, default or large (default: "
            f"{'all models' if action == 'list' else DEFAULT_SET})",
        )
        parser.add_argument(
            "--dir",
            type=Path,
            metavar="DIR",
            help=f"where models are kept (default: the settings' models_dir, or "
            f"{default_models_dir()})",
        )
    return models


def run(
    args: argparse.Namespace,
    *,
    default_dir: Path | None = None,
    manifest: Manifest | None = None,
) -> int:
    """Do what the arguments say, in the terminal.

    Args:
        args: Made by the parser of `add_parser`.
        default_dir: Where models are kept without `--dir`; None for the user's cache.
        manifest: The models; None for Parlante's.

    Returns:
        The exit code: 0; 1 if a model is missing, wrong or could not be fetched; 130 if the
        user interrupted.
    """
    store = ModelStore(
        (args.dir or default_dir or default_models_dir()).expanduser(), manifest or load_manifest()
    )
    try:
        match args.action:
            case "list":
                _list(store, store.manifest.select(*(args.names or store.manifest.models)))
            case "pull":
                _pull(store, store.manifest.select(*(args.names or [DEFAULT_SET])))
            case "verify":
                return _verify(store, store.manifest.select(*(args.names or [DEFAULT_SET])))
    except ModelError as error:
        print(error.message, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. Run the same command to go on.", file=sys.stderr)
        return 130
    return 0


def _list(store: ModelStore, models: Sequence[Model]) -> None:
    rows = [("NAME", "ROLE", "SIZE", "LICENCE", "SETS", "STATUS")]
    for model in models:
        sets = [name for name, members in store.manifest.sets.items() if model.name in members]
        rows.append(
            (
                model.name,
                model.role,
                _megabytes(model.size_bytes),
                model.licence,
                ", ".join(sets),
                store.status(model.name).value,
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())
    print(f"\nModels are kept in {store.directory}")


def _pull(store: ModelStore, models: Sequence[Model]) -> None:
    missing = [m for m in models if store.status(m.name) is not ModelStatus.PRESENT]
    if missing:
        with _progress_display() as progress:
            for model in missing:
                store.pull(model.name, progress)
    for model in models:
        print(f"{model.name}: present in {store.path(model.name)}")


def _verify(store: ModelStore, models: Sequence[Model]) -> int:
    exit_code = 0
    for model in models:
        try:
            store.verify(model.name)
        except ModelError as error:
            print(error.message, file=sys.stderr)
            exit_code = 1
        else:
            print(f"{model.name}: all {len(model.files)} files are right")
    return exit_code


def _progress_display() -> AbstractContextManager[Progress]:
    return _bars() if sys.stdout.isatty() else nullcontext(_line_printer())


def _line_printer() -> Progress:
    """Print a line for each file as it begins."""
    seen: set[str] = set()

    def show(done_bytes: int, total_bytes: int, label: str) -> None:
        if label not in seen:
            seen.add(label)
            print(f"{label} ({_megabytes(total_bytes)})", flush=True)

    return show


@contextmanager
def _bars() -> Iterator[Progress]:
    """Show a bar for each file."""
    # 0.1 s, which a pull with nothing to do need not wait for.
    from rich.progress import BarColumn, DownloadColumn, TaskID, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    tasks: dict[str, TaskID] = {}
    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn()
    with Bars(*columns) as bars:

        def show(done_bytes: int, total_bytes: int, label: str) -> None:
            if label not in tasks:
                tasks[label] = bars.add_task(label, total=total_bytes)
            bars.update(tasks[label], completed=done_bytes)

        yield show


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:,.1f} MB"
