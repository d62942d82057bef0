"""Recorded clients of the JSON protocols call the real service."""

import asyncio
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runner.clients.client import Client
from runner.clients.dial import PROTOCOLS, dial
from runner.clients.json_sockets import SandwichClient, VoiceAgentClient
from runner.clients.sockets import address_of, joined
from runner.talk import read_audio, write_audio
from tests.faulty_call import KEY
from tests.integration.test_lifecycle import CLOSED_TAB_SECS
from tests.protocol_recorder import PRICE_QUESTION, QUESTION
from tests.replay import Replay, replay
from tests.service import ROOT, Service, until_no_session
from tests.shared_service import SharedService
from tests.speech import Listener, Speaker, voiced_secs, words_wrong
from tests.standins.openai_server import OpenAIStandin, always, run_openai_standin

pytestmark = pytest.mark.long

REPLY_SECS = 60
HUNG_UP = 1000
NINE = re.compile(r"\b(?:9|nine)\b")


def base(service: Service) -> str:
    return service.url.replace("http", "ws")


@pytest.fixture
async def line(service: Service) -> Service:
    """The shared service, with no call left from another test."""
    await until_no_session(service.url, timeout=CLOSED_TAB_SECS)
    return service


def of_push_to_talk(message: dict[str, Any]) -> str:
    match message:
        case {"type": "transcription", "is_final": is_final}:
            return "heard" if is_final else "hears"
        case {"type": "status_update", "status": status}:
            return str(status)
        case {"type": "audio_response"}:
            return "sound"
    return str(message["type"])


async def test_push_to_talk_is_told_in_the_order_of_the_contract(
    line: Service, listener: Listener
) -> None:
    path = f"{base(line)}/ws/voice-agent/receptionist"
    played = await replay(path, "voice-agent", lambda m: m.get("status") == "idle")
    hello, *kinds = played.kinds(of_push_to_talk)
    assert hello == "connection_established"
    assert played.messages[0]["agent"] == "receptionist"
    utterance = "(hears )*processing (hears )*heard llm_response generating_audio sound idle "
    assert re.fullmatch(f"({utterance}){{2}}", "".join(f"{kind} " for kind in kinds)), kinds
    heard = [m["text"] for m in played.messages if m.get("is_final")]
    assert [words_wrong(QUESTION, text) <= 1 for text in heard] == [True, True], heard
    for answer in [m["text"] for m in played.messages if m["type"] == "llm_response"]:
        assert NINE.search(answer)
    assert voiced_secs(played.sound()) > 2
    assert len(NINE.findall(await listener.hear(played.sound()))) >= 2
    assert played.code == HUNG_UP
    await until_no_session(line.url, timeout=3)


def of_sandwich(message: dict[str, Any]) -> str:
    return "sound" if message["type"] == "tts_audio" else str(message["type"])


def utterances(played: Replay) -> list[list[dict[str, Any]]]:
    """Return the messages of each utterance."""
    found: list[list[dict[str, Any]]] = [[]]
    for message in played.messages:
        found[-1].append(message)
        if message["type"] == "complete":
            found.append([])
    assert found.pop() == []
    return found


async def test_the_sandwich_tells_each_step_and_its_tool(
    scripted: Service, llm: OpenAIStandin, listener: Listener
) -> None:
    path = f"{base(scripted)}/ws/sandwich"
    played = await replay(path, "sandwich", lambda m: m["type"] == "complete")
    kinds = "".join(f"{kind} " for kind in played.kinds(of_sandwich))
    answer = "(agent_chunk |sound )+complete "
    heard = "(stt_partial )+stt_final "
    assert re.fullmatch(f"{heard}{answer}{heard}(agent_chunk )*agent_tool {answer}", kinds), kinds
    first, second = utterances(played)
    for asked, told in ((QUESTION, first), (PRICE_QUESTION, second)):
        [text] = [m["text"] for m in told if m["type"] == "stt_final"]
        assert words_wrong(asked, text) <= 1
    [tool] = [m["tool"] for m in second if m["type"] == "agent_tool"]
    assert tool == {"name": "quote", "args": {"plan": "Team", "users": 10, "by_the_year": False}}
    assert "dollars a month" in "".join(m["text"] for m in second if m["type"] == "agent_chunk")
    assert re.search(r"190|dollars", await listener.hear(played.sound()))
    # The thread goes on: the model is told of both questions.
    said = [m["content"] for m in llm.chats[-1]["messages"] if m["role"] == "user"]
    assert len(said) == 2


async def test_the_sandwich_of_another_bot_is_offline(line: Service) -> None:
    path = f"{base(line)}/ws/sandwich?bot=receptionist"
    played = await replay(path, "sandwich", lambda m: m["type"] == "complete")
    first, _ = utterances(played)
    assert NINE.search("".join(m["text"] for m in first if m["type"] == "agent_chunk"))
    await until_no_session(line.url, timeout=3)


