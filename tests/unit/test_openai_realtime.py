"""What clients of OpenAI's Realtime protocol are told, in which order, and what they may send."""

import asyncio
import json
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest
from pipecat.frames.frames import Frame, InputAudioRawFrame, InterruptionFrame

from processors.client_control import (
    TOOLS_LEFT_OUT,
    UTTERANCE_OVER,
    ClientInterruptionFrame,
    ClientMessageFrame,
    ClientSettingsFrame,
    RespondFrame,
    ToolOutputFrame,
)
from processors.protocols.openai_events import Conversation
from processors.protocols.openai_realtime import OpenAiRealtimeSerializer
from processors.protocols.openai_responses import CANCELLED, Responses
from processors.protocols.openai_session import Answerer
from processors.protocols.openai_turns import UserTurns
from processors.protocols.sound import Microphone, Sound, to_base64
from processors.push_to_talk import FinalAudioFrame
from tests.openai_events import check

RATE_HZ = 16_000
ALL = Answerer(
    "5f0c",
    "receptionist",
    "joe",
    instruct=lambda text: f"You are {text or 'Grace'}.",
    takes_tools=True,
    is_chained=True,
    is_interruptible=True,
)
NOTHING = Answerer(
    "5f0c",
    "sandwich",
    "joe",
    instruct=None,
    takes_tools=False,
    is_chained=False,
    is_interruptible=False,
)
TOOL = {"type": "function", "name": "look", "parameters": {"type": "object"}}
BY_HAND = {"audio": {"input": {"turn_detection": None}}}
SAID_BY_BOT = [
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
]
CALLED = [
    "response.output_item.added",
    "conversation.item.added",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "conversation.item.done",
    "response.output_item.done",
]


class Decoder:
    """Notes what it is made for, and changes nothing."""

    made: list[tuple[Any, ...]]

    def __init__(self, sound: Sound, rate_hz: int) -> None:
        Decoder.made.append((sound.format, sound.sample_rate, rate_hz))

    def feed(self, data: bytes) -> bytes:
        return data

    def finish(self) -> bytes:
        return b""

    def close(self) -> None: ...


class Voice:
    def __init__(self, encoding: str, rate_hz: int) -> None:
        Decoder.made.append((encoding, rate_hz))

    def feed(self, data: bytes) -> list[bytes]:
        return [data]

    def finish(self) -> list[bytes]:
        return [b"\1\0"]


@pytest.fixture(autouse=True)
def no_codecs_yet() -> None:
    Decoder.made = []


