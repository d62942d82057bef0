"""What `/ws/realtime` tells: who speaks, and what the user has said."""

import base64
from typing import Any

import pytest

from processors.protocols.dialogue import DUE_SECS
from tests.protocol_call import Call, Script, play, told

QUESTION = "Are you open today?"
ASKED = ["speech_started", "speech_ended", f"heard {QUESTION}"]


def said(script: Script) -> list[str]:
    """Return what is told, in short."""
    return [short(message) for message in told(play("realtime", script))]


def short(message: Any) -> str:
    match message:
        case {"type": "transcript", "text": text}:
            return f"heard {text}"
        case {"type": "error", "message": str(), "code": code}:
            return str(code)
        case {"type": "audio"}:
            return "sound"
    assert set(message) == {"type"}
    return str(message["type"])


def test_an_utterance_and_its_answer() -> None:
    async def script(call: Call) -> None:
        await call.ask(QUESTION)
        await call.answer("Until six.")

    assert said(script) == [*ASKED, "sound", "done"]


def test_a_transcript_that_comes_behind_the_answers_beginning_is_told_then() -> None:
    async def script(call: Call) -> None:
        await call.user_starts()
        await call.user_stops()
        await call.begin_to_speak("Until six.", secs=2.0)
        await call.settle(1)
        await call.final(QUESTION)

    assert said(script) == [*ASKED[:2], "sound", ASKED[2], "sound", "done"]


def test_an_answer_that_is_talked_over_is_interrupted_and_not_done() -> None:
    async def script(call: Call) -> None:
        await call.ask(QUESTION)
        await call.write("Until six.")
        await call.begin_to_speak("Until six.", secs=5.0)
        await call.settle(1)
        await call.ask(QUESTION)
        await call.answer("Until six.")

    kinds = said(script)
    assert kinds.count("interrupted") == 1
    at = kinds.index("interrupted")
    assert "done" not in kinds[:at]
    assert "sound" not in kinds[at : kinds.index("speech_ended", at)], "nothing comes behind it"
    assert kinds[-2:] == ["sound", "done"]


def test_who_answers_at_once_does_not_interrupt() -> None:
    async def script(call: Call) -> None:
        for _ in range(2):
            await call.ask(QUESTION)
            await call.write("Until six.")
            await call.speak("Until six.")

    assert said(script) == [*ASKED, "sound", "done"] * 2


def test_a_noise_is_no_transcript_and_needs_no_answer() -> None:
    async def script(call: Call) -> None:
        await call.user_says_nothing()

    assert said(script) == ["speech_started", "speech_ended", "done"]


def test_an_answer_that_never_comes_is_given_up() -> None:
    async def script(call: Call) -> None:
        await call.ask(QUESTION)
        await call.settle(DUE_SECS + 1)

    assert said(script) == [*ASKED, "done"]


def test_who_goes_on_speaking_has_one_answer_to_all_of_it() -> None:
    async def script(call: Call) -> None:
        await call.ask(QUESTION)
        await call.ask(QUESTION)
        await call.answer("Until six.")

    assert said(script) == [*ASKED, *ASKED, "sound", "done"]


def test_an_answer_with_a_tool_is_done_once() -> None:
    async def script(call: Call) -> None:
        await call.ask(QUESTION)
        await call.write("One moment.")
        await call.tool_starts("look")
        await call.speak("One moment.")
        await call.settle(5)
        await call.tool_ends("look")
        await call.answer("Until six.")

    assert said(script) == [*ASKED, "sound", "done"]


def test_a_bot_that_speaks_unasked_is_done_too() -> None:
    async def script(call: Call) -> None:
        await call.speak("Are you still there?")

    assert said(script) == ["sound", "done"]


def test_a_service_that_fails_is_told() -> None:
    async def script(call: Call) -> None:
        await call.ask(QUESTION)
        await call.fail("the language model has failed")

    assert said(script) == [*ASKED, "SERVICE_FAILED", "done"]


def test_the_sound_is_pcm_at_16_khz() -> None:
    async def script(call: Call) -> None:
        await call.speak("Until six.", secs=2.0)

    messages = [m for _, m in play("realtime", script) if m["type"] == "audio"]
    sound = b"".join(base64.b64decode(message["data"]) for message in messages)
    assert len(sound) / 32_000 == pytest.approx(2.0, abs=0.05)


def test_what_cannot_be_taken_gets_an_error_and_the_call_goes_on() -> None:
    async def script(call: Call) -> None:
        await call.send({"type": "end"})
        await call.send("stop")
        await call.ask(QUESTION)

    assert said(script) == ["UNKNOWN_TYPE", "INVALID_MESSAGE", *ASKED, "done"]


def test_a_client_that_stops_has_hung_up() -> None:
    async def script(call: Call) -> None:
        await call.send({"type": "stop"})
        await call.settle(1)
        assert call.wire.is_closed

    assert said(script) == []
