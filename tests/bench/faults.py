"""How long callers wait where a service fails, for each stage and each fault.

    .venv/bin/python tests/bench/faults.py [--stage llm] [--provider openai] [--fault hang close]

Calls are held in this process, and their services are small servers that speak the protocols of
their providers over real connections. Three calls at once have a service with the fault: one to
which another provider is left, one without, and one that a plain Pipecat pipeline holds. Counted is
the longest silence from the last of the question to the last of the answer, or of the apology, with
the timeouts of voice.yaml: without any fault, 0.7 s and what the language model thinks.
"""

import argparse
import asyncio
import importlib.util
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from loguru import logger
from pipecat.frames.frames import LLMRunFrame, TTSSpeakFrame

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from bots.config import FailoverConfig  # noqa: E402
from tests.bench.plain_call import Heard, chained_call, realtime_call  # noqa: E402
from tests.faulty_call import (  # noqa: E402
    KEY,
    QUESTION,
    Answer,
    FaultyCall,
    calling,
    spoken_question,
)
from tests.faulty_services import (  # noqa: E402
    FAULTS,
    HEARINGS,
    REFUSED,
    VOICES,
    faulty_service,
    nobody,
)
from tests.speech import Speaker, open_speaker  # noqa: E402
from tests.standins.faults import WORD_SECS  # noqa: E402
from tests.standins.openai_realtime import RealtimeStandin, run_realtime_standin  # noqa: E402
from tests.standins.openai_server import (  # noqa: E402
    Fault,
    OpenAIStandin,
    run_openai_standin,
)

REPLY = "On Friday we are open from eight to six."
GREETING = "Hello, this is Grace."
AGAIN = "Could you say that again?"
"""What language models answer who are asked nothing."""

THINKING_SECS = 0.3
SPOKEN_SECS = len(REPLY.split()) * WORD_SECS
"""How long a voice takes for the answer."""

NONE = "none"
WHOLE = 0.9
"""What is less of an answer than this share of its sound is cut off."""

PROVIDERS = {"stt": HEARINGS, "llm": ["openai"], "tts": VOICES}
STAGES = [*PROVIDERS, "realtime"]
KINDS = ["another", "alone", "plain"]
AT_START = [REFUSED, "401", "429", "500", "hang"]
IN_MIDST = ["429", "500", "hang", "stall", "close", "garbage"]
"""Faults of a service that is speech to speech, when a call begins and when it is under way."""


def answer(messages: list[Any]) -> str:
    """Answer what was asked, if anything was."""
    return REPLY if any(message["role"] == "user" for message in messages) else AGAIN


@asynccontextmanager
async def sound_service() -> AsyncIterator[str]:
    """Serve all that a call needs, without a fault; its voice is as slow as the others."""
    standin = OpenAIStandin(KEY, QUESTION, answer, THINKING_SECS)
    standin.speech_secs = SPOKEN_SECS
    async with run_openai_standin(standin):
        yield standin.url


async def ours(
    speaker: Speaker,
    services: Mapping[str, Mapping[str, str]],
    do: Callable[[FaultyCall], Awaitable[Answer]],
    greeting: str = "",
) -> Heard:
    """Have something done in a call of Parlante's, and return what came of it."""
    failover = FailoverConfig().model_dump()
    with tempfile.TemporaryDirectory() as folder:
        async with calling(
            Path(folder), speaker, failover=failover, greeting=greeting, **services
        ) as call:
            try:
                answer = await do(call)
            except TimeoutError:
                return Heard(None, 0.0, "")
    return Heard(answer.wait_secs, answer.played_secs, answer.said.heard)


async def chained(speaker: Speaker, stage: str, provider: str, fault: str) -> dict[str, Heard]:
    """Ask where a service has a fault; return what came of it, by kind of call."""
    words = {"heard": QUESTION, "reply": answer, "thinks_secs": THINKING_SECS}
    async with (
        sound_service() as sound,
        faulty_service(stage, provider, key=KEY, **words) as service,
    ):
        if isinstance(service.standin, OpenAIStandin):
            service.standin.speech_secs = SPOKEN_SECS
        address = service.address if fault == NONE else service.failing(fault)
        services = {kind: {"openai": sound} for kind in PROVIDERS} | {stage: address}
        another = services | {stage: {**address, "backup": sound}}
        async with chained_call(**services) as plain:
            if stage != "tts":
                # Else it would take silence for its first turn that was spoken over.
                await plain.greet(TTSSpeakFrame(GREETING, append_to_context=True))
            heard = await asyncio.gather(
                ours(speaker, another, FaultyCall.ask),
                ours(speaker, services, FaultyCall.ask),
                plain.ask(await spoken_question(speaker)),
            )
    return dict(zip(KINDS, heard, strict=True))