class Client:
    """A client that is spoken with, without a socket."""

    def __init__(self, answerer: Answerer = ALL) -> None:
        self.told: list[dict[str, Any]] = []
        self.serializer = OpenAiRealtimeSerializer(
            self._keep,
            answerer=answerer,
            microphone=Microphone(Decoder),
            make_voice=Voice,
        )

    async def _keep(self, text: str) -> None:
        event = json.loads(text)
        check(event)
        self.told.append(event)

    @property
    def kinds(self) -> list[str]:
        return [event["type"] for event in self.told]

    async def begin(self) -> "Client":
        setup: Any = SimpleNamespace(audio_in_sample_rate=RATE_HZ, audio_out_sample_rate=24_000)
        await self.serializer.setup(setup)
        await self.listen()
        return self

    async def listen(self) -> None:
        await self.happen("server-message", type="voice-state", state="listening")

    async def send(self, kind: str, **content: Any) -> Frame | None:
        return await self.serializer.deserialize(json.dumps({"type": kind, **content}))

    async def update(self, **session: Any) -> Frame | None:
        return await self.send("session.update", session={"type": "realtime", **session})

    async def hear(self, ms: int) -> Frame | None:
        audio = to_base64(b"\1\0" * (RATE_HZ * ms // 1000))
        return await self.send("input_audio_buffer.append", audio=audio)

    async def happen(self, kind: str, **data: Any) -> None:
        await self.serializer.send(self.serializer.tell(kind, data))

    async def play(self, ms: int = 20) -> None:
        await self.serializer.send(self.serializer.play(bytes(48 * ms)))

    async def say(self, words: str) -> None:
        await self.happen("bot-output", **output(1, words))


def output(segment: int, said: str) -> dict[str, Any]:
    """Return what RTVI tells of a sentence of which so much has been spoken."""
    progress = {"accumulated_text": said, "remaining_text": ""}
    return {"text": "", "segment_id": segment, "spoken_progress": progress}


def kinds(events: Iterable[Any]) -> list[str]:
    told = list(events)
    for event in told:
        check(event)
    return [event["type"] for event in told]


def responses() -> Responses:
    return Responses(Conversation(), lambda: {"output_modalities": ["audio"]})


def test_an_answer_is_told_from_its_beginning_to_its_end() -> None:
    it = responses()
    it.start()
    told = [
        *it.write("Hello.", is_spoken=True),
        *it.stop(),
        *it.sound("AAAA", 20),
        *it.say("Hello."),
        *it.fall_silent(),
    ]
    assert kinds(told) == ["response.created", *SAID_BY_BOT, "response.done"]
    done = told[-1]["response"]
    assert (done["status"], done["output"][0]["content"][0]["transcript"]) == (
        "completed",
        "Hello.",
    )
    assert len({event["event_id"] for event in told}) == len(told)


def test_an_answer_that_stalls_is_one_and_ends_when_no_more_is_to_be_heard() -> None:
    it = responses()
    it.start()
    begun = [*it.write("One, ", is_spoken=True), *it.sound("AA", 1), *it.say("One,")]
    assert "response.output_audio.done" not in kinds([*begun, *it.fall_silent()])
    again = [*it.write("two.", is_spoken=True), *it.stop(), *it.sound("AA", 1), *it.say(" two.")]
    assert kinds(again) == ["response.output_audio.delta", "response.output_audio_transcript.delta"]
    [*_, done] = it.fall_silent()
    assert done["response"]["output"][0]["content"][0]["transcript"] == "One, two."


def test_an_answer_whose_last_words_were_heard_before_it_was_over_ends_then() -> None:
    it = responses()
    it.start()
    told = [*it.write("Hi.", is_spoken=True), *it.sound("AA", 1), *it.say("Hi.")]
    told += it.fall_silent()
    assert "response.done" not in kinds(told)
    assert kinds(it.stop())[-1] == "response.done"


def test_calls_of_the_clients_tools_end_a_response_when_all_are_made() -> None:
    it = responses()
    it.start()
    told = [*it.announce_call(), *it.announce_call(), *it.call("c1", "look", "{}")]
    told += [*it.stop(), *it.call("c2", "look", "{}")]
    assert kinds(told) == ["response.created", *CALLED, *CALLED, "response.done"]
    calls = told[-1]["response"]["output"]
    assert [call["call_id"] for call in calls] == ["c1", "c2"]


def test_a_call_is_told_while_the_bot_says_what_it_does() -> None:
    it = responses()
    it.start()
    told = [*it.write("Let me see.", is_spoken=True), *it.sound("AA", 1)]
    told += [*it.announce_call(), *it.call("c1", "look", "{}"), *it.stop()]
    assert kinds(told)[-1] == "response.output_item.done"
    [*_, done] = it.fall_silent()
    assert [item["type"] for item in done["response"]["output"]] == ["message", "function_call"]


def test_tools_of_the_bots_own_are_not_told_and_the_response_goes_on() -> None:
    it = responses()
    it.start()
    told = [*it.announce_call(), *it.call_own("c1"), *it.stop()]
    told += [*it.sound("AA", 1), *it.say("One moment."), *it.fall_silent()]
    it.end_call("c1", is_cancelled=False)
    it.start()
    told += [*it.write("Booked.", is_spoken=True), *it.stop()]
    told += [*it.sound("AA", 1), *it.say("Booked."), *it.fall_silent()]
    assert kinds(told) == ["response.created", *SAID_BY_BOT, *SAID_BY_BOT, "response.done"]
    assert [e["output_index"] for e in told if e["type"] == "response.output_item.done"] == [0, 1]


def test_a_tool_that_is_faster_than_the_model_does_not_end_the_response() -> None:
    it = responses()
    it.start()
    told = [*it.announce_call(), *it.call_own("c1")]
    it.end_call("c1", is_cancelled=False)
    assert "response.done" not in kinds([*told, *it.stop()])
    it.start()
    assert kinds(it.stop()) == ["response.done"]


def test_a_response_that_is_cut_off_claims_what_was_heard_and_no_more() -> None:
    it = responses()
    it.start()
    told = [*it.write("One, two, three.", is_spoken=True), *it.stop()]
    told += [*it.sound("AA", 1), *it.say("One,"), *it.cancel(CANCELLED)]
    [*_, done] = told
    check(done)
    [item] = done["response"]["output"]
    assert (item["status"], item["content"][0]["transcript"]) == ("incomplete", "One,")
    late = [*it.say(" two,"), *it.stop(), *it.fall_silent(), *it.cancel(CANCELLED)]
    assert not late, "what comes after is of no response"
    assert kinds([*it.create(), *it.stop(), *it.fall_silent()]) == ["response.created"], "nor this"


def test_what_the_bot_says_of_its_own_accord_is_a_response_as_well() -> None:
    it = responses()
    told = [*it.sound("AA", 1), *it.say("Are you still there?"), *it.fall_silent()]
    assert kinds(told) == ["response.created", *SAID_BY_BOT, "response.done"]


def test_an_answer_without_a_word_ends() -> None:
    it = responses()
    told = [*it.create()]
    it.start()
    assert kinds([*told, *it.stop()]) == ["response.created", "response.done"]


def test_an_answer_that_is_made_ahead_is_none_before_it_is_told() -> None:
    it = responses()
    it.start()
    assert not [*it.stop(), *it.write("Withdrawn.", is_spoken=True)]
    it.start()
    assert kinds(it.write("Hi.", is_spoken=True)) == ["response.created"]


def test_items_know_which_one_is_before_them() -> None:
    conversation = Conversation()
    turns, it = UserTurns(conversation), Responses(conversation, dict)
    told = [*turns.start(0), *turns.say("Hello."), *turns.stop(900), *it.sound("AA", 1)]
    told += [*turns.start(1000), *it.cancel(CANCELLED), *turns.stop(2000)]
    added = [event for event in told if event["type"] == "conversation.item.added"]
    names = [event["item"]["id"] for event in added]
    assert [event["previous_item_id"] for event in added] == [None, *names[:-1]]
    done = [event for event in told if event["type"] == "conversation.item.done"]
    assert [event["previous_item_id"] for event in done] == [None, *names[:-1]]
    [first, second] = [e for e in told if e["type"] == "input_audio_buffer.speech_started"]
    assert (first["item_id"], second["item_id"]) == (names[0], names[2])


def test_what_the_user_says_is_told_when_it_is_known_and_once() -> None:
    turns = UserTurns(Conversation())
    turns.is_written = True
    told = [*turns.start(200), *turns.say("Hello"), *turns.say("there."), *turns.stop(1200)]
    assert kinds(told)[-2:] == [
        "conversation.item.input_audio_transcription.delta",
        "conversation.item.input_audio_transcription.completed",
    ]
    assert (told[-1]["transcript"], told[-1]["usage"]["seconds"]) == ("Hello there.", 1.0)
    late = [*turns.start(2000), *turns.stop(3000)]
    assert kinds(late)[-1] == "conversation.item.done"
    [_, written] = turns.say("Late.")
    assert written["transcript"] == "Late."
    assert not [*turns.say("Too late."), *turns.give_up()]
    noise = [*turns.start(4000), *turns.stop(5000), *turns.give_up()]
    assert noise[-1]["transcript"] == ""
    [*_] = [*turns.start(6000), *turns.stop(7000)]
    assert kinds(turns.start(8000)) == [
        "conversation.item.input_audio_transcription.completed",
        "input_audio_buffer.speech_started",
    ]


async def test_the_session_begins_once_and_says_who_answers() -> None:
    client = Client()
    too_soon = asyncio.create_task(client.send("response.cancel"))
    await asyncio.sleep(0)
    await client.begin()
    await too_soon
    await client.listen()
    assert client.kinds == ["session.created", "error"]
    session = client.told[0]["session"]
    assert session["model"] == "receptionist"
    assert session["audio"]["output"] == {
        "format": {"type": "audio/pcm", "rate": 24000},
        "voice": "joe",
    }


async def test_what_is_changed_about_the_session_stays_until_it_is_changed_again() -> None:
    client = await Client().begin()
    frame = await client.update(
        tools=[TOOL], instructions="Max", audio={"output": {"voice": {"id": "joe"}}}
    )
    assert isinstance(frame, ClientSettingsFrame)
    assert (frame.instructions, [tool.name for tool in frame.tools]) == ("You are Max.", ["look"])
    assert frame.answers_turns
    frame = await client.update(**BY_HAND)
    assert isinstance(frame, ClientSettingsFrame)
    assert frame.instructions is None, "as it was"
    assert [tool.name for tool in frame.tools] == ["look"]
    assert not frame.answers_turns
    session = client.told[-1]["session"]
    assert session["instructions"] == "Max"
    assert session["audio"]["input"]["turn_detection"] is None
    frame = await client.update(instructions="", tools=[], output_modalities=["text"])
    assert isinstance(frame, ClientSettingsFrame)
    assert (frame.instructions, frame.tools, frame.is_spoken) == ("You are Grace.", [], False)
    assert client.told[-1]["session"]["audio"]["input"]["turn_detection"] is None
    detection = {"type": "server_vad", "create_response": False, "threshold": 0.5}
    frame = await client.update(audio={"input": {"turn_detection": detection}})
    assert isinstance(frame, ClientSettingsFrame)
    assert not frame.answers_turns


@pytest.mark.parametrize(
    "session",
    [
        {"instructions": "Max"},
        {"tools": [TOOL]},
        {"output_modalities": ["text"]},
        BY_HAND,
        {
            "audio": {
                "input": {"turn_detection": {"type": "semantic_vad", "create_response": False}}
            }
        },
    ],
)
async def test_what_a_bot_cannot_do_is_refused_and_all_stays_as_it_was(
    session: dict[str, Any],
) -> None:
    client = await Client(NOTHING).begin()
    assert await client.update(**session) is None
    assert client.told[-1]["error"]["code"] == "unsupported"
    assert await client.update(instructions="", tools=[]) is not None
    before, after = client.told[0]["session"], client.told[-1]["session"]
    assert before == after


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            "unknown_voice",
            {"type": "session.update", "session": {"audio": {"output": {"voice": "x"}}}},
        ),
        ("invalid_message", {"type": "session.update", "session": {"type": "transcription"}}),
        ("invalid_message", {"type": "session.update", "session": {"tools": [{"type": "mcp"}]}}),
        (
            "invalid_message",
            {
                "type": "session.update",
                "session": {"tools": [{**TOOL, "parameters": {"properties": {"$ref": "#"}}}]},
            },
        ),
        ("invalid_message", {"type": "response.create", "response": {"conversation": "none"}}),
        ("invalid_message", {"type": "response.create", "response": {"input": []}}),
        ("unsupported", {"type": "response.create", "response": {"output_modalities": ["text"]}}),
        ("unknown_type", {"type": "conversation.item.retrieve", "item_id": "x"}),
        (
            "invalid_message",
            {
                "type": "conversation.item.create",
                "item": {
                    "type": "message",
                    "role": "user",
                    "content": [{"type": "input_image", "image_url": "x"}],
                },
            },
        ),
        (
            "unsupported",
            {
                "type": "conversation.item.create",
                "previous_item_id": "elsewhere",
                "item": {
                    "type": "message",
                    "role": "user",
                    "content": [{"type": "input_text", "text": "x"}],
                },
            },
        ),
        ("input_audio_buffer_commit_empty", {"type": "input_audio_buffer.commit"}),
    ],
)
async def test_an_error_names_what_it_is_about(code: str, message: dict[str, Any]) -> None:
    client = await Client().begin()
    frame = await client.serializer.deserialize(json.dumps({**message, "event_id": "mine"}))
    assert frame is None
    error = client.told[-1]["error"]
    assert (error["code"], error["event_id"]) == (code, "mine")
    assert error["type"] == "invalid_request_error"


