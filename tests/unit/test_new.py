"""What `runner new` writes is complete: its tests pass, and so do the checks of the project."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from runner.new import NotWritten, with_bot, write_bot, write_processor
from tests.service import ROOT

PARTS = ("bots", "engines", "processors", "runner", "tests", "pyproject.toml", "voice.yaml")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(
                ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__")
            )
        else:
            shutil.copy(ROOT / part, tmp_path)
    return tmp_path


def run(checkout: Path, *command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=checkout, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("what", ["bot", "processor"])
def test_what_is_written_works(checkout: Path, what: str) -> None:
    files = run(checkout, "runner", "new", what, "flower_shop").splitlines()[:2]
    assert files[1] == "tests/unit/test_flower_shop.py"
    assert "passed" in run(checkout, "pytest", "-q", "-p", "no:cacheprovider", files[1])
    run(checkout, "ruff", "check", *files)
    run(checkout, "ruff", "format", "--check", *files)
    run(checkout, "mypy", "--cache-dir", str(ROOT / ".mypy_cache"), files[0])
    assert len((checkout / files[0]).read_text().splitlines()) < 60


def test_voice_yaml_is_as_before_but_for_the_bot() -> None:
    before = (ROOT / "voice.yaml").read_text()
    after = with_bot(before, "florist")
    added = "  florist:\n    module: bots.florist\n"
    assert after.replace(added, "") == before
    bots = yaml.safe_load(after)["bots"]
    assert list(bots) == [*yaml.safe_load(before)["bots"], "florist"]


def test_a_file_that_ends_with_its_bots_gets_one_more() -> None:
    assert yaml.safe_load(with_bot("bots:\n  a:\n    module: b\n", "c"))["bots"]["c"]
    with pytest.raises(NotWritten, match="has no `bots:`"):
        with_bot("voice: {}\n", "c")


@pytest.mark.parametrize("name", ["Florist", "2nd", "my-bot", "class", "../x", ""])
def test_not_every_name_is_one_of_a_module(name: str) -> None:
    for write in (write_bot, write_processor):
        with pytest.raises(NotWritten, match="cannot be the name"):
            write(ROOT, name)


def test_nothing_is_written_over(tmp_path: Path) -> None:
    with pytest.raises(NotWritten, match=r"bots/sales\.py is there already"):
        write_bot(ROOT, "sales")
    with pytest.raises(NotWritten, match="go to a checkout"):
        write_bot(tmp_path, "florist")
