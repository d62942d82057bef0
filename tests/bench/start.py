"""How long the service takes to be ready, from the command to its own word.

.venv/bin/python tests/bench/start.py [--starts N]
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.service import run_service  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--starts", type=int, default=6, help="the first one fills the caches")
    starts = parser.parse_args().starts
    models = [sys.executable, "-m", "runner", "models", "pull", "default"]
    took_secs = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(starts):
            began = time.monotonic()
            # What `make run` does when everything is there.
            subprocess.run(models, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
            with run_service(Path(folder)):
                took_secs.append(time.monotonic() - began)
            print(f"start {number + 1}: ready after {took_secs[-1]:.1f} s", flush=True)
    later = took_secs[1:] or took_secs
    print(f"from the second on: median {statistics.median(later):.1f} s, worst {max(later):.1f} s")


if __name__ == "__main__":
    main()
