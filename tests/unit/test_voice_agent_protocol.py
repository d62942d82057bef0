"""What `/ws/voice-agent` tells, whatever happens in a call: in one order."""

import base64
from typing import Any

import pytest

from engines.audio.decoding import FileDecoder
from processors.protocols.dialogue import DUE_SECS
from processors.protocols.voice_agent import WRITING_SECS
from tests.protocol_call import Call, Script, play, told

QUESTION = "Are you open today?"
ANSWER = "We are open until six."


def said(script: Script) -> list[str]:
    """Return what is told, in short, behind the greeting."""
    greeting, *messages = told(play("voice-agent", script))
    assert greeting == {"type": "connection_established", "session_id": "s-1", "agent": "grace"}
    return [short(message) for message in messages]


def short(message: Any) -> str:
    match message:
        case {"type": "status_update", "status": status}:
            return status
        case {"type": "transcription", "text": text, "is_final": is_final}:
            return f"heard {text}" if is_final else f"hears {text}"
        case {"type": "llm_response", "text": text}:
            return f"answers {text}"
        case {"type": "audio_response"}:
            return "sound"
        case {"type": "error", "message": str(), "code": code, "retryable": retryable}:
            return f"{code} {retryable}"
    raise AssertionError(message)


ANSWERED = [
    "hears Are you open",
    f"hears {QUESTION}",
    "processing",
    f"heard {QUESTION}",
    f"answers {ANSWER}",
    "generating_audio",
    "sound",
    "idle",
]


def test_an_utterance_and_its_answer() -> None:
    async def script(call: Call) -> None:
        await call.ask(QUESTION)
        await call.answer(ANSWER)

    assert said(script) == ANSWERED


def test_one_after_the_other() -> None:
    async def script(call: Call) -> None:
        for _ in range(2):
            await call.ask(QUESTION)
            await call.answer(ANSWER)
            await call.settle(1)

    assert said(script) == ANSWERED * 2


def test_what_is_said_with_pauses_is_told_as_one() -> None:
    async def script(call: Call) -> None:
        await call.user_starts()
        await call.final("Are you open")
        await call.interim("on")
        await call.final("on Sunday?")
        await call.user_stops()

    assert said(script)[:5] == [
        "hears Are you open",
        "hears Are you open on",
        "hears Are you open on Sunday?",
        "processing",
        "heard Are you open on Sunday?",
    ]


def test_the_voice_waits_for_the_rest_of_the_text() -> None:
    async def script(call: Call) -> None:
        await call.ask(QUESTION)
        await call.write("We are", is_all=False)
        await call.begin_to_speak("We are")
        await call.settle(WRITING_SECS - 1)
        await call.write_on(" open", " until six.")

    assert said(script) == ANSWERED


def test_the_voice_waits_no_longer_than_it_may() -> None:
    async def script(call: Call) -> None:
        await call.ask(QUESTION)
        await call.write("We are", is_all=False)
        await call.begin_to_speak("We are", secs=4.0)
        await call.settle(WRITING_SECS + 1)
        await call.write_on(" open", " until six.")
        await call.settle(0.5)

    assert said(script)[4:] == [
        "answers We are",
        "generating_audio",
        "sound",
        "answers open until six.",
        "sound",
        "idle",
    ]


def test_a_reminder_is_told_as_an_answer() -> None:
    async def script(call: Call) -> None:
        await call.speak("Are you still there?")

    reminder = ["answers Are you still there?", "generating_audio", "sound", "idle"]
    assert said(script) == reminder


def test_words_of_a_voice_that_tells_them_late_come_late() -> None:
    async def script(call: Call) -> None:
        await call.speak_of_late("Are you still there?")

    reminder = ["generating_audio", "sound", "answers Are you still there?", "sound", "idle"]
    assert said(script) == reminder


def test_an_answer_with_a_slow_tool_is_over_once() -> None:
    async def script(call: Call) -> None:
        await call.ask(QUESTION)
        await call.write("One moment.")
        await call.tool_starts("look", what="hours")
        await call.speak("One moment.")
        await call.settle(10)
        await call.tool_ends("look")
        await call.answer(ANSWER)

    assert said(script)[4:] == [
        "answers One moment.",
        "generating_audio",
        "sound",
        f"answers {ANSWER}",
        "sound",
        "idle",
    ]


def test_an_answer_with_a_fast_tool_is_over_once() -> None:
    async def script(call: Call) -> None:
        await call.ask(QUESTION)
        await call.write("One moment.")
        await call.tool_starts("look", what="hours")
        await call.begin_to_speak("One moment.")
        await call.tool_ends("look")
        await call.answer(ANSWER)

    assert said(script).count("idle") == 1
    assert said(script)[-1] == "idle"


