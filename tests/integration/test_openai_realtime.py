"""OpenAI's own client talks to our bots by OpenAI's Realtime protocol."""

import asyncio
import base64
import json
import re
import sys
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import aiohttp
import pytest
from websockets.asyncio.client import connect as open_socket

from engines.audio.decoding import RawDecoder
from engines.audio.encoding import TelephoneEncoder
from runner.clients.client import SAMPLE_RATE_HZ
from tests.openai_client import (
    RATE_HZ,
    Event,
    OpenAIPeer,
    at_24_khz,
    at_48_khz,
    connect_openai,
)
from tests.service import ROOT, Service, keys, run_service, until_no_session
from tests.speech import Listener, Speaker, words_wrong
from tests.standins.openai_server import OpenAIStandin, Reply, always

WEATHER = {
    "type": "function",
    "name": "look_outside",
    "description": "Tells what the weather is like.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}
QUESTION = "What is the weather like in Berlin?"
THANKS = "Thank you. Do I need an umbrella?"
UMBRELLA = "Do I need an umbrella today?"
LONG = " ".join(
    f"{name} is a city that has a good many things to see." for name in ("Paris", "Rome", "Oslo")
)
SILENCE_SECS = 0.5
REFUSED = 4003
PAGE = ROOT / "docs" / "protocols.md"
EXAMPLE_SECS = 40
FREE_SECS = 20


def forecast(messages: list[Any]) -> Reply:
    """Answer by the client's tool, and by what it has returned."""
    last, told = messages[-1], str(messages)
    if last["role"] == "tool":
        return f"There is {json.loads(last['content'])['sky']} in Berlin."
    asked = last["content"].lower()
    if "weather" in asked:
        return "look_outside", {"city": "Berlin"}
    if "umbrella" in asked:
        return "Yes, you need an umbrella." if "rain" in told else "I do not know."
    return LONG


def session(**changes: Any) -> Any:
    return {"type": "realtime", **changes}


def heard(event: Event) -> str:
    """Return what is to be heard of a response that is over."""
    parts = [part for item in event["response"]["output"] for part in item.get("content", [])]
    return " ".join(part["transcript"] for part in parts)


def saying(words: str) -> Callable[[Event], bool]:
    """Tell the end of the response with these words; the bot may say "one moment" before."""
    return lambda event: heard(event) == words


def last_words(messages: list[Any]) -> str:
    """Return what a language model was told last, without the facts for it."""
    return str(messages[-1]["content"]).removeprefix("Caller: ").partition("\n\nFacts: ")[0]


async def write(peer: OpenAIPeer, text: str) -> None:
    """Add words of the user's to the conversation."""
    content: Any = [{"type": "input_text", "text": text}]
    await peer.connection.conversation.item.create(
        item={"type": "message", "role": "user", "content": content}
    )


async def answer_call(peer: OpenAIPeer, call: Event, output: str) -> None:
    await peer.connection.conversation.item.create(
        item={"type": "function_call_output", "call_id": call["call_id"], "output": output}
    )
    await peer.connection.response.create()


async def test_two_spoken_turns_and_a_tool_of_the_clients(
    scripted: Service, llm: OpenAIStandin, speaker: Speaker, listener: Listener
) -> None:
    llm.reply = forecast
    transcription = {"input": {"transcription": {"model": "whisper-1"}}}
    async with connect_openai(scripted.url, "receptionist") as peer:
        await peer.connection.session.update(session=session(tools=[WEATHER], audio=transcription))
        await peer.until("session.updated")
        peer.say(await speaker.say(QUESTION))
        call = await peer.until("response.function_call_arguments.done")
        assert call["name"] == "look_outside"
        assert json.loads(call["arguments"]) == {"city": "Berlin"}
        asked = await peer.until("response.done")
        assert [item["type"] for item in asked["response"]["output"]] == ["function_call"]
        await answer_call(peer, call, '{"sky": "rain"}')
        told = await peer.until("response.done", saying("There is rain in Berlin."))
        [item] = told["response"]["output"]
        assert "rain in berlin" in await listener.hear(at_48_khz(peer.heard[item["id"]]))
        peer.say(await speaker.say(THANKS))
        thanked = await peer.until("response.done", saying("Yes, you need an umbrella."))
        started, again = [e for e in peer.events if e["type"].endswith("speech_started")]
        written, _ = [e for e in peer.events if e["type"].endswith("transcription.completed")]
        assert words_wrong(QUESTION, written["transcript"]) <= 1
        assert peer.kinds[:2] == ["session.created", "session.updated"]
        for turn, response, kinds in (
            (started, asked, CALLED),
            (None, told, ANSWERED),
            (again, thanked, ANSWERED),
        ):
            assert peer.kinds_about(response) == kinds
            assert turn is None or peer.kinds_about(turn) == SPOKEN
    offered = [tool["function"]["name"] for tool in llm.chats[-1]["tools"]]
    assert "look_outside" in offered
    assert "book_appointment" in offered, "the bot's own"


CALLED = [
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
]
HEARD = [
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "conversation.item.added",
    "conversation.item.done",
]
SPOKEN = [
    *HEARD,
    "conversation.item.input_audio_transcription.delta",
    "conversation.item.input_audio_transcription.completed",
]
ANSWERED = [
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_audio.delta",
    "response.output_audio_transcript.delta",
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
]


@pytest.mark.long
async def test_the_example_of_the_documentation_is_answered(
    service: Service, listener: Listener, tmp_path: Path
) -> None:
    examples = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.M | re.S)
    [example] = [example for example in examples if "AsyncOpenAI" in example]
    await until_no_session(service.url, timeout=FREE_SECS)
    program = example.replace("http://localhost:7860", service.url)
    running = await asyncio.create_subprocess_exec(sys.executable, "-c", program, cwd=tmp_path)
    assert await asyncio.wait_for(running.wait(), EXAMPLE_SECS) == 0
    with wave.open(str(tmp_path / "answer.wav")) as wav:
        pcm = wav.readframes(wav.getnframes())
    assert "sunday" in await listener.hear(at_48_khz(pcm))


