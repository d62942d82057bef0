"""Fuzzes all targets, two at a time: `python -m tests.fuzz --secs 600`.

What is found is kept in .make/fuzz/found, and what covers new code in .make/fuzz/corpus, to be gone
on from. Fails if something crashes, hangs or grows.
"""

import argparse
import asyncio
import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.targets import TARGETS

FOLDER = Path(__file__).parent.parent.parent / ".make" / "fuzz"
PROCESSES = 2
HANGS_SECS = 10
MAX_INPUT_BYTES = 20_000
MAX_GROWN_BYTES = 64 * 1024 * 1024
MAX_MEGABYTES = 2048
LOG_LINES = 40


@dataclass(frozen=True)
class Result:
    """What became of a target.

    Attributes:
        name: Which one.
        executions: How often it was run.
        grown_bytes: How much memory it took beside what it did at first.
        log: What was found; "" for nothing.
    """

    name: str
    executions: int
    grown_bytes: int
    log: str

    @property
    def is_good(self) -> bool:
        """Whether nothing is wrong."""
        return not self.log and self.grown_bytes < MAX_GROWN_BYTES

    def __str__(self) -> str:
        verdict = "good" if self.is_good else "FOUND SOMETHING" if self.log else "GROWS"
        grown = self.grown_bytes / 1024**2
        return f"{self.name:12} {self.executions:9,} executions {grown:+6.0f} MB  {verdict}"


def sow(name: str) -> Path:
    """Write the inputs that a target begins with; return where."""
    corpus = FOLDER / "corpus" / name
    corpus.mkdir(parents=True, exist_ok=True)
    for seed in TARGETS[name]().seeds:
        (corpus / hashlib.sha1(seed).hexdigest()).write_bytes(seed)
    return corpus


async def fuzz(name: str, secs: float) -> Result:
    """Fuzz one target for some time."""
    corpus, found = sow(name), FOLDER / "found"
    status = FOLDER / f"{name}.json"
    status.write_text('{"executions": 0, "grown_bytes": 0}')
    found.mkdir(exist_ok=True)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.fuzz.one",
        name,
        str(status),
        f"-max_total_time={max(1, round(secs))}",
        f"-timeout={HANGS_SECS}",
        f"-rss_limit_mb={MAX_MEGABYTES}",
        f"-max_len={MAX_INPUT_BYTES}",
        f"-artifact_prefix={found}/{name}-",
        str(corpus),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    lines = output.decode(errors="replace").splitlines()
    log = "\n".join(lines[-LOG_LINES:]) if process.returncode else ""
    return Result(name, **json.loads(status.read_text()), log=log)


async def main(secs: float, names: list[str]) -> int:
    """Fuzz them all within some time; return how many have found something."""
    places = asyncio.Semaphore(PROCESSES)

    async def take_turn(name: str) -> Result:
        async with places:
            result = await fuzz(name, secs * PROCESSES / len(names))
            print(result, flush=True)
            return result

    results = await asyncio.gather(*map(take_turn, names))
    for result in results:
        if result.log:
            print(f"\n{result.name}:\n{result.log}")
    print(f"\n{sum(it.executions for it in results):,} executions")
    return sum(not it.is_good for it in results)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--secs", type=float, default=60, help="for all of them together")
    parser.add_argument("names", nargs="*", help="targets; all of them if none is named")
    chosen = parser.parse_args()
    sys.exit(asyncio.run(main(chosen.secs, chosen.names or list(TARGETS))))
