"""A person with a browser and a microphone calls the receptionist."""

import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from runner.talk import write_audio
from tests.browser import Span, Tab
from tests.e2e.conftest import OpenTab
from tests.service import Service, until_no_session
from tests.speech import Speaker, silence, words_wrong

pytestmark = pytest.mark.browser

PAUSE_SECS = 0.5
"""Before a question, after the bot has finished."""

FILE_PAUSE_SECS = 12
"""Before the question of a microphone that plays a file, and so waits for nobody."""

REPLY_SECS = 40
CHARS_PER_SEC = 40
"""No voice speaks faster, pauses left out: a reply with less sound was cut."""

CONNECT_SECS = 40
HANG_UP_SECS = 15


@dataclass(frozen=True)
class Question:
    """What is asked, and what the answer must hold; None where any answer will do."""

    text: str
    answer: str | None = None


QUESTIONS = (
    Question("How late are you there on Thursdays?", r"\b(eight|8)\b"),
    Question("Is there somewhere to leave my car?", r"behind|free|mill lane"),
    Question("What would I have to pay for a flu shot?"),
    Question("Will you take my Blue Cross plan?"),
    Question("What is your street address?", r"willow"),
    Question("Who would look at my daughter's cough?"),
)

FOLLOWING = {
    "connecting": {"initializing"},
    "initializing": {"listening"},
    # The greeting comes unasked.
    "listening": {"processing", "thinking", "speaking", "disconnecting"},
    "processing": {"thinking", "listening", "disconnecting"},
    "thinking": {"speaking", "listening", "disconnecting"},
    "speaking": {"listening", "disconnecting"},
    "disconnecting": {"disconnected"},
}


async def hear_greeting(tab: Tab) -> None:
    await tab.page.get_by_role("button", name="Start conversation").click()
    await tab.until_state("listening", CONNECT_SECS)
    await tab.until_bot_is_done(0, CONNECT_SECS)
    greeting = (await tab.entries("bot"))[0]
    assert greeting.text
    assert await tab.voiced_secs(Span(0, await tab.now_ms())) > len(greeting.text) / CHARS_PER_SEC
    assert await tab.page.locator("audio").evaluate(
        "(audio) => !audio.paused && !audio.muted && audio.volume > 0"
    ), "the page plays what the bot says"


async def hear_answer(tab: Tab, number: int, question: Question) -> None:
    """Wait for an answer, and check it and what it answers."""
    await tab.until_transcripts(number, REPLY_SECS)
    asked = (await tab.messages("user-transcription"))[-1]
    await tab.until_bot_is_done(asked["at"], REPLY_SECS)
    answered = Span(asked["at"], await tab.now_ms())

    finals = await tab.final_transcripts()
    assert len(finals) == number, f"one transcript for each question: {finals}"
    assert words_wrong(question.text, finals[-1]) <= 1, finals[-1]
    users, bots = await tab.entries("user"), await tab.entries("bot")
    assert len(users) == number
    assert users[-1].text.strip() == finals[-1].strip()
    assert users[-1].is_final
    assert len(bots) == number + 1, f"one answer for each question: {bots}"
    answer = bots[-1]
    assert answer.is_final
    assert not answer.is_interrupted
    if question.answer:
        assert re.search(question.answer, answer.text.lower()), (question.text, answer.text)
    voiced = await tab.voiced_secs(answered)
    assert voiced > len(answer.text) / CHARS_PER_SEC, f"{voiced} s of sound for {answer.text!r}"


@pytest.mark.long
async def test_six_questions_are_each_heard_and_answered_in_sound(
    line: Service, speaker: Speaker, open_tab: OpenTab, tmp_path: Path
) -> None:
    logged = len(line.log)
    tab = await open_tab(line.url)
    await hear_greeting(tab)
    for number, question in enumerate(QUESTIONS, 1):
        voice = await speaker.say(question.text)
        await tab.say(np.concatenate([silence(PAUSE_SECS), voice]), tmp_path)
        await hear_answer(tab, number, question)

    await tab.page.keyboard.press("Escape")
    await tab.page.get_by_text("Call ended").first.wait_for(timeout=HANG_UP_SECS * 1000)
    await until_no_session(line.url, timeout=HANG_UP_SECS)

    told = [
        message["data"]["state"]
        for message in await tab.messages("server-message")
        if message["data"]["type"] == "voice-state"
    ]
    assert all(later in FOLLOWING[earlier] for earlier, later in pairwise(told)), told
    turn = ["processing", "thinking", "speaking", "listening"]
    expected = ["initializing", "listening", "speaking", "listening"]
    assert not not_in_order(expected + turn * len(QUESTIONS), told), told

    # An answer that is ready when the turn ends is spoken before a thought could be drawn.
    shown = [state for state in await tab.heard("states") if state != "thinking"]
    turn.remove("thinking")
    expected = ["connecting", *expected, *turn * len(QUESTIONS), "disconnecting"]
    assert not not_in_order(expected, shown), shown

    assert not [entry for entry in await tab.entries("bot") if entry.is_interrupted]
    assert len(await tab.entries("user")) == len(QUESTIONS), "the transcript stays after the call"
    assert not tab.problems
    assert "Traceback" not in line.log[logged:]
    assert "ERROR" not in line.log[logged:]


async def test_a_question_into_the_browser_s_own_microphone_is_answered(
    line: Service, speaker: Speaker, open_tab: OpenTab, tmp_path: Path
) -> None:
    question, wav = QUESTIONS[1], tmp_path / "microphone.wav"
    voice = await speaker.say(question.text)
    write_audio(wav, np.concatenate([silence(FILE_PAUSE_SECS), voice, silence(60)]))
    tab = await open_tab(line.url, microphone="fake", wav=wav)
    await hear_greeting(tab)
    await hear_answer(tab, 1, question)
    assert not tab.problems


def not_in_order(expected: list[str], seen: list[str]) -> list[str]:
    """Return what of `expected` is not in `seen` in this order, other things between or not."""
    rest = iter(seen)
    return [state for state in expected if state not in rest]