@pytest.mark.long
async def test_who_speaks_over_an_answer_cancels_it_and_hears_no_more_of_it(
    scripted: Service, llm: OpenAIStandin, speaker: Speaker
) -> None:
    llm.reply = forecast
    async with connect_openai(scripted.url, "receptionist") as peer:
        await write(peer, "Tell me about cities.")
        await peer.connection.response.create()
        await peer.until("response.output_audio_transcript.delta", lambda e: "city" in e["delta"])
        peer.say(await speaker.say("But do I really need an umbrella with me today?"))
        begun = await peer.until("input_audio_buffer.speech_started")
        done = await peer.until("response.done")
        assert done["response"]["status"] == "cancelled"
        assert done["response"]["status_details"]["reason"] == "turn_detected"
        at, over = peer.events.index(begun), peer.events.index(done)
        assert at < over
        [item] = done["response"]["output"]
        assert item["status"] == "incomplete"
        said = [e["delta"] for e in peer.events if e["type"].endswith("audio_transcript.delta")]
        assert heard(done) == "".join(said), "what is claimed to be said, was told word by word"
        assert LONG.startswith(heard(done))
        assert heard(done) != LONG
        sent_ms = len(peer.heard[item["id"]]) / 48
        await peer.connection.conversation.item.truncate(
            item_id=item["id"], content_index=0, audio_end_ms=int(sent_ms)
        )
        await peer.until("conversation.item.truncated")
        await peer.until("response.done", saying("I do not know."), after=over + 1)
        late = [e for e in peer.events[over:] if e.get("item_id") == item["id"]]
        assert [e["type"] for e in late] == ["conversation.item.truncated"]
    remembered = [m["content"] for m in llm.chats[-1]["messages"] if m["role"] == "assistant"]
    assert remembered[0].startswith(heard(done)[:20])
    assert len(remembered[0]) < len(LONG), "the bot knows that it was cut off"