async def test_realtime_tells_who_speaks(line: Service, listener: Listener) -> None:
    path = f"{base(line)}/ws/realtime?bot=receptionist"
    played = await replay(path, "realtime", lambda m: m["type"] == "done")
    kinds = played.kinds(lambda m: "sound" if m["type"] == "audio" else str(m["type"]))
    assert kinds == ["speech_started", "speech_ended", "transcript", "sound", "done"]
    [heard] = [m["text"] for m in played.messages if m["type"] == "transcript"]
    assert words_wrong(QUESTION, heard) <= 1
    assert NINE.search(await listener.hear(played.sound()))
    assert played.code == HUNG_UP
    await until_no_session(line.url, timeout=3)


async def ask(client: Client, speaker: Speaker, question: str) -> str:
    """Ask a bot, when it has greeted; return what it has heard."""
    if client.is_greeted:
        await client.hear_out(timeout=REPLY_SECS)
    client.heard.clear()
    asked_at = len(client.messages)
    await client.say(await speaker.say(question))
    await client.hear_out(timeout=REPLY_SECS, after=asked_at)
    return " ".join(filter(None, map(client.user_words, client.messages[asked_at:])))


async def test_a_question_is_heard_and_answered_alike_over_every_protocol(
    line: Service, speaker: Speaker, listener: Listener
) -> None:
    for protocol in PROTOCOLS:
        async with dial(protocol, line.url, bot="receptionist") as client:
            assert await ask(client, speaker, QUESTION) == QUESTION, protocol
            assert client.heard, (protocol, client.messages)
            answer = await listener.hear(np.concatenate(client.heard))
        assert NINE.search(answer), (protocol, answer)
        await until_no_session(line.url, timeout=CLOSED_TAB_SECS)


async def test_who_comes_back_goes_on_with_the_conversation(
    scripted: Service, llm: OpenAIStandin, speaker: Speaker
) -> None:
    address = await address_of(scripted.url, "sandwich", bot="sandwich", key=None)
    async with joined(address, SandwichClient) as client:
        await ask(client, speaker, PRICE_QUESTION)
        client.socket.transport.abort()
    # As long as the service takes the first connection for one that is there, it is not given up.
    await until_no_session(scripted.url, timeout=5)
    async with joined(address, SandwichClient) as client:
        await ask(client, speaker, "And by the year?")
        words = "".join(filter(None, map(client.bot_words, client.messages)))
    assert "dollars a year" in words
    said = [m["content"] for m in llm.chats[-1]["messages"] if m["role"] == "user"]
    assert len(said) == 2, "the first is remembered"


async def test_a_bot_in_a_process_of_its_own_says_first_that_it_is_there(
    cloud: SharedService, openai_port: int, speaker: Speaker
) -> None:
    openai = OpenAIStandin(key=KEY, heard=QUESTION, reply=always("On Saturday, from nine."))
    async with run_openai_standin(openai, openai_port), cloud.alone() as service:
        address = f"{base(service)}/ws/voice-agent/callcenter"
        async with joined(address, VoiceAgentClient) as client:
            heard = await ask(client, speaker, QUESTION)
        assert "is held by process" in service.log
    hello, *told = client.messages
    assert (hello["type"], hello["agent"]) == ("connection_established", "callcenter")
    assert hello["session_id"] in service.log
    assert heard == QUESTION
    assert [of_push_to_talk(m) for m in told if m.get("is_final") is not False] == [
        *("processing", "heard", "llm_response", "generating_audio", "idle")
    ]
    assert voiced_secs(np.concatenate(client.heard)) > 0.5


async def test_the_terminal_talks_in_a_protocol_and_says_why_it_is_refused(
    line: Service, speaker: Speaker, tmp_path: Path
) -> None:
    question, answer = tmp_path / "question.wav", tmp_path / "answer.wav"
    write_audio(question, await speaker.say(QUESTION))

    async def talk(url: str, *options: str) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "runner", "talk", "--url", url, "--wav", str(question)),
            *options,
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        printed, _ = await asyncio.wait_for(process.communicate(), REPLY_SECS)
        assert process.returncode is not None
        return process.returncode, printed.decode()

    talking = ("--protocol", "sandwich", "--bot", "receptionist", "--out", str(answer))
    code, printed = await talk(line.url, *talking)
    assert code == 0, printed
    assert f"you: {QUESTION}\nbot: On Saturday" in printed
    assert voiced_secs(read_audio(answer)) > 1
    nobody = f"{base(line)}/ws/voice-agent/nobody"
    assert await talk(nobody, "--protocol", "voice-agent") == (1, "Invalid agent ID\n")
    await until_no_session(line.url, timeout=CLOSED_TAB_SECS)
