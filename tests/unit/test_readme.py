"""The README tells the truth about paths and commands."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from bots.config import BotEntry

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)
EXAMPLES = {"bots/prompts/baker.md", "bots/baker.py", "processors/word_count.py"}


def paths() -> list[str]:
    quoted = re.findall(r"`([\w.][\w./-]*[\w/])`", README) + re.findall(r"\]\(([\w./-]+)\)", README)
    named = {p for p in quoted if "/" in p or p.endswith((".md", ".yaml"))}
    return sorted(p for p in named - EXAMPLES if not p.startswith("api/"))


@pytest.mark.parametrize("path", paths())
def test_every_path_exists(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize("target", sorted(set(re.findall(r"make ([a-z]+)", README))))
def test_every_make_target_exists(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("command", sorted(set(re.findall(r"-m runner(?: (\w+))?", README))))
def test_every_command_of_the_runner_exists(command: str) -> None:
    arguments = [command] if command else []
    run = subprocess.run(
        [ROOT / ".venv/bin/python", "-m", "runner", *arguments, "--help"],
        cwd=ROOT,
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert run.returncode == 0


def test_the_bot_and_the_processor_that_are_shown_can_be_imported() -> None:
    shown = [code for language, code in BLOCKS if language == "python"]
    names: dict[str, object] = {"__file__": "bots/baker.py"}
    for code in shown:
        exec(compile(code, "README.md", "exec"), names)
    assert {"BOT", "bot", "WordCount"} <= set(names)


def test_the_settings_that_are_shown_are_valid() -> None:
    [shown] = [yaml.safe_load(text) for language, text in BLOCKS if language == "yaml"]
    assert BotEntry(**shown["bots"]["baker"]).module == "bots.baker"