@pytest.mark.parametrize("data", ["", "{", "[]", "3", b"\0", '{"type": 3}', '{"event_id": 3}'])
async def test_what_is_no_event_is_answered(data: str | bytes) -> None:
    client = await Client().begin()
    assert await client.serializer.deserialize(data) is None
    assert client.kinds[1:] == ["error"]


@pytest.mark.parametrize(
    ("kind", "encoding", "rate_hz"),
    [
        ("audio/pcm", "pcm16", 24_000),
        ("audio/pcmu", "mulaw", 8_000),
        ("audio/pcma", "alaw", 8_000),
    ],
)
async def test_sound_comes_and_goes_in_the_form_that_the_client_has_chosen(
    kind: str, encoding: str, rate_hz: int
) -> None:
    client = await Client().begin()
    await client.hear(20)
    sound = {"format": {"type": kind}}
    await client.update(audio={"input": sound, "output": sound})
    await client.hear(20)
    await client.play()
    assert Decoder.made[-2:] == [(encoding, rate_hz, RATE_HZ), (encoding, 24_000)]
    await client.happen("bot-stopped-speaking")
    assert client.kinds.count("response.output_audio.delta") == 2, "the rest of it too"


async def test_how_much_of_an_item_was_heard_is_no_more_than_was_sent() -> None:
    client = await Client().begin()
    await client.play(500)
    item_id = next(e["item_id"] for e in client.told if e["type"].endswith("part.added"))
    about = {"item_id": item_id, "content_index": 0}
    await client.send("conversation.item.truncate", **about, audio_end_ms=501)
    assert client.told[-1]["error"]["code"] == "invalid_value"
    await client.send("conversation.item.truncate", **about, audio_end_ms=500)
    assert client.told[-1]["audio_end_ms"] == 500


