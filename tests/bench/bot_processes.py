"""What a process of its own costs a call: the time until it is ready, and memory.

.venv/bin/python tests/bench/bot_processes.py [--count N]

Beside it, a Python that imports what a vanilla Pipecat bot with the same services does, as one that
is started anew for each call has to.
"""

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from loguru import logger

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from bots.failover import Circuits  # noqa: E402
from bots.resources import check_bots  # noqa: E402
from bots.settings import DEFAULT_CONFIG, Settings, load_settings  # noqa: E402
from runner.launchers.bot_process import BotProcess, Common  # noqa: E402
from runner.launchers.template import Template  # noqa: E402
from runner.launchers.turnstile import Turnstile  # noqa: E402
from runner.launchers.worker import work  # noqa: E402

START_SECS = 60

VANILLA = """
import pipecat.pipeline.worker, pipecat.workers.runner, pipecat.runner.utils
import pipecat.audio.vad.silero, pipecat.audio.turn.smart_turn.local_smart_turn_v3
import pipecat.processors.aggregators.llm_response_universal
import pipecat.transports.smallwebrtc.transport, pipecat.transports.websocket.fastapi
import pipecat.services.openai.stt, pipecat.services.openai.llm, pipecat.services.openai.tts
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10)
    count = parser.parse_args().count
    logger.remove()
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"OPENAI_API_KEY": "sk-none", "PARLANTE_DATA_DIR": folder}
        settings = load_settings(DEFAULT_CONFIG, {})
        check_bots(settings)
        ready_secs, megabytes = asyncio.run(_measure(Template(work), settings, count))
    vanilla_secs = [_start_vanilla() for _ in range(max(3, count // 3))]
    ready, vanilla = statistics.median(ready_secs), statistics.median(vanilla_secs)
    print(
        f"{count} processes, one after the other, ready after: median {ready * 1000:.0f} ms, "
        f"worst {max(ready_secs) * 1000:.0f} ms"
    )
    print(f"memory that is not shared, of each: median {statistics.median(megabytes):.0f} MB")
    print(f"imports of a vanilla bot alone: median {vanilla * 1000:.0f} ms")
    print(f"ratio: {ready / vanilla:.2f}")  # fmt: skip


async def _measure(
    template: Template, settings: Settings, count: int
) -> tuple[list[float], list[float]]:
    common = Common(template, Circuits(), Turnstile(1, START_SECS), on_lag=lambda _: None)
    ready_secs, megabytes = [], []
    for _ in range(count):
        began = time.monotonic()
        gone = asyncio.Event()
        process = BotProcess(
            common, settings, on_end=lambda *_: None, on_exit=lambda _, gone=gone: gone.set()
        )
        async with asyncio.timeout(START_SECS):
            while not process.is_ready:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.002)
        ready_secs.append(time.monotonic() - began)
        megabytes.append(psutil.Process(process.pid).memory_full_info().uss / 1e6)
        await process.close()
        await gone.wait()
    return ready_secs, megabytes


def _start_vanilla() -> float:
    began = time.monotonic()
    subprocess.run(
        [sys.executable, "-c", VANILLA], check=True, stderr=subprocess.DEVNULL, timeout=120
    )
    return time.monotonic() - began


if __name__ == "__main__":
    main()
