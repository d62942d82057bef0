"""Speech to speech: stand-ins for OpenAI's and Azure's Realtime services, over their protocol."""

import asyncio
import re
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from runner.peer import Peer, connect
from tests.integration.test_call import REPLY_SECS, ask
from tests.integration.test_cloud_profile import BOOKING
from tests.integration.test_transcript import GREETING, entries, read_when
from tests.service import Service, run_service
from tests.speech import Speaker
from tests.standins.openai_realtime import RealtimeStandin, run_realtime_standin
from tests.standins.openai_server import OpenAIStandin, Reply, always, run_openai_standin

WISH = "I would like to come in on Tuesday at ten."
BOOKED = "You are booked for Tuesday at ten, and we look forward to seeing you then, Dana."
QUESTION = "Are you open on Sunday?"
ANSWER = "No, we are closed on Sundays, but on Saturdays there is a doctor from nine until noon."
CHAINED = "Chained: no, not on Sundays."
SORRY = "I am sorry, I lost you for a moment."
START_TIMEOUT_SECS = 2


def reply(items: list[dict[str, Any]]) -> Reply:
    """Say what it is told to, book what it is asked for, and confirm it."""
    last = items[-1]
    if last["type"] == "function_call_output":
        return BOOKED
    content = last["content"][0]
    if "transcript" in content:
        return ("book_appointment", BOOKING) if content["transcript"] == WISH else ANSWER
    to_say = re.findall(r'in exactly these words and no others: \\*"(.*?)\\*"', content["text"])
    return to_say[-1] if to_say else ANSWER


@pytest.fixture
async def realtime() -> AsyncIterator[RealtimeStandin]:
    standin = RealtimeStandin(
        key="sk-standin", model="gpt-realtime", heard=[WISH, QUESTION], reply=reply
    )
    async with run_realtime_standin(standin):
        yield standin


@pytest.fixture
async def openai() -> AsyncIterator[OpenAIStandin]:
    standin = OpenAIStandin(key="sk-standin", heard=QUESTION, reply=always(CHAINED))
    async with run_openai_standin(standin):
        yield standin


@contextmanager
def serve(folder: Path, openai: OpenAIStandin, realtime_url: str, **more: str) -> Iterator[Service]:
    environment = {
        "OPENAI_API_KEY": openai.key,
        "OPENAI_BASE_URL": openai.url,
        "PARLANTE_VOICE__PROVIDERS__OPENAI__REALTIME__BASE_URL": realtime_url,
        "PARLANTE_VOICE__REALTIME__SPEECH_TO_SPEECH__START_TIMEOUT": str(START_TIMEOUT_SECS),
        **more,
    }
    with run_service(folder, environment=environment) as service:
        yield service


def bot_said(peer: Peer, after: int = 0) -> str:
    said = [m["data"]["text"] for m in peer.messages[after:] if m["type"] == "bot-tts-text"]
    return " ".join(" ".join(said).split())


def states(peer: Peer, after: int = 0) -> list[str]:
    told = [m["data"] for m in peer.messages[after:] if m["type"] == "server-message"]
    return [data["state"] for data in told if data["type"] == "voice-state"]


