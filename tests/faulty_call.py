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
from bots.settings import Settings, load_settings
from processors.failover import Failure
from processors.output_pause import OutputPause
from processors.transcript import Speaker, Turn
from processors.usage import Used
from tests.faulty_services import REFUSED
from tests.line import RATE_HZ, Line, speak
from tests.speech import Speaker as Voice

KEY = "sk-standin"
QUESTION = "Could you tell me when you are open on Friday?"
TURN_SECS = 20
LONGEST_SECS = 10
"""Of silence where a service fails: its first output, which OpenAI's client may wait for three
times, the silence at the end of a turn, and the rest on a slow machine. docs/failures.md has what
it really takes."""

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
        wait_secs: The longest silence from the last of the question to the last of the answer.
        played_secs: How long it was heard.
        failures: What failed meanwhile.
    """

    said: Turn
    wait_secs: float
    played_secs: float
    failures: list[Failure]


@dataclass
class FaultyCall:
    """A call that is under way."""

    line: Line
    witness: Witness
    question: Any

    async def ask(self) -> Answer:
        """Say the question, and hear the answer out."""
        return await self._hear_out(self.question)

    async def begin(self) -> Answer:
        """Come as a client does, and hear the greeting out."""
        await self.line.connect()
        return await self._hear_out(np.zeros(0, np.int16))

    async def _hear_out(self, sentence: Any) -> Answer:
        turns, failures = len(self.witness.turns), len(self.witness.failures)
        ear = self.line.ear
        ear.listen(time.monotonic() + len(sentence) / RATE_HZ)
        saying = asyncio.create_task(speak(self.line.mouth, sentence))
        try:
            said = await self.witness.answer(turns)
            while said.interrupted:
                # Nobody has spoken over it: it has failed, and more will come.
                said = await self.witness.answer(len(self.witness.turns))
        finally:
            saying.cancel()
            await asyncio.gather(saying, return_exceptions=True)
        return Answer(
            said, ear.longest_pause_secs, ear.played_secs, self.witness.failures[failures:]
        )


async def spoken_question(voice: Voice) -> Any:
    """Return the question as sound for a `Line`."""
    spoken = (await voice.say(QUESTION)).astype(np.float32)
    return np.clip(soxr.resample(spoken, 48_000, RATE_HZ), -32768, 32767).astype(np.int16)


def settings_for(
    folder: Path,
    *,
    stt: Services,
    llm: Services,
    tts: Services,
    failover: Mapping[str, Any],
    realtime: Services | None = None,
    greeting: str = "",
    turns: Mapping[str, Any] | None = None,
    announcements: Mapping[str, Any] | None = None,
    interruptions: Mapping[str, Any] | None = None,
    mcp: Mapping[str, Any] | None = None,
    prices: Mapping[str, Any] | None = None,
) -> Settings:
    """Return settings for these providers, and MCP servers that the receptionist has.

    Where one is speech to speech (`realtime`), it holds the calls.
    """
    services = {"stt": stt, "llm": llm, "tts": tts, "realtime": realtime or {}}
    providers: dict[str, dict[str, Any]] = {}
    for kind, urls in services.items():
        for provider, url in urls.items():
            config = {"api_key": KEY, "base_url": url, **OF_PROVIDER.get((kind, provider), {})}
            providers.setdefault(provider, {})[kind] = config
    rules = {
        "failover": failover,
        "turn_detection": turns,
        "announcements": announcements,
        "interruptions": interruptions,
    }
    servers = mcp or {}
    mode = "speech_to_speech" if realtime else "chained"
    receptionist = {"greeting": greeting, "mcp": [*servers], "mode": mode}
    return load_settings(
        overrides={
            "profile": "faulty",
            "profiles": {"faulty": {kind: list(urls) for kind, urls in services.items()}},
            "data_dir": folder,
            "bots": {"receptionist": receptionist},
            "mcp": servers,
            "voice": {
                "providers": providers,
                "realtime": rules,
                "prices": {"providers": prices or {}},
            },
        }
    )


@asynccontextmanager
async def resources_for(folder: Path, **wishes: Any) -> AsyncIterator[Resources]:
    """Open what calls share; see `settings_for`."""
    settings = settings_for(folder, **wishes)
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
    question = await spoken_question(voice)
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