def reply(items: list[Any]) -> str:
    """Answer what is spoken; what is written asks for a greeting."""
    return REPLY if "transcript" in items[-1]["content"][0] else GREETING


async def speech_to_speech(speaker: Speaker, at_start: bool, fault: str) -> dict[str, Heard]:
    """Call where the service has a fault, or gets it in the midst; return what came of it."""

    @asynccontextmanager
    async def service() -> AsyncIterator[tuple[str, Callable[[], None]]]:
        standin = RealtimeStandin(KEY, "gpt-realtime", [QUESTION], reply)

        def fail() -> None:
            standin.fault = None if at_start or fault == NONE else Fault(fault)

        async with run_realtime_standin(standin):
            if at_start and fault not in (NONE, REFUSED):
                standin.start_fault = Fault(fault)
            yield (nobody(standin.url) if fault == REFUSED else standin.url), fail

    async def with_ours() -> Heard:
        async def do(call: FaultyCall) -> Answer:
            greeted = await call.begin()
            fail()
            return greeted if at_start else await call.ask()

        async with service() as (url, fail), sound_service() as sound:
            services = {stage: {"openai": sound} for stage in PROVIDERS}
            services["realtime"] = {"openai": url}
            return await ours(speaker, services, do, greeting=GREETING)

    async def with_plain() -> Heard:
        async with service() as (url, fail), realtime_call(url) as call:
            greeted = await call.greet(LLMRunFrame())
            fail()
            return greeted if at_start else await call.ask(await spoken_question(speaker))

    another, plain = await asyncio.gather(with_ours(), with_plain())
    return {"another": another, "plain": plain}


async def run(stages: list[str], provider_wanted: str | None, faults_wanted: list[str]) -> None:
    def wanted(faults: Iterable[str]) -> list[str]:
        return [it for it in (NONE, *faults) if not faults_wanted or it in faults_wanted]

    print("| stage | provider | fault | with another provider | alone | plain Pipecat |")
    print("| --- | --- | --- | --- | --- | --- |")
    with open_speaker() as speaker:
        # The first call of a process waits for what is imported then.
        await chained(speaker, "llm", "openai", NONE)
        for stage in stages:
            for provider in PROVIDERS.get(stage, ()):
                if provider_wanted not in (None, provider):
                    continue
                if provider == "deepgram" and not importlib.util.find_spec("deepgram"):
                    print("Deepgram is left out: pipecat-ai[deepgram] is not installed.")
                    continue
                ask = partial(chained, speaker, stage, provider)
                await tell(f"{stage} | {provider}", wanted(FAULTS), ask)
            if stage == "realtime":
                of_session = partial(speech_to_speech, speaker)
                await tell(
                    "realtime, at the start | openai", wanted(AT_START), partial(of_session, True)
                )
                await tell(
                    "realtime, in the midst | openai", wanted(IN_MIDST), partial(of_session, False)
                )


async def tell(
    what: str, faults: Iterable[str], ask: Callable[[str], Awaitable[dict[str, Heard]]]
) -> None:
    """Print a row for each fault of a service."""
    for fault in faults:
        heard = await ask(fault)
        cells = " | ".join(told(heard[kind]) if kind in heard else "" for kind in KINDS)
        print(f"| {what} | {fault} | {cells} |", flush=True)


def told(heard: Heard) -> str:
    """Return how long the caller waited, and for what."""
    if heard.wait_secs is None:
        return "never"
    if GREETING in heard.said:
        what = "greeting"
    elif REPLY in heard.said:
        is_whole = heard.played_secs >= WHOLE * SPOKEN_SECS
        what = "answer" if is_whole else "cut off, transcript untrue"
    elif AGAIN in heard.said:
        what = "asks again"
    else:
        what = "apology" if "sorry" in heard.said.lower() else "cut off"
    return f"{heard.wait_secs:.1f} s, {what}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stage", choices=STAGES, help="measure this one alone")
    parser.add_argument("--provider", help="of the chained stages, measure this one's alone")
    parser.add_argument("--fault", nargs="+", default=[], help="measure these alone")
    args = parser.parse_args()
    logger.remove()
    asyncio.run(run([args.stage] if args.stage else STAGES, args.provider, args.fault))


if __name__ == "__main__":
    main()
