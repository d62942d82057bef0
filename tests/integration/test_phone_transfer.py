"""A caller on the phone who wants to talk to a person, and a bot that has them put through.

The line is one without Daily, which could not be reached from here: it takes what Daily's transport
is asked for, and tells what that would tell.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from pipecat.transports.daily.transport import DailyTransport
from sqlalchemy import func, select

from bots.call import Call, Conversation
from bots.config import AnnouncementConfig, LimitConfig
from bots.phone_transfer import DailyTransfer
from bots.registry import Bot, load_bot
from bots.resources import Resources
from bots.tools.support import Handoff
from processors.output_pause import OutputPause
from processors.transcript import Turn
from runner.host import InRoom
from runner.lines import EndReason, Line
from tests.faulty_call import KEY, QUESTION, Witness, resources_for, spoken_question
from tests.line import speak
from tests.phone import Phone
from tests.speech import Speaker
from tests.standins.openai_realtime import RealtimeStandin, run_realtime_standin
from tests.standins.openai_server import OpenAIStandin, Reply

pytestmark = pytest.mark.long

SECS = 30
TO = "+15550123"
DANA = {"name": "Dana", "contact": "555 0134", "problem": "All invoices are gone."}
ANNOUNCEMENT = "I put you through to a colleague now."
ANSWER = "I am still here."
WORDS = AnnouncementConfig()

REPLIES: tuple[Reply, ...] = (
    ("open_ticket", DANA),
    ("hand_over", {"ticket": 1, "reason": "Data are lost."}),
    ANNOUNCEMENT,
)


def reply(messages: list[Any]) -> Reply:
    """Hand the caller over when they speak first, and answer in words from then on."""
    asked = sum(message["role"] == "user" for message in messages)
    told = sum(message["role"] == "tool" for message in messages)
    return REPLIES[told] if asked == 1 else ANSWER


class Scene:
    """A call with the support, under supervision."""

    def __init__(self, bot: Bot, resources: Resources, question: Any, *, to: str | None) -> None:
        output = OutputPause()
        self.phone, self.witness = Phone(output), Witness()
        self.resources, self._question = resources, question
        put_through = DailyTransfer(cast(DailyTransport, self.phone), to) if to else None
        call = Call("1", self.phone, output, resources, self.witness, put_through=put_through)
        self.conversation = Conversation(bot, call)
        self.ends: list[EndReason] = []
        self.line = Line("1", InRoom(self.conversation), LimitConfig(), WORDS, is_in_room=True)
        self.line.start(self.conversation, self.ends.append)

    @contextmanager
    def saying(self) -> Iterator[None]:
        """Say the question, and be silent from then on."""
        task = asyncio.create_task(speak(self.phone.mouth, self._question))
        try:
            yield
        finally:
            task.cancel()

    async def until_heard(self, words: str) -> Turn:
        """Wait until the bot has said something."""
        while not (said := [it for it in self.witness.turns if words in it.spoken]):
            await self.witness.answer(len(self.witness.turns))
        return said[0]

    async def ended(self) -> EndReason:
        await self.line.until_ended()
        [reason] = self.ends
        return reason

    async def handoffs(self) -> int | None:
        async with self.resources.desk.session() as session:
            return await session.scalar(select(func.count()).select_from(Handoff))


@asynccontextmanager
async def scene(
    folder: Path,
    speaker: Speaker,
    first: OpenAIStandin,
    *,
    to: str | None = TO,
    realtime: str | None = None,
    **changes: Any,
) -> AsyncIterator[Scene]:
    """Call the support, whose greeting is left out."""
    first.reply = reply
    here = {"openai": first.url}
    services: dict[str, Any] = {"stt": here, "llm": here, "tts": here, "failover": {}}
    if realtime:
        services["realtime"] = {"openai": realtime}
    async with resources_for(folder, **services) as resources, asyncio.timeout(SECS):
        bot = replace(load_bot("callcenter", resources.settings), greeting="", **changes)
        it = Scene(bot, resources, await spoken_question(speaker), to=to)
        try:
            await it.phone.mouth.ready.wait()
            await it.phone.connect()
            yield it
        finally:
            await it.line.stop()


def told(first: OpenAIStandin, chat: int = -1) -> list[str]:
    """Return what a language model was told of tools."""
    return [m["content"] for m in first.chats[chat]["messages"] if m["role"] == "tool"]


@pytest.mark.parametrize("agent", [None, "bots.agents.langgraph_agent:make_agent"])
async def test_a_caller_is_put_through_when_they_have_been_told_so(
    tmp_path: Path, speaker: Speaker, first: OpenAIStandin, agent: str | None
) -> None:
    async with scene(tmp_path, speaker, first, agent=agent) as it:
        with it.saying():
            await it.phone.is_asked.wait()
            announced = await it.until_heard(ANNOUNCEMENT)
        assert (announced.heard.strip(), announced.interrupted) == (ANNOUNCEMENT, False)
        [(settings, heard_secs)] = it.phone.asked
        assert settings == {"toEndPoint": TO}
        assert heard_secs == pytest.approx(first.speech_secs, abs=0.1)
        assert not it.ends, "until they have left"
        await it.phone.leave()
        assert await it.ended() is EndReason.TRANSFERRED
        assert await it.handoffs() == 1
    assert "put_through_now" in told(first)[-1]


async def test_it_is_done_speech_to_speech_as_well(
    tmp_path: Path, speaker: Speaker, first: OpenAIStandin
) -> None:
    def answer(items: list[dict[str, Any]]) -> Reply:
        return REPLIES[sum(item["type"] == "function_call_output" for item in items)]

    standin = RealtimeStandin(KEY, "gpt-realtime", [QUESTION], answer)
    async with run_realtime_standin(standin):
        mode = "speech_to_speech"
        async with scene(tmp_path, speaker, first, realtime=standin.url, mode=mode) as it:
            with it.saying():
                await it.phone.is_asked.wait()
                await it.until_heard(ANNOUNCEMENT)
            [(_, heard_secs)] = it.phone.asked
            assert heard_secs > 2, "all of it"
            await it.phone.leave()
            assert await it.ended() is EndReason.TRANSFERRED
    assert not standin.wrong


async def test_who_talks_over_the_announcement_is_put_through_nevertheless_and_once(
    tmp_path: Path, speaker: Speaker, first: OpenAIStandin
) -> None:
    first.speech_secs = 8
    async with scene(tmp_path, speaker, first) as it:
        with it.saying():
            await it.phone.ear.heard.wait()
        announcement_secs, first.speech_secs = first.speech_secs, 1
        with it.saying():
            await it.phone.is_asked.wait()
            await it.until_heard(ANSWER)
        [(_, heard_secs)] = it.phone.asked
        assert 0 < heard_secs < announcement_secs - 1
        await it.phone.leave()
        assert await it.ended() is EndReason.TRANSFERRED
        assert await it.handoffs() == 1


@pytest.mark.parametrize("event", [None, "on_dialin_error"], ids=["refused", "fails later"])
async def test_who_cannot_be_put_through_is_told_so_and_the_call_goes_on(
    tmp_path: Path, speaker: Speaker, first: OpenAIStandin, event: str | None
) -> None:
    async with scene(tmp_path, speaker, first) as it:
        if not event:
            it.phone.refusal = "no such number"
        with it.saying():
            await it.phone.is_asked.wait()
            if event:
                await it.phone.fail(event)
            await it.until_heard(WORDS.not_put_through)
        with it.saying():
            await it.until_heard(ANSWER)
        assert len(it.phone.asked) == 1
        assert not it.ends
        await it.phone.leave()
        assert await it.ended() is EndReason.CLIENT_LEFT
    assert WORDS.not_put_through in str(first.chats[-1]["messages"]), "the bot knows"


async def test_where_nobody_takes_calls_the_caller_is_called_back(
    tmp_path: Path, speaker: Speaker, first: OpenAIStandin
) -> None:
    async with scene(tmp_path, speaker, first, to=None) as it:
        with it.saying():
            await it.until_heard(ANNOUNCEMENT)
        assert await it.handoffs() == 1
        assert not it.phone.asked
        await it.phone.leave()
        assert await it.ended() is EndReason.CLIENT_LEFT
    assert "called_back" in told(first)[-1]
    assert "put_through_now" not in told(first)[-1]
