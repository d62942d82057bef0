"""Calls in which a caller speaks whenever they like, and of whose sound each word is known.

Every word of the bot has a sound of its own, by which the loudspeaker tells what of it was played.
Only what a voice activity detector tells is made up; all else is a call as it is really held.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import numpy as np
from aiohttp import web
from pipecat.frames.frames import (
    OutputAudioRawFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.services.llm_service import FunctionCallParams
from pipecat.transports.base_transport import TransportParams

from bots.call import Call, Conversation
from bots.registry import load_bot
from bots.resources import Resources
from bots.tools.desk import Result, tool
from processors.output_pause import OutputPause
from processors.transcript import Speaker, ToolCall, ToolOutcome
from tests.faulty_call import Witness
from tests.line import Ear, Line
from tests.standins.cartesia import CartesiaVoice
from tests.standins.elevenlabs import ElevenLabsVoice
from tests.standins.faults import WORD_SECS
from tests.standins.openai_server import SPEECH_RATE_HZ, OpenAIStandin, Reply

SENTENCE_WORDS = 4
REPLY_WORDS = 2 * SENTENCE_WORDS
LOWEST, STEP = 2000, 100
"""Levels of the sounds of words: of the first, and from one to the next."""

FASTER = 2
"""Sound is played so many times as fast as it would be."""

VAD_SECS = 0.1
FRAME_SECS = 0.02
TURN_SECS = 15
TOOL_SECS = 0.2
FIRST_SOUND_SECS, NEXT_WORD_SECS = 0.2, 0.02
KEPT_SECS = 0.1
"""How long it takes to keep a record of a tool, before it runs and after."""

SYLLABLES = [f"{consonant}{vowel}" for consonant in "bcdfghklmnprstvz" for vowel in "aeiou"]


class Doing(StrEnum):
    """What a bot is doing when it is interrupted."""

    THINKING_AHEAD = "thinks ahead of the end of the turn"
    THINKING = "thinks"
    RUNNING_TOOL = "runs a tool"
    MAKING_SOUND = "makes sound that is not heard yet"
    SPEAKING = "is heard"
    NOTHING = "does nothing of these"


def word(number: int) -> str:
    return SYLLABLES[number // len(SYLLABLES)] + SYLLABLES[number % len(SYLLABLES)]


NUMBERS = {word(number): number for number in range(300)}


def words_in(text: str) -> list[int]:
    """Return the numbers of the bot's words in a text."""
    return [NUMBERS[it] for it in text.lower().replace(".", "").split() if it in NUMBERS]


def words_of(reply: int) -> list[int]:
    return list(range(reply * REPLY_WORDS, (reply + 1) * REPLY_WORDS))


def text_of(reply: int) -> tuple[str, str]:
    """Return the two sentences of a reply."""
    words = [word(number) for number in words_of(reply)]
    first, second = words[:SENTENCE_WORDS], words[SENTENCE_WORDS:]
    return f"{' '.join(first).capitalize()}.", f"{' '.join(second).capitalize()}."


def sound_of(said: str, rate_hz: int) -> bytes:
    number = NUMBERS.get(said.lower().strip(" ."))
    level = 0 if number is None else LOWEST + STEP * number
    return np.full(round(rate_hz * WORD_SECS), level, np.int16).tobytes()


def question(number: int) -> str:
    return f"Could you tell me about number {number}?"


def last_question(messages: Sequence[dict[str, Any]]) -> int | None:
    return next(reversed(questions_in(messages)), None)


def questions_in(messages: Sequence[dict[str, Any]]) -> list[int]:
    """Return the numbers of what the caller has said, in messages of a conversation."""
    said = " ".join(str(m["content"]) for m in messages if m["role"] == "user")
    return [int(it) for it in said.replace("?", "").split() if it.isdigit()]


class Doings:
    """What a bot is doing, as its services, its tool and its loudspeaker know."""

    def __init__(self) -> None:
        self._counts: Counter[Doing] = Counter()
        self._begun = {doing: asyncio.Event() for doing in Doing}
        self.heard_at = 0.0

    @contextmanager
    def doing(self, what: Doing) -> Iterator[None]:
        self._counts[what] += 1
        self._begun[what].set()
        try:
            yield
        finally:
            self._counts[what] -= 1

    async def until(self, what: Doing) -> None:
        """Wait until the bot begins to do something."""
        self._begun[what].clear()
        if not self._counts[what]:
            await self._begun[what].wait()

    @property
    def now(self) -> Doing:
        if time.monotonic() - self.heard_at < 0.06:
            return Doing.SPEAKING
        order = (Doing.RUNNING_TOOL, Doing.MAKING_SOUND, Doing.THINKING)
        return next((doing for doing in order if self._counts[doing]), Doing.NOTHING)