@pytest.mark.long
async def test_what_is_written_is_answered_when_the_client_says_so(
    scripted: Service, llm: OpenAIStandin
) -> None:
    llm.reply = lambda messages: f"{messages[0]['content'].split()[-1]} {last_words(messages)}"
    async with connect_openai(scripted.url, "receptionist", muted=True) as peer:
        await peer.connection.session.update(session=session(instructions="Your word is: parrot"))
        await peer.until("session.updated")
        await write(peer, "One.")
        done = await peer.until("conversation.item.done")
        await peer.connection.conversation.item.create(
            previous_item_id=done["item"]["id"],
            item={
                "type": "message",
                "role": "system",
                "content": [{"type": "input_text", "text": "Be brief."}],
            },
        )
        await write(peer, "Two.")
        await peer.connection.response.create(response={"metadata": {"topic": "numbers"}})
        told = await peer.until("response.done")
        assert heard(told) == "parrot Two."
        assert told["response"]["metadata"] == {"topic": "numbers"}
        before = len(peer.events)
        await peer.connection.response.create(response={"instructions": "Say hello."})
        assert heard(await peer.until("response.done", after=before)) == "parrot Say hello."
        before = len(peer.events)
        await peer.connection.response.create()
        again = await peer.until("response.done", after=before)
        assert heard(again).startswith("parrot parrot"), "that was for one response alone"
    roles = [message["role"] for message in llm.chats[0]["messages"]]
    assert roles == ["system", "user", "developer", "user"]


@pytest.mark.long
async def test_answers_can_be_written_instead_of_spoken(
    scripted: Service, llm: OpenAIStandin
) -> None:
    llm.reply = forecast
    async with connect_openai(scripted.url, "receptionist", muted=True) as peer:
        await peer.connection.session.update(session=session(output_modalities=["text"]))
        await write(peer, "Do I need an umbrella?")
        await peer.connection.response.create()
        done = await peer.until("response.done")
        [item] = done["response"]["output"]
        assert item["content"] == [{"type": "output_text", "text": "I do not know. "}]
        assert done["response"]["output_modalities"] == ["text"]
        assert not peer.heard
        await peer.connection.session.update(session=session(output_modalities=["audio"]))
        before = len(peer.events)
        await write(peer, "Do I need an umbrella?")
        await peer.connection.response.create()
        assert heard(await peer.until("response.done", after=before)) == "I do not know."


@pytest.mark.long
async def test_push_to_talk(scripted: Service, llm: OpenAIStandin, speaker: Speaker) -> None:
    llm.reply = forecast
    pcm = at_24_khz(await speaker.say(UMBRELLA)).tobytes()
    by_hand = {"input": {"turn_detection": None, "transcription": {"model": "whisper-1"}}}
    async with connect_openai(scripted.url, "receptionist", muted=True) as peer:
        await peer.connection.session.update(session=session(audio=by_hand))
        await peer.connection.input_audio_buffer.append(audio=base64.b64encode(pcm).decode())
        await peer.connection.input_audio_buffer.clear()
        await peer.until("input_audio_buffer.cleared")
        await peer.connection.input_audio_buffer.commit()
        nothing = await peer.until("error")
        assert nothing["error"]["code"] == "input_audio_buffer_commit_empty"
        await peer.connection.input_audio_buffer.append(audio=base64.b64encode(pcm).decode())
        await peer.connection.input_audio_buffer.commit()
        written = await peer.until("conversation.item.input_audio_transcription.completed")
        assert words_wrong(UMBRELLA, written["transcript"]) <= 1
        await asyncio.sleep(SILENCE_SECS)
        assert "response.created" not in peer.kinds, "nobody has asked for an answer"
        assert not llm.chats
        await peer.connection.response.create()
        assert heard(await peer.until("response.done")) == "I do not know."
        before = len(peer.events)
        # As most clients do: with the same breath.
        await peer.connection.input_audio_buffer.append(audio=base64.b64encode(pcm).decode())
        await peer.connection.input_audio_buffer.commit()
        await peer.connection.response.create()
        done = await peer.until("response.done", after=before)
        assert done["response"]["status"] == "completed"
        assert heard(done) == "I do not know."
        assert "input_audio_buffer.speech_started" not in peer.kinds
    said = [m["content"] for m in llm.chats[-1]["messages"] if m["role"] == "user"]
    assert len(said) == 2