def test_words_that_cover_a_tool_are_told() -> None:
    async def script(call: Call) -> None:
        await call.ask(QUESTION)
        await call.write()
        await call.tool_starts("look")
        await call.speak("One moment, please.")
        await call.tool_ends("look")
        await call.answer(ANSWER)

    assert said(script)[4:] == [
        "answers One moment, please.",
        "generating_audio",
        "sound",
        f"answers {ANSWER}",
        "sound",
        "idle",
    ]


def test_words_of_its_own_do_not_wait_for_those_of_a_model() -> None:
    async def script(call: Call) -> None:
        await call.ask(QUESTION)
        await call.write(is_all=False)
        await call.speak("My colleague knows that.")
        assert short(call.wire.said[-1][1]) == "sound"
        await call.write_on(ANSWER)
        await call.speak(ANSWER)

    assert said(script)[4:] == [
        "answers My colleague knows that.",
        "generating_audio",
        "sound",
        f"answers {ANSWER}",
        "sound",
        "idle",
    ]


def test_a_voice_that_is_faster_than_its_words_waits_for_them() -> None:
    async def script(call: Call) -> None:
        await call.ask(QUESTION)
        await call.write(is_all=False)
        await call.sound()
        await call.settle(1)
        await call.write_on(ANSWER)

    assert said(script) == ANSWERED


def test_an_answer_that_is_talked_over_is_over_at_once() -> None:
    async def script(call: Call) -> None:
        await call.ask(QUESTION)
        await call.write(ANSWER)
        await call.begin_to_speak(ANSWER, secs=5.0)
        await call.settle(1)
        await call.ask("And tomorrow?")
        await call.answer("Tomorrow, too.")

    assert said(script) == [
        *ANSWERED,
        "hears And",
        "hears And tomorrow?",
        "processing",
        "heard And tomorrow?",
        "answers Tomorrow, too.",
        "generating_audio",
        "sound",
        "idle",
    ]


def test_of_an_answer_that_is_talked_over_before_it_is_heard_nothing_is_told() -> None:
    async def script(call: Call) -> None:
        await call.ask("Are you open")
        await call.write("We are", is_all=False)
        await call.begin_to_speak("We are", secs=5.0)
        await call.settle(1)
        await call.ask(QUESTION)
        await call.answer(ANSWER)

    assert said(script) == [
        "hears Are you",
        "hears Are you open",
        "processing",
        "heard Are you open",
        "idle",
        *ANSWERED,
    ]


def test_who_goes_on_before_the_answer_has_one_to_all_of_it() -> None:
    async def script(call: Call) -> None:
        await call.ask("Are you open")
        await call.settle(1)
        await call.ask(QUESTION)
        await call.answer(ANSWER)

    asked = ["hears Are you", "hears Are you open", "processing", "heard Are you open"]
    assert said(script) == [*asked, *ANSWERED[:2], *ANSWERED[3:]]


def test_words_that_are_known_too_late_for_their_turn_are_answered_all_the_same() -> None:
    async def script(call: Call) -> None:
        await call.user_starts()
        await call.user_stops()
        await call.settle(2)
        await call.final(QUESTION)
        await call.user_starts()
        await call.user_stops()
        await call.answer(ANSWER)

    assert said(script) == ANSWERED[2:]


def test_what_is_written_at_the_moment_of_an_interruption_is_told_with_no_answer() -> None:
    async def script(call: Call) -> None:
        await call.ask("Are you open")
        await call.write("We are", is_all=False)
        await call.user_starts(written=(" open", " until"))
        await call.user_stops()
        await call.answer(ANSWER)

    asked = ["hears Are you", "hears Are you open", "processing", "heard Are you open"]
    assert said(script) == [*asked, "idle", "processing", *ANSWERED[4:]]


def test_a_noise_is_answered_by_nothing() -> None:
    async def script(call: Call) -> None:
        await call.user_says_nothing()

    assert said(script) == ["processing", "idle"]


def test_a_noise_that_is_known_to_be_one_before_it_is_over_is_over_soon() -> None:
    async def script(call: Call) -> None:
        await call.user_starts()
        await call.listen()
        await call.user_stops()
        await call.settle(1)
        assert short(call.wire.said[-1][1]) == "idle"

    assert said(script) == ["processing", "idle"]


def test_an_answer_that_begins_before_the_utterance_is_over_is_told_whole() -> None:
    async def script(call: Call) -> None:
        await call.user_starts()
        await call.write(ANSWER)
        await call.user_stops()
        await call.speak(ANSWER)
        await call.final(QUESTION)

    assert said(script) == [
        "processing",
        f"answers {ANSWER}",
        "generating_audio",
        "sound",
        f"heard {QUESTION}",
        "idle",
    ]