@dataclass(kw_only=True)
class Provider(OpenAIStandin):
    """Hears what it is told to, has a tool run for some questions, and answers in its own words.

    Attributes:
        doings: Told what it does.
        with_tool: For which questions it has the tool run first.
        says_so: For which of these it says so before.
        slow: How long it thinks about which questions; it is quick with others.
        asked: Set whenever it is asked something.
    """

    doings: Doings
    with_tool: set[int] = field(default_factory=set)
    says_so: set[int] = field(default_factory=set)
    slow: dict[int | None, float] = field(default_factory=dict)
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def chat(self, request: web.Request) -> web.StreamResponse:
        messages = (await request.json())["messages"]
        self.thinks_secs = self.slow.get(last_question(messages), 0.05)
        self.asked.set()
        with self.doings.doing(Doing.THINKING):
            return await super().chat(request)

    async def speak(self, request: web.Request) -> web.StreamResponse:
        said = (await request.json())["input"]
        self.spoken.append(said)
        response = web.StreamResponse(headers={"Content-Type": "audio/pcm"})
        await response.prepare(request)
        with self.doings.doing(Doing.MAKING_SOUND):
            await asyncio.sleep(FIRST_SOUND_SECS)
            for it in said.split():
                await response.write(sound_of(it, SPEECH_RATE_HZ))
                await asyncio.sleep(NEXT_WORD_SECS)
        return response

    def answer(self, messages: Sequence[dict[str, Any]]) -> Reply:
        number = last_question(messages)
        assert number is not None
        last = max(i for i, message in enumerate(messages) if message["role"] == "user")
        has_result = any(message["role"] == "tool" for message in messages[last:])
        first, second = text_of(number)
        if number not in self.with_tool:
            return f"{first} {second}"
        use = ("reserve", {"number": number})
        if number not in self.says_so:
            return f"{first} {second}" if has_result else use
        return second if has_result else (first, use)


class _Sounding:
    """Goes before a voice over a socket among the parents of one that sounds as ours do."""

    doings: Doings

    def sound(self, said: str, rate_hz: int) -> bytes:
        return sound_of(said, rate_hz)

    async def spoiled(
        self, request: web.Request, socket: web.WebSocketResponse, parts: Sequence[str]
    ) -> AsyncIterator[str]:
        with self.doings.doing(Doing.MAKING_SOUND):
            await asyncio.sleep(FIRST_SOUND_SECS)
            for part in parts:
                yield part
                await asyncio.sleep(NEXT_WORD_SECS)


@dataclass(kw_only=True)
class SoundingElevenLabs(_Sounding, ElevenLabsVoice):
    doings: Doings


@dataclass(kw_only=True)
class SoundingCartesia(_Sounding, CartesiaVoice):
    doings: Doings


class CodedEar(Ear):
    """Knows by its sound how much was played of each word, in seconds."""

    def __init__(self, params: TransportParams, doings: Doings) -> None:
        super().__init__(params)
        self.played: Counter[int] = Counter()
        self._doings = doings

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        secs = len(frame.audio) / 2 / frame.sample_rate
        self._doings.heard_at = time.monotonic()
        with self._doings.doing(Doing.SPEAKING):
            await asyncio.sleep(secs / FASTER)
        self._doings.heard_at = time.monotonic()
        levels = np.frombuffer(frame.audio, np.int16).astype(int) - LOWEST
        of_words = levels[(levels >= 0) & (levels % STEP == 0)] // STEP
        for number, samples in enumerate(np.bincount(of_words)):
            if samples:
                self.played[number] += samples / frame.sample_rate
        return True


class CodedLine(Line):
    def __init__(self, output: OutputPause, doings: Doings) -> None:
        super().__init__(output)
        self.ear: CodedEar = CodedEar(self.ear._params, doings)