@pytest.mark.long
@pytest.mark.parametrize(("kind", "law"), [("audio/pcmu", "mulaw"), ("audio/pcma", "alaw")])
async def test_a_telephone_is_heard_and_spoken_to(
    scripted: Service,
    llm: OpenAIStandin,
    speaker: Speaker,
    listener: Listener,
    kind: str,
    law: Literal["mulaw", "alaw"],
) -> None:
    llm.reply = always("Yes, we are open on Saturday until twelve noon.")
    encoder, decoder = TelephoneEncoder(law, SAMPLE_RATE_HZ), RawDecoder(law, 8_000, RATE_HZ)
    said = b"".join(encoder.feed((await speaker.say(UMBRELLA)).tobytes()))
    sound = {"format": {"type": kind}}
    async with connect_openai(scripted.url, "receptionist", muted=True) as peer:
        heard_so = {**sound, "turn_detection": None, "transcription": {"model": "whisper-1"}}
        by_hand = {"input": heard_so, "output": sound}
        await peer.connection.session.update(session=session(audio=by_hand))
        await peer.connection.input_audio_buffer.append(audio=base64.b64encode(said).decode())
        await peer.connection.input_audio_buffer.commit()
        await peer.connection.response.create()
        [item] = (await peer.until("response.done"))["response"]["output"]
        written = await peer.until("conversation.item.input_audio_transcription.completed")
    assert words_wrong(UMBRELLA, written["transcript"]) <= 1
    answer = at_48_khz(decoder.feed(peer.heard[item["id"]]))
    assert "saturday" in await listener.hear(answer)


@pytest.mark.long
async def test_a_client_that_answers_late_or_not_at_all_does_not_leave_its_user_in_silence(
    scripted: Service, llm: OpenAIStandin, speaker: Speaker
) -> None:
    llm.reply = forecast
    async with connect_openai(scripted.url, "receptionist") as peer:
        await peer.connection.session.update(session=session(tools=[WEATHER]))
        await write(peer, "What is the weather like?")
        await peer.connection.response.create()
        call = await peer.until("response.function_call_arguments.done")
        before = len(peer.events)
        peer.say(await speaker.say("Do I need an umbrella?"))
        # The user is answered meanwhile, be it behind the bot's "one moment".
        await peer.until("response.done", saying("I do not know."), after=before)
        before = len(peer.events)
        await peer.connection.conversation.item.create(
            item={
                "type": "function_call_output",
                "call_id": call["call_id"],
                "output": '{"sky": "rain"}',
            }
        )
        await write(peer, "Do I need an umbrella?")
        await peer.connection.response.create()
        told = await peer.until("response.done", after=before)
        assert heard(told) == "Yes, you need an umbrella.", "what came late is known"


@pytest.mark.long
async def test_a_response_is_cancelled(scripted: Service, llm: OpenAIStandin) -> None:
    llm.reply = forecast
    async with connect_openai(scripted.url, "receptionist", muted=True) as peer:
        await peer.connection.response.cancel()
        none = await peer.until("error")
        assert none["error"]["code"] == "response_cancel_not_active"
        await write(peer, "Tell me about cities.")
        await peer.connection.response.create()
        await peer.until("response.output_audio_transcript.delta")
        await peer.connection.response.create()
        active = await peer.until("error", after=peer.events.index(none) + 1)
        assert active["error"]["code"] == "conversation_already_has_active_response"
        await peer.connection.response.cancel()
        done = await peer.until("response.done")
        assert done["response"]["status_details"]["reason"] == "client_cancelled"
        before = len(peer.events)
        await write(peer, "Do I need an umbrella?")
        await peer.connection.response.create()
        assert heard(await peer.until("response.done", after=before)) == "I do not know."


