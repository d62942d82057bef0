"""The README and docs/ tell the truth about paths, commands and settings."""

import json
import re
import subprocess
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from bots.config import BotEntry, ModelPrice
from bots.registry import load_bot
from bots.settings import DEFAULT_CONFIG, load_settings
from processors.eager_turn import HOLDS, OPEN, SURE
from processors.usage import Amounts
from runner.lines import EndReason
from runner.usage import ServiceUsage

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text()
TEXT = "\n".join([README, *(path.read_text() for path in sorted((ROOT / "docs").glob("*.md")))])
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)
EXAMPLES = {"bots/prompts/baker.md", "bots/baker.py", "processors/word_count.py"}


def paths() -> list[str]:
    quoted = re.findall(r"`([\w.][\w./-]*[\w/])`", TEXT) + re.findall(r"\]\(([\w./-]+)\)", TEXT)
    named = {p for p in quoted if "/" in p or p.endswith((".md", ".yaml"))}
    return sorted(p for p in named - EXAMPLES if not p.startswith("api/"))


@pytest.mark.parametrize("path", paths())
def test_every_path_exists(path: str) -> None:
    assert (ROOT / path).exists()


def test_every_picture_exists_and_none_is_left_over() -> None:
    shown = set(re.findall(r'<img src="pictures/([\w.-]+)"', TEXT))
    assert shown == {picture.name for picture in (ROOT / "docs/pictures").iterdir()}


@pytest.mark.parametrize(
    "target", sorted(set(re.findall(r"(?:^|`)make ([a-z-]+)", TEXT, re.MULTILINE)))
)
def test_every_make_target_exists(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize(
    "script", sorted(set(re.findall(r"^\.venv/bin/python (tests/\S+)", TEXT, re.MULTILINE)))
)
def test_every_script_exists(script: str) -> None:
    assert (ROOT / script).exists()


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


def test_the_prices_that_are_shown_are_valid() -> None:
    [shown] = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/cost.md").read_text(), re.DOTALL)
    settings = load_settings(DEFAULT_CONFIG, yaml.safe_load(shown))
    assert settings.voice.prices.currency == "EUR"
    assert load_bot("sales", settings).budget == 0.5


def test_the_usage_that_is_shown_is_what_is_told() -> None:
    [shown] = re.findall(r"```text\n(.*?)```", (ROOT / "docs/cost.md").read_text(), re.DOTALL)
    told = ServiceUsage(**json.loads(shown))
    assert list(json.loads(shown)) == list(ServiceUsage.model_fields)
    price = ModelPrice(prompt=0.4, cached=0.1, completion=1.6)
    amounts = {field.name: getattr(told, field.name) for field in fields(Amounts)}
    assert round(price.cost(Amounts(**amounts)) or 0, 6) == told.cost


def test_the_silences_that_are_shown_are_those_of_the_presets() -> None:
    shown = (ROOT / "docs/latency.md").read_text()
    for name, holds in HOLDS.items():
        assert f"| `{name}` | {holds.sure} s | {holds.likely} s | {holds.cut} s |" in shown
    assert f"| over ({SURE} and more) | perhaps | cut (below {OPEN}) |" in shown
    assert f"`snappy` takes a turn for over from {HOLDS['snappy'].sure_from} on." in shown
    assert {HOLDS[name].sure_from for name in ("balanced", "patient")} == {SURE}


def test_every_reason_for_the_end_of_a_call_is_explained() -> None:
    shown = (ROOT / "docs/running.md").read_text()
    assert re.findall(r"^\| `(\w+)` \|", shown, re.MULTILINE) == [r.value for r in EndReason]