@dataclass
class Ledger(Witness):
    """Notes what the tool does, and what is kept of it, which takes some time.

    Attributes:
        doings: Told when.
        begun: With which numbers the tool was begun.
        done: With which it has come to its end.
        outcomes: What became of each of its calls, as it was told first.
    """

    doings: Doings
    begun: list[int] = field(default_factory=list)
    done: list[int] = field(default_factory=list)
    outcomes: dict[str, ToolOutcome] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__()

    async def answered(self, number: int) -> None:
        """Wait until the bot has finished with a question, or was interrupted in the answer."""

        def is_answered() -> bool:
            said = [question(number) in turn.heard for turn in self.turns]
            behind = self.turns[said.index(True) :] if any(said) else []
            return any(turn.speaker is Speaker.BOT for turn in behind)

        async with self._changed:
            await self._changed.wait_for(is_answered)

    async def keep_tool_call(self, call: ToolCall) -> None:
        await self.on_tool_call(call)
        with self.doings.doing(Doing.RUNNING_TOOL):
            await asyncio.sleep(KEPT_SECS)

    async def on_tool_call(self, call: ToolCall) -> None:
        if call.outcome is not ToolOutcome.RUNNING:
            self.outcomes.setdefault(call.call_id, call.outcome)


@dataclass
class InterruptedCall:
    """A call that is under way.

    Attributes:
        provider: What hears, thinks, and perhaps speaks.
        line: Between caller and bot.
        ledger: What is told of the call.
        doings: What the bot is doing.
        forgets: How many words of a reply may have been heard that the bot does not know.
    """

    provider: Provider
    line: CodedLine
    ledger: Ledger
    doings: Doings
    forgets: int

    async def say(self, number: int, secs: float) -> None:
        """Ask a question, for so many seconds."""
        started = VADUserStartedSpeakingFrame(start_secs=VAD_SECS, timestamp=time.time())
        await self.line.mouth.push_frame(started)
        # Step by step, so that on a busy machine the bot, too, has the time that it takes.
        for _ in range(round(secs / FRAME_SECS)):
            await asyncio.sleep(FRAME_SECS)
        self.provider.heard = question(number)
        self.provider.asked.clear()
        stopped = VADUserStoppedSpeakingFrame(stop_secs=VAD_SECS, timestamp=time.time())
        await self.line.mouth.push_frame(stopped)

    async def until_asked(self, number: int) -> None:
        """Wait until the language model is asked the question that was said last."""
        async with asyncio.timeout(TURN_SECS):
            while not self.provider.chats or last_question(self.context) != number:
                self.provider.asked.clear()
                await self.provider.asked.wait()

    @property
    def doing(self) -> Doing:
        """What the bot is doing."""
        doing = self.doings.now
        if doing is not Doing.THINKING:
            return doing
        said = [turn.heard for turn in self.ledger.turns if turn.speaker is Speaker.USER]
        is_over = said[-1:] and said[-1].endswith(question(questions_in(self.context)[-1]))
        return doing if is_over else Doing.THINKING_AHEAD

    @property
    def context(self) -> list[dict[str, Any]]:
        """What the language model was told last, without its instructions."""
        messages: list[dict[str, Any]] = self.provider.chats[-1]["messages"]
        return [message for message in messages if message["role"] != "system"]


@asynccontextmanager
async def interrupted_call(
    resources: Resources, provider: Provider, forgets: int
) -> AsyncIterator[InterruptedCall]:
    """Call a bot with one tool, which takes its time; hang up at the end."""
    ledger = Ledger(provider.doings)

    @tool
    async def reserve(params: FunctionCallParams, number: int) -> Result:
        """Reserve a number.

        Args:
            params: The call in progress.
            number: Which one.
        """
        ledger.begun.append(number)
        with provider.doings.doing(Doing.RUNNING_TOOL):
            await asyncio.sleep(TOOL_SECS)
        ledger.done.append(number)
        return {"reserved": number}

    bot = replace(
        load_bot("receptionist", resources.settings), tools=(reserve,), knowledge=None, greeting=""
    )
    output = OutputPause()
    line = CodedLine(output, provider.doings)
    conversation = Conversation(bot, Call("interrupted", line, output, resources, ledger))
    holding = asyncio.create_task(conversation.hold())
    try:
        await line.mouth.ready.wait()
        yield InterruptedCall(provider, line, ledger, provider.doings, forgets)
    finally:
        holding.cancel()
        await asyncio.gather(holding, return_exceptions=True)