BAD: dict[str, Any] = {
    "unknown_type": {"type": "conversation.item.sing"},
    "invalid_message": {"type": "input_audio_buffer.append"},
    "audio_invalid": {"type": "input_audio_buffer.append", "audio": "%%%"},
    "unknown_call": {
        "type": "conversation.item.create",
        "item": {"type": "function_call_output", "call_id": "call_9", "output": "1"},
    },
    "item_not_found": {
        "type": "conversation.item.truncate",
        "item_id": "item_9",
        "content_index": 0,
        "audio_end_ms": 1,
    },
    "unknown_voice": {
        "type": "session.update",
        "session": session(audio={"output": {"voice": "x"}}),
    },
}


async def test_what_cannot_be_taken_is_answered_and_the_call_goes_on(
    scripted: Service, llm: OpenAIStandin
) -> None:
    llm.reply = forecast
    async with connect_openai(scripted.url, "receptionist", muted=True) as peer:
        for code, message in BAD.items():
            before = len(peer.events)
            await peer.connection.send({**message, "event_id": f"my_{code}"})
            error = await peer.until("error", after=before)
            assert error["error"]["code"] == code
            assert error["error"]["type"] == "invalid_request_error"
            assert error["error"]["event_id"] == f"my_{code}"
        await peer.connection.send_raw("no JSON")
        await peer.connection.send_raw(b"\0")
        await write(peer, "Do I need an umbrella?")
        await peer.connection.response.create()
        assert heard(await peer.until("response.done")) == "I do not know."


async def test_who_may_not_or_asks_for_nobody_is_told_why(tmp_path: Path) -> None:
    key = keys(tmp_path, "add", "ada")
    with run_service(tmp_path) as service:
        for model, sent, code in (
            ("receptionist", "unused", "invalid_api_key"),
            ("nobody", key, "model_not_found"),
        ):
            async with connect_openai(service.url, model, key=sent, muted=True) as peer:
                error = await peer.until("error")
                assert error["error"]["code"] == code
                await asyncio.wait_for(peer.closed.wait(), 5)
                assert peer.close_code == REFUSED
        async with connect_openai(service.url, "receptionist", key=key, muted=True) as peer:
            assert (await peer.until("session.created"))["session"]["model"] == "receptionist"
        address = service.url.replace("http", "ws") + "/v1/realtime?model=receptionist"
        for said, kind in ((key, "session.created"), ("unused", "error")):
            protocols: Any = ["realtime", f"openai-insecure-api-key.{said}"]
            async with open_socket(address, subprotocols=protocols) as socket:
                assert socket.subprotocol == "realtime"
                assert json.loads(await asyncio.wait_for(socket.recv(), 30))["type"] == kind
        async with (
            aiohttp.ClientSession(service.url, headers={"X-API-Key": key}) as http,
            http.post(
                "/start", json={"transport": "openai-realtime", "body": {"bot": "sales"}}
            ) as it,
        ):
            address = (await it.json())["wsUrl"]
        async with open_socket(address) as socket:
            begun = json.loads(await asyncio.wait_for(socket.recv(), 30))
            assert begun["session"]["model"] == "sales"


@pytest.mark.long
async def test_bots_with_an_agent_and_by_speech_to_speech_are_talked_to_in_the_same_way(
    scripted: Service, llm: OpenAIStandin, speaker: Speaker
) -> None:
    llm.reply = lambda messages: "It costs twenty dollars." if "cost" in str(messages[-1]) else ""
    for model, asked, answer in (
        ("sandwich", "What does the team plan cost?", "It costs twenty dollars."),
        ("realtime", "Are you open on Sunday?", "No, we are closed on Sundays."),
    ):
        async with connect_openai(scripted.url, model) as peer:
            await peer.connection.session.update(session=session(tools=[WEATHER]))
            error = await peer.until("error")
            assert error["error"]["code"] == "unsupported"
            peer.say(await speaker.say(asked))
            assert heard(await peer.until("response.done")) == answer
            kinds = [kind for kind in peer.kinds if "delta" not in kind][2:]
            assert kinds == [*HEARD, *(kind for kind in ANSWERED if "delta" not in kind)]
        async with connect_openai(scripted.url, model) as peer:
            await write(peer, asked)
            await peer.connection.response.create()
            assert heard(await peer.until("response.done")) == answer
