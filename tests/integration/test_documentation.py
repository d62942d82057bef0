"""Every example in the README and in docs/ works: with curl it answers what is shown."""

import asyncio
import json
import os
import re
import subprocess
import sys
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import soxr

from runner.clients.client import SAMPLE_RATE_HZ
from tests.phone_caller import environment
from tests.service import ROOT, Service, keys, run_service
from tests.speech import Speaker

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```|((?:^    [^\n]*\n)+)", re.MULTILINE | re.DOTALL)
FOLLOWS = re.compile(r"\bcurl\b.* (-N|--no-buffer)\b")
CURL_SECS = 20
TELEPHONY = environment(api_port=9)


@dataclass(frozen=True)
class Example:
    """What readers are told to type.

    Attributes:
        command: It.
        answer: What is shown below it; None where nothing is.
    """

    command: str
    answer: dict[str, Any] | None


def examples(page: str) -> list[Example]:
    """Return the examples with curl of a page, be they fenced or indented."""
    blocks = [(found[1], found[2] or found[3]) for found in BLOCK.finditer(page)]
    following = [*blocks, ("", "")][1:]
    return [
        Example(text, json.loads(below) if kind == "json" else None)
        for (_, text), (kind, below) in zip(blocks, following, strict=True)
        if re.search(r"\bcurl\b", text)
    ]


PAGES = {
    path.name: examples(path.read_text())
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
}


def test_an_example_is_found_however_it_is_written() -> None:
    page = (
        'So:\n\n```bash\ncurl "$URL" \\\n  -d 1\n```\n\n```json\n{"a": 1}\n```\n\n'
        "Or:\n\n    ID=$(curl $URL)\n    echo $ID\n\nNot:\n\n    kill -HUP PID\n"
    )
    assert examples(page) == [
        Example('curl "$URL" \\\n  -d 1\n', {"a": 1}),
        Example("    ID=$(curl $URL)\n    echo $ID\n", None),
    ]


@pytest.mark.parametrize("name", PAGES)
def test_no_example_hides_in_a_sentence(name: str) -> None:
    [path] = [it for it in (ROOT / name, ROOT / "docs" / name) if it.exists()]
    shown = "".join(example.command for example in PAGES[name])
    assert len(re.findall(r"\bcurl ", path.read_text())) == len(re.findall(r"\bcurl ", shown))


@pytest.mark.parametrize("name", PAGES)
def test_every_example_names_its_key_but_the_open_ones(name: str) -> None:
    for example in PAGES[name]:
        is_open = re.search(r"/(health|metrics|telephony)\b", example.command)
        assert ("X-API-Key" in example.command) is not bool(is_open), example


@pytest.mark.parametrize("name", [name for name, shown in PAGES.items() if shown])
def test_every_example_of_a_page_works(tmp_path: Path, name: str) -> None:
    key, operator_key = keys(tmp_path, "add", "ada"), keys(tmp_path, "add", "ops", "--operator")
    # Curl takes a refusal for an answer, unless told otherwise.
    (tmp_path / ".curlrc").write_text(f"fail-with-body\nmax-time = {CURL_SECS}\n")
    with run_service(tmp_path, environment=TELEPHONY) as service:
        variables = {
            "URL": service.url,
            "KEY": key,
            "OPERATOR_KEY": operator_key,
            "ID": new_session(service, key),
            "CURL_HOME": str(tmp_path),
            "TWILIO_AUTH_TOKEN": TELEPHONY["TWILIO_AUTH_TOKEN"],
        }
        followers = []
        for example in PAGES[name]:
            running = subprocess.Popen(
                ["bash", "-c", f"set -euo pipefail\n{example.command}"],
                env={**os.environ, **variables},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            if FOLLOWS.search(example.command):
                followers.append((example, running))
            else:
                check(example, running)
        for example, running in followers:
            check(example, running)
    assert service.process.returncode == 0


def new_session(service: Service, key: str) -> str:
    """Start a session; return its name."""
    answer = httpx.post(
        f"{service.url}/voice/realtime/session",
        json={"agent_type": "single_agent"},
        headers={"X-API-Key": key},
    )
    name: str = answer.json()["session_id"]
    return name


def check(example: Example, running: subprocess.Popen[str]) -> None:
    """See whether an example works, and answers in the form that is shown."""
    with running:
        answer, complaint = running.communicate(timeout=CURL_SECS)
    assert running.returncode == 0, (example.command, answer, complaint)
    if example.answer is not None:
        assert shape(json.loads(answer)) == shape(example.answer), example.command


def shape(answer: dict[str, Any]) -> dict[str, type]:
    return {name: type(value) for name, value in answer.items()}


PROTOCOLS = (ROOT / "docs" / "protocols.md").read_text()
PROGRAMS = [
    program
    for program in re.findall(r"^```python\n(.*?)^```", PROTOCOLS, re.MULTILINE | re.DOTALL)
    # It is run where the protocol of OpenAI is tested.
    if "AsyncOpenAI" not in program
]
PROGRAM_SECS = 60


@pytest.mark.long
async def test_every_program_of_the_protocols_holds_a_conversation(
    tmp_path: Path, speaker: Speaker
) -> None:
    said = soxr.resample(await speaker.say("Are you open on Saturday?"), SAMPLE_RATE_HZ, 16_000)
    with wave.open(str(tmp_path / "question.wav"), "wb") as question:
        question.setparams((1, 2, 16_000, 0, "NONE", ""))
        question.writeframes(said.tobytes())
    key = keys(tmp_path, "add", "ada")
    assert len(PROGRAMS) == 3
    with run_service(tmp_path) as service:
        for program in PROGRAMS:
            done = await asyncio.to_thread(
                subprocess.run,
                [sys.executable, "-c", program],
                cwd=tmp_path,
                env={**os.environ, "URL": service.url, "KEY": key},
                capture_output=True,
                text=True,
                timeout=PROGRAM_SECS,
            )
            assert done.returncode == 0, (program, done.stdout, done.stderr)
            assert "Saturday" in done.stdout
    assert (tmp_path / "answer.mp3").stat().st_size > 10_000
