"""What calls cost in which nobody speaks.

    .venv/bin/python tests/bench/idle_calls.py [--calls 10]

Callers come one after the other, are greeted, and send silence. With each, the memory of the
service (resident, all of its process) is read and its use of the processor counted for some time.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
from contextlib import AsyncExitStack
from itertools import pairwise
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from runner.peer import connect  # noqa: E402
from tests.bench.calling import SPEECH_SECS  # noqa: E402
from tests.service import run_service  # noqa: E402

SETTLE_SECS = 3.0
COUNT_SECS = 8.0


async def measure(url: str, service: psutil.Process, calls: int) -> list[tuple[float, float]]:
    """Return memory in MB and use of a core in percent with no call, one call, two calls, ..."""
    seen = [await _look(service)]
    async with AsyncExitStack() as stack:
        for count in range(1, calls + 1):
            peer = await stack.enter_async_context(connect(url))
            await peer.hear_out(timeout=SPEECH_SECS)
            seen.append(await _look(service))
            print(f"{count:2} calls {seen[-1][0]:7.1f} MB {seen[-1][1]:6.1f} %", flush=True)
    return seen


async def _look(service: psutil.Process) -> tuple[float, float]:
    await asyncio.sleep(SETTLE_SECS)
    service.cpu_percent()
    await asyncio.sleep(COUNT_SECS)
    return service.memory_info().rss / 1e6, service.cpu_percent()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=10)
    args = parser.parse_args()
    limits = {
        "PARLANTE_VOICE__REALTIME__LIMITS__SESSIONS": str(args.calls),
        "PARLANTE_VOICE__REALTIME__LIMITS__IDLE_TIMEOUT": "3600",
    }
    with (
        tempfile.TemporaryDirectory() as folder,
        run_service(Path(folder), "--profile", "offline", environment=limits) as service,
    ):
        process = psutil.Process(service.process.pid)
        seen = asyncio.run(measure(service.url, process, args.calls))
    each = [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(seen[1:])]
    memory, processor = (statistics.median(values) for values in zip(*each, strict=True))
    print(f"each call from the second on: {memory:.1f} MB, {processor:.1f} % of a core (medians)")


if __name__ == "__main__":
    main()