async def test_a_booking_is_spoken_of_made_and_told_in_the_true_order(
    tmp_path: Path, realtime: RealtimeStandin, openai: OpenAIStandin, speaker: Speaker
) -> None:
    # The bot answers before it is known what it answers.
    realtime.transcript_secs = 1.0
    with serve(tmp_path, openai, realtime.url) as service:
        async with connect(service.url, bot="realtime") as peer:
            await peer.hear_out(timeout=REPLY_SECS)
            assert bot_said(peer) == GREETING
            before = len(peer.messages)
            heard, answer, voiced = await ask(peer, speaker, WISH)
            assert (heard, " ".join(answer.split())) == (WISH, BOOKED)
            assert voiced > 3
            assert states(peer, before) == ["processing", "thinking", "speaking", "listening"]
            booking = peer.messages[before:]
            done = [m["type"] for m in booking].index("llm-function-call-stopped")
            assert "thinking" in str(booking[:done]), "while the tool runs, too"

            # The answer is spoken over when about the third part of it was heard.
            before = len(peer.messages)
            await peer.microphone.say(await speaker.say(QUESTION))
            await peer.wait_for_state("speaking", timeout=REPLY_SECS, after=before)
            await asyncio.sleep(0.6)
            before = len(peer.messages)
            await peer.microphone.say(await speaker.say(QUESTION))
            await peer.hear_out(timeout=REPLY_SECS, after=before)
            told = await read_when(service.url, peer.session_id, entries(8))
        assert "WARNING" not in service.log

    greeting, wish, tool, booked, first, cut, second, last = told["entries"]
    assert [entry.get("speaker", "tool") for entry in told["entries"]] == [
        *("bot", "user", "tool", "bot"),
        *("user", "bot", "user", "bot"),
    ]
    assert greeting["heard"] == greeting["generated"] == GREETING
    assert (wish["heard"], booked["heard"], booked["spoken"]) == (WISH, BOOKED, BOOKED)
    assert (tool["tool"], tool["outcome"]) == ("book_appointment", "completed")
    assert tool["arguments"] == BOOKING
    assert first["heard"] == second["heard"] == QUESTION
    assert cut["interrupted"]
    assert ANSWER.startswith(cut["heard"])
    assert len(cut["heard"]) < len(cut["generated"]) == len(ANSWER)
    assert last["heard"] == ANSWER

    [(cut_ms, whole_ms)] = realtime.truncated_ms
    assert 300 < cut_ms < whole_ms
    assert not realtime.wrong
    assert not openai.chats
    assert not openai.spoken
    session = realtime.sessions[-1]
    assert session["audio"]["input"]["turn_detection"] == {
        "type": "server_vad",
        "threshold": 0.5,
        "prefix_padding_ms": 300,
        "silence_duration_ms": 500,
    }
    assert session["audio"]["input"]["transcription"]["model"] == "gpt-4o-transcribe"
    assert session["audio"]["output"]["voice"] == "alloy"
    assert "Grace" in session["instructions"]
    assert "parking" in session["instructions"].lower(), "nothing is looked up for it"
    assert "book_appointment" in {tool["name"] for tool in session["tools"]}


@pytest.mark.parametrize("fault", ["unauthorized", "hang", "refused"])
async def test_the_chained_pipeline_takes_a_call_that_the_service_does_not(
    tmp_path: Path, realtime: RealtimeStandin, openai: OpenAIStandin, speaker: Speaker, fault: str
) -> None:
    url = "ws://127.0.0.1:9" if fault == "refused" else realtime.url
    realtime.fault = None if fault == "refused" else fault  # type: ignore[assignment]
    with serve(tmp_path, openai, url) as service:
        async with connect(service.url, bot="realtime") as peer:
            await peer.hear_out(timeout=START_TIMEOUT_SECS + 10)
            assert bot_said(peer) == GREETING
            heard, answer, voiced = await ask(peer, speaker, QUESTION)
            told = await read_when(service.url, peer.session_id, entries(3))
        assert "not speech to speech, but by the chained pipeline" in service.log
    assert (heard, answer.strip()) == (QUESTION, CHAINED)
    assert voiced > 0.5
    assert openai.spoken[0] == GREETING
    assert [entry["heard"] for entry in told["entries"]] == [GREETING, QUESTION, CHAINED]
    assert not [m for m in peer.messages if m["type"] == "error"], "it is mended"