async def test_what_is_recorded_waits_for_a_client_that_ends_turns_itself() -> None:
    client = await Client().begin()
    await client.update(**BY_HAND)
    assert await client.hear(300) is None
    await client.send("input_audio_buffer.clear")
    assert await client.hear(200) is None
    frame = await client.send("input_audio_buffer.commit")
    assert isinstance(frame, FinalAudioFrame)
    assert frame.audio.count(b"\1\0") == RATE_HZ // 5, "what was cleared is not in it"
    assert client.kinds[-4:] == [
        "input_audio_buffer.cleared",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
    ]
    for _ in range(29):
        await client.hear(1000)
    assert client.kinds[-1] != "error"
    await client.hear(1000)
    assert client.told[-1]["error"]["code"] == "input_audio_buffer_full"


async def test_what_was_said_in_several_turns_of_an_utterance_is_told_at_its_end() -> None:
    client = await Client().begin()
    await client.update(**{"audio": {"input": {"turn_detection": None, "transcription": {}}}})
    for _ in range(2):
        await client.hear(300)
        await client.send("input_audio_buffer.commit")
        await client.happen("server-message", **UTTERANCE_OVER)
        assert client.told[-1]["transcript"] == ""
        await client.hear(300)
        await client.send("input_audio_buffer.commit")
        for words in ("Thank you.", "Goodbye."):
            await client.happen("user-started-speaking")
            await client.happen("user-transcription", final=True, text=words)
            await client.happen("user-stopped-speaking")
        await client.listen()
        assert client.kinds[-1] == "conversation.item.done"
        await client.happen("server-message", **UTTERANCE_OVER)
        assert client.told[-1]["transcript"] == "Thank you. Goodbye."


