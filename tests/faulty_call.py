"""A call in this process whose services are stand-ins with faults."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soxr

from bots.call import Call, Conversation
from bots.listener import CallListener
from bots.local_models import loading_models
from bots.registry import load_bot
from bots.resources import Resources, open_resources
from bots.settings import load_settings
from processors.failover import Failure
from processors.output_pause import OutputPause
from processors.transcript import Speaker, Turn
from processors.usage import Used
from tests.line import RATE_HZ, Line, speak
from tests.speech import Speaker as Voice
from tests.standins.openai_server import Fault, OpenAIStandin

KEY = "sk-standin"
QUESTION = "Could you tell me when you are open on Friday?"
TURN_SECS = 20
LONGEST_SECS = 10
"""From the last of the question to the first sound, where a service fails: its first output, which
OpenAI's client may wait for three times, the silence at the end of a turn, and the rest on a slow
machine. docs/failures.md has what it really takes."""

REFUSED = "refused"
"""The fault of a service that is not there."""

NOBODY = "http://127.0.0.1:9/v1"
"""Where connections are refused."""

OFTEN = (REFUSED, "hang")
"""Faults that every run of the tests has; the others are left to `make faults`."""


def first_of(faults: Sequence[str]) -> list[Any]:
    """Return parameters of a test: faults that are alike, most of which it need not always have."""
    return [
        fault
        if fault in OFTEN or fault == faults[0]
        else pytest.param(fault, marks=pytest.mark.faults)
        for fault in faults
    ]


def address(standin: OpenAIStandin, stage: str, fault: str) -> str:
    """Have its "llm", "stt" or "tts" fail, and return where that is."""
    if fault == REFUSED:
        return NOBODY
    standin.faults[stage] = Fault(fault)
    return standin.url


OF_PROVIDER: Mapping[tuple[str, str], Mapping[str, Any]] = {
    **{(kind, "backup"): {"pipecat": "openai"} for kind in ("stt", "llm", "tts")},
}
"""What the settings of a provider say beside its address."""

Services = Mapping[str, str]
"""Addresses by provider, in order of preference."""


class Witness(CallListener):
    """Notes what is said, and what fails."""

    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self.failures: list[Failure] = []
        self.used: list[Used] = []
        self._changed = asyncio.Condition()

    async def on_turn(self, turn: Turn) -> None:
        async with self._changed:
            self.turns.append(turn)
            self._changed.notify_all()

    async def on_failure(self, failure: Failure) -> None:
        self.failures.append(failure)

    async def on_usage(self, used: Used) -> None:
        self.used.append(used)

    async def answer(self, after: int) -> Turn:
        """Wait for the end of a turn of the bot, after so many turns."""

        def answers() -> list[Turn]:
            return [turn for turn in self.turns[after:] if turn.speaker is Speaker.BOT]

        async with asyncio.timeout(TURN_SECS), self._changed:
            await self._changed.wait_for(answers)
        return answers()[-1]


@dataclass
class Answer:
    """What came of a question.

    Attributes:
        said: What the bot said, as the transcript has it.
        wait_secs: From the last of the question to the first sound.
        failures: What failed meanwhile.
    """

    said: Turn
    wait_secs: float
    failures: list[Failure]


@dataclass
class FaultyCall:
    """A call that is under way."""

    line: Line
    witness: Witness
    question: Any

    async def ask(self) -> Answer:
        """Say the question, and hear the answer out."""
        turns, failures = len(self.witness.turns), len(self.witness.failures)
        self.line.ear.heard.clear()
        asked_at = time.monotonic() + len(self.question) / RATE_HZ
        saying = asyncio.create_task(speak(self.line.mouth, self.question))
        try:
            said = await self.witness.answer(turns)
        finally:
            saying.cancel()
            await asyncio.gather(saying, return_exceptions=True)
        wait_secs = self.line.ear.heard_at - asked_at
        return Answer(said, wait_secs, self.witness.failures[failures:])


@asynccontextmanager
async def resources_for(
    folder: Path,
    *,
    stt: Services,
    llm: Services,
    tts: Services,
    failover: Mapping[str, Any],
    speech_to_speech: Services | None = None,
    turns: Mapping[str, Any] | None = None,
    announcements: Mapping[str, Any] | None = None,
    mcp: Mapping[str, Any] | None = None,
    prices: Mapping[str, Any] | None = None,
) -> AsyncIterator[Resources]:
    """Open what calls share, for these providers, and MCP servers that the receptionist has.

    Where a provider is named for that, calls are held speech to speech.
    """
    services = {"stt": stt, "llm": llm, "tts": tts, "realtime": speech_to_speech or {}}
    providers: dict[str, dict[str, Any]] = {}
    for kind, urls in services.items():
        for provider, url in urls.items():
            config = {"api_key": KEY, "base_url": url, **OF_PROVIDER.get((kind, provider), {})}
            providers.setdefault(provider, {})[kind] = config
    realtime = {
        "mode": "speech_to_speech" if speech_to_speech else "chained",
        "failover": failover,
        "turn_detection": turns,
        "announcements": announcements,
    }
    servers = mcp or {}
    settings = load_settings(
        overrides={
            "profile": "faulty",
            "profiles": {"faulty": {kind: list(urls) for kind, urls in services.items()}},
            "data_dir": folder,
            "bots": {"receptionist": {"greeting": "", "mcp": [*servers]}},
            "mcp": servers,
            "voice": {
                "providers": providers,
                "realtime": realtime,
                "prices": {"providers": prices or {}},
            },
        }
    )
    async with AsyncExitStack() as stack:
        models = await stack.enter_async_context(loading_models(settings))
        yield await stack.enter_async_context(open_resources(settings, models))


@asynccontextmanager
async def calling(folder: Path, voice: Voice, **wishes: Any) -> AsyncIterator[FaultyCall]:
    """Call a service of its own; see `resources_for`."""
    async with (
        resources_for(folder, **wishes) as resources,
        faulty_call(resources, voice) as call,
    ):
        yield call


@asynccontextmanager
async def faulty_call(resources: Resources, voice: Voice) -> AsyncIterator[FaultyCall]:
    """Call the receptionist; hang up at the end."""
    spoken = (await voice.say(QUESTION)).astype(np.float32)
    question = np.clip(soxr.resample(spoken, 48_000, RATE_HZ), -32768, 32767).astype(np.int16)
    output = OutputPause()
    line, witness = Line(output), Witness()
    bot = load_bot("receptionist", resources.settings)
    conversation = Conversation(bot, Call("faulty", line, output, resources, witness))
    holding = asyncio.create_task(conversation.hold())
    try:
        await line.mouth.ready.wait()
        yield FaultyCall(line, witness, question)
    finally:
        holding.cancel()
        await asyncio.gather(holding, return_exceptions=True)