def test_an_utterance_without_speech_is_over_soon() -> None:
    async def script(call: Call) -> None:
        await call.send({"type": "audio_chunk", "is_final": True})
        await call.nothing_was_said()
        await call.settle(1)
        assert len(call.wire.said) == 3

    assert said(script) == ["processing", "idle"]


def test_processing_starts_when_the_client_says_that_all_is_said() -> None:
    async def script(call: Call) -> None:
        await call.user_starts()
        await call.send({"type": "audio_chunk", "is_final": True})
        assert short(call.wire.said[-1][1]) == "processing"
        await call.settle(5)
        await call.final(QUESTION)
        await call.user_stops()
        await call.answer(ANSWER)

    assert said(script) == ["processing", f"hears {QUESTION}", *ANSWERED[3:]]


def test_an_answer_that_is_never_heard_is_told_and_over_in_the_end() -> None:
    async def script(call: Call) -> None:
        await call.ask(QUESTION)
        await call.write(ANSWER)
        await call.settle(DUE_SECS - 1)
        assert short(call.wire.said[-1][1]) == f"heard {QUESTION}"

    assert said(script)[2:] == ["processing", f"heard {QUESTION}", f"answers {ANSWER}", "idle"]


def test_a_service_that_fails_ends_nothing() -> None:
    async def script(call: Call) -> None:
        await call.ask(QUESTION)
        await call.fail("the language model has failed")
        await call.answer(ANSWER)

    assert said(script) == [*ANSWERED[:4], "SERVICE_FAILED True", *ANSWERED[4:]]


def test_a_transcript_that_comes_late_is_told_when_it_comes() -> None:
    async def script(call: Call) -> None:
        await call.user_starts()
        await call.user_stops()
        await call.write(ANSWER)
        await call.begin_to_speak(ANSWER, secs=2.0)
        await call.settle(1)
        await call.final(QUESTION)

    late = ["processing", f"answers {ANSWER}", "generating_audio", "sound", f"heard {QUESTION}"]
    assert said(script) == [*late, "sound", "idle"]


def test_what_is_heard_behind_the_voice_is_not_sent_without_it() -> None:
    async def script(call: Call) -> None:
        await call.hum()
        await call.ask(QUESTION)
        await call.answer(ANSWER)

    assert said(script) == ANSWERED


def test_the_sound_is_mp3_in_pieces() -> None:
    async def script(call: Call) -> None:
        await call.ask(QUESTION)
        await call.write(ANSWER)
        await call.speak(ANSWER, secs=2.0)

    sound = [m for _, m in play("voice-agent", script) if m["type"] == "audio_response"]
    pieces = [base64.b64decode(message["data"]) for message in sound]
    assert {len(piece) for piece in pieces[:-1]} == {4096}
    assert len(pieces[-1]) <= 4096
    decoder = FileDecoder(16_000)
    pcm = b"".join(map(decoder.feed, pieces)) + decoder.finish()
    assert len(pcm) / 32_000 == pytest.approx(2.0, abs=0.2)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("{", "INVALID_MESSAGE"),
        ("[]", "INVALID_MESSAGE"),
        (b"{}", "INVALID_MESSAGE"),
        ({}, "INVALID_MESSAGE"),
        ({"type": "audio"}, "UNKNOWN_TYPE"),
        ({"type": "audio_chunk", "data": 3}, "INVALID_MESSAGE"),
        ({"type": "audio_chunk", "data": "", "format": "gsm"}, "INVALID_MESSAGE"),
        ({"type": "audio_chunk", "data": "AAA%"}, "AUDIO_INVALID"),
    ],
)
def test_what_cannot_be_taken_gets_an_error_and_the_call_goes_on(
    message: object, code: str
) -> None:
    async def script(call: Call) -> None:
        await call.send(message)
        await call.ask(QUESTION)
        await call.answer(ANSWER)

    assert said(script) == [f"{code} False", *ANSWERED]


def test_the_last_piece_of_an_utterance_ends_it_though_it_cannot_be_taken() -> None:
    async def script(call: Call) -> None:
        await call.send({"type": "audio_chunk", "data": "%", "is_final": True})

    assert said(script) == ["processing", "AUDIO_INVALID False", "idle"]


def test_the_end_of_the_session_is_the_end_of_the_call() -> None:
    async def script(call: Call) -> None:
        await call.send({"type": "end_session"})
        await call.settle(1)
        assert call.wire.is_closed

    assert said(script) == []