async def test_its_utterance_does_not_cancel_the_response_to_it() -> None:
    client = await Client().begin()
    await client.update(**BY_HAND)
    await client.hear(300)
    await client.send("input_audio_buffer.commit")
    frame = await client.send("response.create")
    assert isinstance(frame, RespondFrame)
    assert frame.utterances == 1, "it is not to overtake its sound"
    await client.happen("user-started-speaking")
    await client.happen("bot-interrupted")
    await client.happen("user-stopped-speaking")
    await client.happen("bot-output", **output(7, "stale"))
    assert client.kinds[-1] == "response.created"
    await client.send("response.cancel")
    await client.happen("bot-interrupted")
    assert client.told[-1]["response"]["status_details"]["reason"] == "client_cancelled"


async def test_who_may_not_interrupt_is_not_heard_while_the_bot_speaks() -> None:
    client = await Client().begin()
    detection = {"type": "server_vad", "interrupt_response": False}
    await client.update(audio={"input": {"turn_detection": detection}})
    frame = await client.hear(20)
    assert isinstance(frame, InputAudioRawFrame)
    assert any(frame.audio)
    await client.play()
    frame = await client.hear(20)
    assert isinstance(frame, InputAudioRawFrame)
    assert not any(frame.audio)
    client = await Client(NOTHING).begin()
    await client.play()
    assert await client.send("response.cancel") is None
    assert client.told[-1]["error"]["code"] == "unsupported"


