"""What Parlante adds to a bare Pipecat pipeline, with providers that answer at once.

    .venv/bin/python tests/bench/overhead.py [--turns 20]
    valgrind --tool=callgrind .venv/bin/python tests/bench/overhead.py --frames 500 --side ours

Both pipelines have the same services of Pipecat before a small server that speaks OpenAI's protocol
and answers in no time, the same transport, and the same voice activity detection. They differ in
what Parlante is: turns, speculation, barge-in, knowledge, the first clause, observers. The same
sentence is said to both in turn (A-B-B-A); counted is the time from the end of the user's turn to
the first sound of the answer, which leaves out how long each of them waits for that end.

With --frames a pipeline takes so many frames of a quiet room, 20 ms each, and no more: under
callgrind the instructions for one frame are the difference of two such runs, over the difference of
frames.
"""

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import numpy as np
import soxr
from loguru import logger
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.audio.vad.vad_analyzer import VADParams
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.services.openai.stt import OpenAISTTService
from pipecat.services.openai.tts import OpenAITTSService
from pipecat.workers.runner import WorkerRunner

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from bots.call import Call, Conversation  # noqa: E402
from bots.listener import CallListener  # noqa: E402
from bots.local_models import loading_models  # noqa: E402
from bots.registry import load_bot  # noqa: E402
from bots.resources import open_resources  # noqa: E402
from bots.settings import load_settings  # noqa: E402
from processors.output_pause import OutputPause  # noqa: E402
from tests.bench.stats import percentile  # noqa: E402
from tests.line import FRAME_SAMPLES, MARKED_FRAMES, RATE_HZ, Line, speak  # noqa: E402
from tests.speech import open_speaker  # noqa: E402
from tests.standins.openai_server import OpenAIStandin, always, run_openai_standin  # noqa: E402

SENTENCE = "Could you tell me when you are open on Friday?"
ANSWER = "We are open from eight to six."
ANSWER_SECS = 10.0
ROOM_RMS = 200
"""Of 16-bit samples: -44 dBFS."""

PASSED_SECS = 60.0
"""Longest time that they may take, under callgrind."""

REST_SECS = 1.5
"""After the answer's first sound: the rest of it, one second, and some."""


async def take_turn(line: Line, sentence: np.ndarray) -> float:
    """Say the sentence in real time and be silent; return the ms from the turn's end to sound."""
    line.ear.heard.clear()
    saying = asyncio.create_task(speak(line.mouth, sentence))
    try:
        await asyncio.wait_for(line.ear.heard.wait(), ANSWER_SECS)
        await asyncio.sleep(REST_SECS)
    finally:
        saying.cancel()
        await asyncio.gather(saying, return_exceptions=True)
    return (line.ear.heard_at - line.ear.ended_at) * 1000


@asynccontextmanager
async def bare(standin: OpenAIStandin) -> AsyncIterator[Line]:
    """Run Pipecat's own: services, aggregators and nothing else."""
    line = Line()
    access = {"api_key": standin.key, "base_url": standin.url}
    pair = LLMContextAggregatorPair(
        LLMContext(),
        user_params=LLMUserAggregatorParams(
            vad_analyzer=SileroVADAnalyzer(params=VADParams(start_secs=0.1))
        ),
    )
    worker = PipelineWorker(
        Pipeline(
            [
                line.input(),
                OpenAISTTService(**access),
                pair.user(),
                OpenAILLMService(**access),
                OpenAITTSService(**access),
                line.output(),
                pair.assistant(),
            ]
        ),
        params=PipelineParams(enable_metrics=True, enable_usage_metrics=True),
    )
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())
    try:
        yield line
    finally:
        await worker.cancel()
        await running


@asynccontextmanager
async def ours(standin: OpenAIStandin, folder: Path) -> AsyncIterator[Line]:
    """Run the receptionist, with everything that a call has."""
    os.environ.update(OPENAI_API_KEY=standin.key, OPENAI_BASE_URL=standin.url)
    settings = load_settings(
        overrides={"data_dir": folder, "bots": {"receptionist": {"greeting": ""}}}
    )
    output = OutputPause()
    line = Line(output)
    async with AsyncExitStack() as stack:
        models = await stack.enter_async_context(loading_models(settings))
        resources = await stack.enter_async_context(open_resources(settings, models))
        bot = load_bot("receptionist", settings)
        conversation = Conversation(bot, Call("bench", line, output, resources, CallListener()))
        holding = asyncio.create_task(conversation.hold())
        try:
            yield line
        finally:
            holding.cancel()
            await asyncio.gather(holding, return_exceptions=True)


async def compare(standin: OpenAIStandin, folder: Path, turns: int) -> None:
    """Say the sentence to both so often, and print what came of it."""
    with open_speaker() as speaker:
        spoken = await speaker.say(SENTENCE)
    wide = spoken.astype(np.float32)
    sentence = np.clip(soxr.resample(wide, 48_000, RATE_HZ), -32768, 32767).astype(np.int16)
    times: dict[str, list[float]] = {"bare": [], "ours": []}
    async with bare(standin) as floor, ours(standin, folder) as parlante:
        sides = {"bare": floor, "ours": parlante}
        for line in sides.values():
            await line.mouth.ready.wait()
            await take_turn(line, sentence)  # some things are set up with the first turn
        for number in range(turns):
            for name in sides if number % 2 == 0 else reversed(sides):
                times[name].append(await take_turn(sides[name], sentence))
    for name, some in times.items():
        p50, p95 = (percentile(some, percent) for percent in (50, 95))
        print(
            f"{name}: the end of the turn to sound p50 {p50:.1f} ms, p95 {p95:.1f} ms (n = {turns})"
        )
    more = [one - other for one, other in zip(times["ours"], times["bare"], strict=True)]
    print(f"ours takes {percentile(more, 50):+.1f} ms (median of the differences)")


async def take_frames(standin: OpenAIStandin, folder: Path, side: str, frames: int) -> None:
    """Have one of the two take frames of a quiet room, as fast as it can."""
    room = np.random.default_rng(1).normal(0, ROOM_RMS, FRAME_SAMPLES).astype(np.int16)
    async with bare(standin) if side == "bare" else ours(standin, folder) as line:
        await line.mouth.ready.wait()
        for number in range(1, frames + 1):
            await line.mouth.say(room)
            if number % MARKED_FRAMES == 0:
                await asyncio.wait_for(line.ear.passed.acquire(), PASSED_SECS)


async def run(args: argparse.Namespace) -> None:
    standin = OpenAIStandin(key="sk-none", heard=SENTENCE, reply=always(ANSWER))
    with tempfile.TemporaryDirectory() as folder:
        async with run_openai_standin(standin):
            if args.frames is None:
                await compare(standin, Path(folder), args.turns)
            else:
                await take_frames(standin, Path(folder), args.side, args.frames)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=20, help="turns of each side")
    parser.add_argument("--frames", type=int, help="take so many frames of silence instead")
    parser.add_argument("--side", choices=["bare", "ours"], default="ours", help="which takes them")
    logger.remove()
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