@pytest.mark.parametrize("fault", ["dies", "falls silent"])
async def test_the_chained_pipeline_goes_on_where_the_service_has_left_off(
    tmp_path: Path, realtime: RealtimeStandin, openai: OpenAIStandin, speaker: Speaker, fault: str
) -> None:
    with serve(tmp_path, openai, realtime.url) as service:
        async with connect(service.url, bot="realtime") as peer:
            await peer.hear_out(timeout=REPLY_SECS)
            await ask(peer, speaker, WISH)
            before = len(peer.messages)
            realtime.is_speechless = fault == "falls silent"
            await peer.microphone.say(await speaker.say(QUESTION))
            if fault == "dies":
                # In the midst of an answer, which is given again.
                await peer.wait_for_state("speaking", timeout=REPLY_SECS, after=before)
                realtime.die()
            await peer.hear_out(timeout=REPLY_SECS, after=before)
            assert SORRY in bot_said(peer, before)
            assert GREETING not in bot_said(peer, before)
            heard, answer, _ = await ask(peer, speaker, QUESTION)
            assert (heard, answer.strip()) == (QUESTION, CHAINED)
            assert not [m for m in peer.messages if m["type"] == "error"], "it is mended"
    assert openai.spoken[0] == SORRY
    said = [m for m in openai.chats[-1]["messages"] if m["role"] != "system"]
    assert [m["role"] for m in said[:5]] == ["assistant", "user", "assistant", "tool", "assistant"]
    assert (said[0]["content"], said[1]["content"]) == (GREETING, WISH)
    assert said[2]["tool_calls"][0]["function"]["name"] == "book_appointment"
    assert '"booked": true' in said[3]["content"].lower()
    assert said[4]["content"] == BOOKED
    assert "exactly these words" not in str(said)
    assert QUESTION in openai.chats[0]["messages"][-1]["content"]
    assert CHAINED in bot_said(peer, before)


async def test_azure_goes_on_with_a_conversation_reads_and_says_its_last_words(
    tmp_path: Path, realtime: RealtimeStandin, openai: OpenAIStandin, speaker: Speaker
) -> None:
    realtime.heard = [QUESTION]
    realtime.key, realtime.model = "azure-key", "my-deployment"
    azure = {
        "AZURE_OPENAI_API_KEY": realtime.key,
        "AZURE_OPENAI_ENDPOINT": realtime.azure_url,
        "AZURE_OPENAI_REALTIME_DEPLOYMENT": realtime.model,
        "PARLANTE_PROFILES__AUTO__REALTIME": '["azure"]',
        "PARLANTE_SERVER__DRAIN_TIMEOUT": "1",
    }
    wish = {"agent_type": "single_agent", "mode": "speech_to_speech", "initial_greeting": False}
    with serve(tmp_path, openai, "", **azure) as service:
        async with (
            aiohttp.ClientSession(service.url) as http,
            http.post("/voice/realtime/session", json=wish) as response,
        ):
            made = await response.json()
            assert response.status == 200, made
        async with connect(service.url, session_id=made["token"]) as peer:
            heard, answer, _ = await ask(peer, speaker, QUESTION)
            assert (heard, " ".join(answer.split())) == (QUESTION, ANSWER)
            await peer.drop()
        async with connect(service.url, session_id=made["token"]) as peer:
            await peer.hear_out(timeout=REPLY_SECS)
            assert bot_said(peer) == "I am back."
            before = len(peer.messages)
            peer.send("send-text", {"content": "And on Monday?"})
            await peer.hear_out(timeout=REPLY_SECS, after=before)
            assert bot_said(peer, before) == ANSWER
            before = len(peer.messages)
            service.process.send_signal(signal.SIGTERM)
            await asyncio.wait_for(peer.closed.wait(), REPLY_SECS)
        assert bot_said(peer, before).endswith("Please call again in a moment.")
    assert not realtime.wrong
    assert not openai.spoken
    [back] = [text for text in realtime.read if "I am back." in text]
    assert QUESTION in back
    assert ANSWER in back
    assert "The user writes: And on Monday?" in realtime.read