async def test_who_interrupts_is_told_so_first_and_then_what_became_of_the_response() -> None:
    client = await Client().begin()
    await client.hear(1000)
    await client.happen("bot-llm-started")
    await client.happen("bot-llm-text", text="One, two.")
    await client.play()
    await client.say("One,")
    before = len(client.told)
    await client.serializer.send(client.serializer.interrupt())
    await client.happen("user-started-speaking")
    await client.happen("bot-interrupted")
    assert client.kinds[before] == "input_audio_buffer.speech_started"
    assert client.told[before]["audio_start_ms"] == 700
    assert client.kinds[-1] == "response.done"
    assert client.told[-1]["response"]["status_details"]["reason"] == "turn_detected"


async def test_items_and_wishes_for_a_response_become_frames() -> None:
    client = await Client().begin()
    await client.update(tools=[TOOL])
    text = {"type": "input_text", "text": "Hi"}
    user = {"type": "message", "role": "user", "id": "mine", "content": [text, text]}
    frame = await client.send("conversation.item.create", item=user)
    assert isinstance(frame, ClientMessageFrame)
    assert (frame.role, frame.text) == ("user", "Hi Hi")
    await client.send("conversation.item.create", item=user)
    assert client.told[-1]["error"]["code"] == "item_exists"
    system = {"type": "message", "role": "system", "content": [text]}
    frame = await client.send("conversation.item.create", item=system, previous_item_id="mine")
    assert isinstance(frame, ClientMessageFrame)
    assert frame.role == "developer"
    frame = await client.send("response.create", response={"instructions": "Be brief."})
    assert isinstance(frame, RespondFrame)
    assert frame.instructions == "Be brief."
    await client.send("response.create")
    assert client.told[-1]["error"]["code"] == "conversation_already_has_active_response"
    await client.happen("bot-llm-started")
    call = {"function_name": "look", "tool_call_id": "c1", "arguments": {"at": "sky"}}
    await client.happen("llm-function-call-started", function_name="look")
    await client.happen("llm-function-call-in-progress", **call)
    given = {"type": "function_call_output", "call_id": "c1", "output": "blue"}
    frame = await client.send("conversation.item.create", item=given)
    assert isinstance(frame, ToolOutputFrame)
    assert (frame.call_id, frame.output) == ("c1", "blue")
    assert "response.done" not in client.kinds
    assert isinstance(await client.send("response.create"), RespondFrame), "of the output"
    await client.happen("bot-llm-stopped")
    assert client.kinds[-1] == "response.done"
    await client.happen("bot-llm-started")
    await client.happen("bot-llm-text", text="Blue.")
    assert client.kinds[-1] == "response.created"
    await client.send("conversation.item.create", item=given)
    assert client.told[-1]["error"]["code"] == "unknown_call"
    frame = await client.send("response.cancel")
    assert isinstance(frame, ClientInterruptionFrame)
    assert isinstance(frame, InterruptionFrame)


async def test_calls_of_a_tool_that_the_bot_has_itself_are_not_the_clients() -> None:
    client = await Client().begin()
    await client.update(tools=[TOOL, {**TOOL, "name": "book"}])
    await client.happen("server-message", type=TOOLS_LEFT_OUT, names=["book"])
    assert client.told[-1]["error"]["code"] == "tool_name_taken"
    call = {"function_name": "book", "tool_call_id": "c1"}
    await client.happen("llm-function-call-started", function_name="book")
    await client.happen("llm-function-call-in-progress", **call)
    assert client.kinds[-1] == "response.created"
    await client.update()
    assert [tool["name"] for tool in client.told[-1]["session"]["tools"]] == ["look"]


async def test_words_are_told_as_they_are_spoken() -> None:
    client = await Client().begin()
    await client.play()
    for segment, said in ((1, "On"), (1, "On Monday,"), (1, "On Monday,"), (2, "at ten.")):
        await client.happen("bot-output", **output(segment, said))
    spoken = {"text": " Goodbye.", "segment_id": 3, "spoken": True}
    await client.happen("bot-output", **spoken)
    await client.happen("bot-output", **{**spoken, "spoken": False})
    await client.happen("bot-stopped-speaking")
    await client.play()
    await client.happen("bot-output", **output(4, "Hello."))
    deltas = [e["delta"] for e in client.told if e["type"].endswith("audio_transcript.delta")]
    assert deltas == ["On", " Monday,", " at ten.", " Goodbye.", "Hello."]


async def test_a_service_that_fails_is_told_of() -> None:
    client = await Client().begin()
    await client.happen("error", error="the voice has failed", fatal=False)
    assert client.told[-1]["error"]["type"] == "server_error"
