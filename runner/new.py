"""`python -m runner new bot|processor NAME`: writes one that works, with its test."""

import keyword
import re
from pathlib import Path
from string import Template

from bots.errors import ParlanteError

TEMPLATES = Path(__file__).parent / "templates"
NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")


class NotWritten(ParlanteError):
    """A file cannot be written there, or under that name."""

    code = "NOT_WRITTEN"


def write_bot(root: Path, name: str) -> list[Path]:
    """Write a bot with its facts, and offer it in voice.yaml.

    Args:
        root: A checkout of Parlante.
        name: The bot's.

    Returns:
        The files that are new or changed.

    Raises:
        NotWritten: If there is something of that name, the name cannot be one of a module, or
            `root` is no checkout.
    """
    settings = root / "voice.yaml"
    files = {
        root / "bots" / f"{name}.py": "bot.py",
        _test(root, name): "test_bot.py",
        root / "bots" / "knowledge" / f"{name}.md": "knowledge.md",
    }
    _check(root, name, files)
    offered = with_bot(settings.read_text("utf-8"), name)
    _write(files, name)
    settings.write_text(offered, "utf-8")
    return [*files, settings]


def write_processor(root: Path, name: str) -> list[Path]:
    """Write a processor.

    Args:
        root: A checkout of Parlante.
        name: The processor's; its class is called the same in CapWords.

    Returns:
        The files that are new.

    Raises:
        NotWritten: As `write_bot` does.
    """
    files = {
        root / "processors" / f"{name}.py": "processor.py",
        _test(root, name): "test_processor.py",
    }
    _check(root, name, files)
    _write(files, name)
    return list(files)


def with_bot(settings: str, name: str) -> str:
    """Return the text of voice.yaml with one bot more, and all else as it was.

    Raises:
        NotWritten: If there is no place for it.
    """
    lines = settings.splitlines(keepends=True)
    starts = [number for number, line in enumerate(lines) if line.startswith("bots:")]
    if not starts:
        raise NotWritten(f"voice.yaml has no `bots:`: add `{name}: {{module: bots.{name}}}` there")
    end = start = starts[0] + 1
    for number, line in enumerate(lines[start:], start):
        if line.strip() and not line.startswith(" "):
            break
        if line.strip():
            end = number + 1
    return "".join([*lines[:end], f"  {name}:\n    module: bots.{name}\n", *lines[end:]])


def _test(root: Path, name: str) -> Path:
    return root / "tests" / "unit" / f"test_{name}.py"


def _check(root: Path, name: str, files: dict[Path, str]) -> None:
    if not NAME.fullmatch(name) or keyword.iskeyword(name):
        raise NotWritten(f"'{name}' cannot be the name of a module: use small letters, digits, _")
    if not (root / "voice.yaml").is_file() or not (root / "bots").is_dir():
        raise NotWritten("there is no voice.yaml and no bots/ here: go to a checkout of Parlante")
    for file in files:
        if file.exists():
            raise NotWritten(f"{file.relative_to(root)} is there already: choose another name")


def _write(files: dict[Path, str], name: str) -> None:
    words = {"name": name, "class_name": "".join(part.capitalize() for part in name.split("_"))}
    for file, template in files.items():
        text = (TEMPLATES / f"{template}.txt").read_text("utf-8")
        file.write_text(Template(text).substitute(words), "utf-8")
