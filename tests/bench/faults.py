"""How long callers wait where a service fails, for each stage and each fault.

    .venv/bin/python tests/bench/faults.py [--stage llm]

A call is held in this process, and its services are small servers that speak OpenAI's protocol over
real connections. The first of two providers has the fault; then it is the only one. Counted is the
time from the last of the question to the first sound of the answer, or of the apology, with the
timeouts of voice.yaml: without any fault, 0.7 s and what the language model thinks.
"""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from loguru import logger

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from bots.config import FailoverConfig  # noqa: E402
from tests.faulty_call import KEY, QUESTION, REFUSED, Answer, address, calling  # noqa: E402
from tests.speech import Speaker, open_speaker  # noqa: E402
from tests.standins.openai_server import (  # noqa: E402
    Fault,
    OpenAIStandin,
    always,
    run_openai_standin,
)

REPLY = "On Friday we are open from eight to six."
STAGES = ("stt", "llm", "tts")
FAULTS = [REFUSED, *(fault.value for fault in Fault)]
THINKING_SECS = 0.3


async def wait(speaker: Speaker, stage: str, fault: str, *, alone: bool) -> Answer:
    """Ask where a stage has a fault; return what came of it."""
    sound = OpenAIStandin(KEY, QUESTION, always(REPLY), THINKING_SECS)
    faulty = OpenAIStandin(KEY, QUESTION, always(REPLY), THINKING_SECS)
    async with run_openai_standin(sound), run_openai_standin(faulty):
        services = {kind: {"openai": sound.url} for kind in STAGES}
        services[stage] = {"openai": address(faulty, stage, fault)}
        if not alone:
            services[stage]["backup"] = sound.url
        failover = FailoverConfig().model_dump()
        with tempfile.TemporaryDirectory() as folder:
            async with calling(Path(folder), speaker, failover=failover, **services) as call:
                return await call.ask()


def told(answer: Answer) -> str:
    """Return how long the caller waited, and for what."""
    if not answer.said.heard:
        return "silence"
    kind = "answer" if REPLY in answer.said.heard else "apology"
    return f"{answer.wait_secs:.1f} s, {kind}"


async def run(stages: list[str]) -> None:
    print("| stage | fault | with another provider | alone |")
    print("| --- | --- | --- | --- |")
    with open_speaker() as speaker:
        for stage in stages:
            for fault in FAULTS:
                waits = [await wait(speaker, stage, fault, alone=alone) for alone in (False, True)]
                cells = " | ".join(map(told, waits))
                print(f"| {stage} | {fault} | {cells} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stage", choices=STAGES, help="measure this one alone")
    args = parser.parse_args()
    logger.remove()
    asyncio.run(run([args.stage] if args.stage else list(STAGES)))


if __name__ == "__main__":
    main()
