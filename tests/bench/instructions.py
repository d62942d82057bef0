"""How many instructions a frame of the microphone takes, beside a bare Pipecat pipeline.

    .venv/bin/python tests/bench/instructions.py [--frames 1000]

Runs the pipelines of overhead.py under callgrind (Debian: valgrind), each twice, with some frames
and with so many more: what the start takes is in both, and goes out. Wall clocks run some fifty
times faster than the program there, so that timers take more than their share, in both.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

OVERHEAD = Path(__file__).with_name("overhead.py")
WARM_UP_FRAMES = 200
RUN_SECS = 1800


def count(side: str, frames: int) -> int:
    """Return the instructions of a whole run."""
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", sys.executable]
    done = subprocess.run(
        [*command, str(OVERHEAD), "--side", side, "--frames", str(frames)],
        env={**os.environ, "PYTHONHASHSEED": "0"},
        timeout=RUN_SECS,
        capture_output=True,
        text=True,
    )
    collected = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or not collected:
        raise SystemExit(done.stderr)
    return int(collected[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=1000, help="frames that are counted")
    args = parser.parse_args()
    if not shutil.which("valgrind"):
        raise SystemExit("valgrind is missing. On Debian: apt install valgrind")
    runs = [
        (side, frames)
        for frames in (WARM_UP_FRAMES, WARM_UP_FRAMES + args.frames)
        for side in ("bare", "ours")
    ]
    with ThreadPoolExecutor(2) as pool:
        counts = dict(zip(runs, pool.map(lambda run: count(*run), runs), strict=True))
    each = {
        side: (counts[side, WARM_UP_FRAMES + args.frames] - counts[side, WARM_UP_FRAMES])
        / args.frames
        for side in ("bare", "ours")
    }
    for side, instructions in each.items():
        print(f"{side}: {instructions / 1e6:.2f} million instructions for a frame of 20 ms")
    print(f"ratio {each['ours'] / each['bare']:.2f}")


if __name__ == "__main__":
    main()
