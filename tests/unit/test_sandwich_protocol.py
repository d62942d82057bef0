"""What `/ws/sandwich` tells: each step of each utterance, and its end."""

import base64
from typing import Any

import pytest

from processors.protocols.dialogue import DUE_SECS
from tests.protocol_call import Call, Script, play, told

QUESTION = "What does it cost?"
ANSWERED = ["hears What does it", f"hears {QUESTION}", f"heard {QUESTION}", "writes It costs 9."]
SPOKEN = ["sound", "complete"]


def said(script: Script) -> list[str]:
    """Return what is told, in short."""
    return [short(message) for message in told(play("sandwich", script))]


def short(message: Any) -> str:
    match message:
        case {"type": "stt_partial", "text": text}:
            return f"hears {text}"
        case {"type": "stt_final", "text": text}:
            return f"heard {text}"
        case {"type": "agent_chunk", "text": text}:
            return f"writes {text}"
        case {"type": "agent_tool", "tool": {"name": name, "args": args}}:
            return f"calls {name} {args}"
        case {"type": "tts_audio"}:
            return "sound"
        case {"type": "complete"}:
            return "complete"
        case {"type": "error", "message": str(), "code": code}:
            return str(code)
    raise AssertionError(message)


def test_an_utterance_and_its_answer() -> None:
    async def script(call: Call) -> None:
        await call.ask(QUESTION)
        await call.answer("It costs 9.")

    assert said(script) == [*ANSWERED, *SPOKEN]


def test_the_answer_is_told_and_heard_while_it_is_written() -> None:
    async def script(call: Call) -> None:
        await call.ask(QUESTION)
        await call.write("It", is_all=False)
        await call.speak("It")
        await call.write_on(" costs", " 9.")
        await call.speak("costs 9.")

    answer = ["writes It", "sound", "writes  costs", "writes  9.", "sound", "complete"]
    assert said(script) == [*ANSWERED[:3], *answer]


def test_an_answer_is_not_over_while_a_slow_voice_makes_the_rest_of_it() -> None:
    async def script(call: Call) -> None:
        await call.ask(QUESTION)
        await call.write("It costs 9.")
        await call.speak_haltingly(gap_secs=5)

    assert said(script) == [*ANSWERED, *SPOKEN]


def test_a_tool_is_told_with_its_arguments_and_the_answer_is_over_once() -> None:
    async def script(call: Call) -> None:
        await call.ask(QUESTION)
        await call.write("One moment.")
        await call.tool_starts("quote", plan="Team", users=10)
        await call.speak("One moment.")
        await call.settle(10)
        await call.tool_ends("quote")
        await call.answer("It costs 9.")

    assert said(script) == [
        *ANSWERED[:3],
        "writes One moment.",
        "calls quote {'plan': 'Team', 'users': 10}",
        "sound",
        "writes It costs 9.",
        *SPOKEN,
    ]


def test_a_tool_without_arguments_has_an_empty_object_of_them() -> None:
    async def script(call: Call) -> None:
        await call.ask(QUESTION)
        await call.tool_starts("plans")
        await call.tool_ends("plans")
        await call.answer("It costs 9.")

    assert said(script) == [*ANSWERED[:3], "calls plans {}", ANSWERED[3], *SPOKEN]


@pytest.mark.parametrize("is_begun_first", [True, False])
def test_an_answer_that_was_made_ahead_and_withdrawn_is_not_the_answer(
    is_begun_first: bool,
) -> None:
    async def script(call: Call) -> None:
        await call.user_starts()
        await call.interim("What does it")
        await call.final(QUESTION)
        if is_begun_first:
            await call.write(is_all=False)
            await call.user_stops()
        else:
            await call.user_stops()
            await call.write(is_all=False)
        await call.write_on()
        await call.settle(5)
        await call.answer("It costs 9.")

    assert said(script) == [*ANSWERED, *SPOKEN]


def test_an_answer_that_is_talked_over_is_complete_at_once_and_nothing_of_it_comes() -> None:
    async def script(call: Call) -> None:
        await call.ask(QUESTION)
        await call.write("It costs 9.")
        await call.begin_to_speak("It costs 9.", secs=5.0)
        await call.settle(1)
        await call.ask(QUESTION)
        await call.answer("It costs 9.")

    assert said(script) == [*ANSWERED, *SPOKEN] * 2


def test_what_is_said_while_the_answer_is_made_has_an_answer_of_its_own() -> None:
    async def script(call: Call) -> None:
        await call.ask(QUESTION)
        await call.write("It", is_all=False)
        await call.ask(QUESTION)
        await call.answer("It costs 9.")

    assert said(script) == [*ANSWERED[:3], "writes It", "complete", *ANSWERED, *SPOKEN]


def test_words_that_were_written_before_an_interruption_are_not_told_behind_it() -> None:
    async def script(call: Call) -> None:
        await call.ask(QUESTION)
        await call.write("It", is_all=False)
        await call.user_starts()
        await call.write_on(" costs")
        await call.user_stops()

    assert said(script) == [*ANSWERED[:3], "writes It", "complete", "complete"]


def test_an_utterance_without_speech_is_complete_soon() -> None:
    async def script(call: Call) -> None:
        await call.send({"type": "end"})
        await call.nothing_was_said()
        await call.settle(1)
        assert call.wire.said

    assert said(script) == ["complete"]


def test_an_utterance_that_ends_as_the_bot_is_heard_leaves_that_alone() -> None:
    async def script(call: Call) -> None:
        await call.ask(QUESTION)
        await call.write("It costs 9.")
        await call.begin_to_speak("It costs 9.", secs=5.0)
        await call.send({"type": "end"})
        await call.settle(4)
        assert short(call.wire.said[-1][1]) == "sound"

    assert said(script) == [*ANSWERED, *SPOKEN]


def test_a_noise_is_complete_without_an_answer() -> None:
    async def script(call: Call) -> None:
        await call.user_says_nothing()

    assert said(script) == ["complete"]


def test_a_service_that_fails_for_good_is_told_and_the_utterance_is_over() -> None:
    async def script(call: Call) -> None:
        await call.ask(QUESTION)
        await call.fail("the voice has failed")
        await call.settle(DUE_SECS)

    assert said(script) == [*ANSWERED[:3], "SERVICE_FAILED", "complete"]


def test_the_sound_is_pcm_at_16_khz() -> None:
    async def script(call: Call) -> None:
        await call.speak("It costs 9.", secs=2.0)

    messages = [m for _, m in play("sandwich", script) if m["type"] == "tts_audio"]
    sound = b"".join(base64.b64decode(message["data"]) for message in messages)
    assert len(sound) / 32_000 == pytest.approx(2.0, abs=0.05)


def test_what_cannot_be_taken_gets_an_error_and_the_call_goes_on() -> None:
    bad = {
        "{": "INVALID_MESSAGE",
        '{"type": "stop"}': "UNKNOWN_TYPE",
        '{"type": "audio"}': "INVALID_MESSAGE",
        '{"type": "audio", "data": "AAAA", "sample_rate": 1}': "INVALID_MESSAGE",
        '{"type": "audio", "data": "A"}': "AUDIO_INVALID",
    }

    async def script(call: Call) -> None:
        for message in bad:
            await call.send(message)
        await call.ask(QUESTION)
        await call.answer("It costs 9.")

    assert said(script) == [*bad.values(), *ANSWERED, *SPOKEN]
