"""Speech to speech: stand-ins for OpenAI's and Azure's Realtime services, over their protocol."""

import asyncio
import re
import signal
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, nullcontext
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from runner.clients.json_sockets import VoiceAgentClient
from runner.clients.sockets import address_of, joined
from runner.peer import Peer, connect
from tests.faulty_call import KEY, first_of
from tests.faulty_services import REFUSED
from tests.integration.test_call import REPLY_SECS, ask
from tests.integration.test_cloud_profile import BOOKING
from tests.integration.test_transcript import GREETING, entries, read_when
from tests.service import Service, run_service, until_no_session
from tests.shared_service import SharedService
from tests.speech import Speaker
from tests.standins.openai_realtime import RealtimeStandin, run_realtime_standin
from tests.standins.openai_server import Fault, OpenAIStandin, Reply, always, run_openai_standin

pytestmark = pytest.mark.long

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


@pytest.fixture(scope="module")
def environment(openai_port: int, realtime_port: int) -> dict[str, str]:
    realtime_url = f"ws://127.0.0.1:{realtime_port}/v1/realtime"
    return {
        "OPENAI_API_KEY": KEY,
        "OPENAI_BASE_URL": f"http://127.0.0.1:{openai_port}/v1",
        "PARLANTE_VOICE__PROVIDERS__OPENAI__REALTIME__BASE_URL": realtime_url,
        "PARLANTE_VOICE__REALTIME__SPEECH_TO_SPEECH__START_TIMEOUT": str(START_TIMEOUT_SECS),
        "PARLANTE_VOICE__REALTIME__TRANSCRIPTS__DROP_FILLERS": "true",
    }


@pytest.fixture(scope="module")
def shared(
    tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]
) -> Iterator[SharedService]:
    service = SharedService(tmp_path_factory, environment)
    yield service
    service.close()


def realtime_standin() -> RealtimeStandin:
    # Fillers are left out of transcripts here.
    heard = [WISH, f"Um, {QUESTION[0].lower()}{QUESTION[1:]}"]
    return RealtimeStandin(key=KEY, model="gpt-realtime", heard=heard, reply=reply)


@pytest.fixture
async def realtime(realtime_port: int) -> AsyncIterator[RealtimeStandin]:
    async with run_realtime_standin(realtime_standin(), realtime_port) as standin:
        yield standin


@pytest.fixture
async def openai(openai_port: int) -> AsyncIterator[OpenAIStandin]:
    standin = OpenAIStandin(key=KEY, heard=QUESTION, reply=always(CHAINED))
    async with run_openai_standin(standin, openai_port):
        yield standin


@asynccontextmanager
async def serve(shared: SharedService) -> AsyncIterator[Service]:
    """Have the service alone, with nobody's appointment in its calendar."""
    async with shared.alone() as service:
        with closing(sqlite3.connect(service.data / "parlante.db")) as database, database:
            database.execute("DELETE FROM appointments")
        yield service


def bot_said(peer: Peer, after: int = 0) -> str:
    said = [m["data"]["text"] for m in peer.messages[after:] if m["type"] == "bot-tts-text"]
    return " ".join(" ".join(said).split())


def states(peer: Peer, after: int = 0) -> list[str]:
    told = [m["data"] for m in peer.messages[after:] if m["type"] == "server-message"]
    return [data["state"] for data in told if data["type"] == "voice-state"]


async def test_a_booking_is_spoken_of_made_and_told_in_the_true_order(
    shared: SharedService, realtime: RealtimeStandin, openai: OpenAIStandin, speaker: Speaker
) -> None:
    # The bot answers before it is known what it answers.
    realtime.transcript_secs = 1.0
    async with serve(shared) as service:
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


async def test_what_is_wanted_of_one_session_reaches_the_service(
    shared: SharedService, realtime: RealtimeStandin, openai: OpenAIStandin
) -> None:
    realtime.model = "gpt-realtime-mini"
    config = {
        "instructions": "Du verkaufst Brot.",
        "language": "de-AT",
        "speed": 1.25,
        "temperature": 0.1,
        "max_tokens": 600,
        "realtime_model": realtime.model,
        "realtime_voice": "marin",
    }
    wish = {"agent_type": "single_agent", "mode": "speech_to_speech", "agent_config": config}
    async with (
        serve(shared) as service,
        aiohttp.ClientSession(service.url) as http,
        http.post("/voice/realtime/session", json=wish) as made,
        connect(service.url, session_id=(await made.json())["token"]) as peer,
    ):
        await peer.hear_out(timeout=REPLY_SECS)
        assert bot_said(peer) == GREETING
    session = realtime.sessions[-1]
    assert session["instructions"].startswith("Du verkaufst Brot.")
    assert session["audio"]["input"]["transcription"]["language"] == "de"
    assert (session["audio"]["output"]["voice"], session["audio"]["output"]["speed"]) == (
        "marin",
        1.25,
    )
    assert session["max_output_tokens"] == 600
    assert "temperature" not in session
    assert not realtime.wrong


@pytest.mark.parametrize("fault", first_of(["401", "hang", REFUSED, "429", "500"]))
async def test_the_chained_pipeline_takes_a_call_that_the_service_does_not(
    shared: SharedService,
    realtime_port: int,
    openai: OpenAIStandin,
    speaker: Speaker,
    fault: str,
) -> None:
    realtime = realtime_standin()
    there: Any = nullcontext()
    if fault != REFUSED:
        realtime.start_fault = Fault(fault)
        there = run_realtime_standin(realtime, realtime_port)
    async with there, serve(shared) as service:
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
    shared: SharedService,
    realtime: RealtimeStandin,
    openai: OpenAIStandin,
    speaker: Speaker,
    fault: str,
) -> None:
    async with serve(shared) as service, connect(service.url, bot="realtime") as peer:
        await peer.hear_out(timeout=REPLY_SECS)
        await ask(peer, speaker, WISH)
        before = len(peer.messages)
        realtime.is_speechless = fault == "falls silent"
        await peer.microphone.say(await speaker.say(QUESTION))
        if fault == "dies":
            # In the midst of an answer, which is given again.
            await peer.wait_for_state("speaking", timeout=REPLY_SECS, after=before)
            realtime.die()
        await peer.wait_for(
            lambda _: SORRY in bot_said(peer, before), timeout=REPLY_SECS, after=before
        )
        await peer.hear_out(timeout=REPLY_SECS, after=len(peer.messages))
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


async def test_where_the_user_begins_every_question_is_answered_once(
    shared: SharedService, realtime: RealtimeStandin, openai: OpenAIStandin, speaker: Speaker
) -> None:
    realtime.heard = [QUESTION]
    async with serve(shared) as service:
        address = await address_of(service.url, "voice-agent", bot="realtime", key=None)
        for _ in range(2):
            async with joined(address, VoiceAgentClient) as client:
                for _ in range(2):
                    asked = len(client.messages)
                    await client.say(await speaker.say(QUESTION))
                    await client.hear_out(timeout=REPLY_SECS, after=asked)
                    # The service writes down what it has heard when it likes.
                    told = [m for m in client.messages[asked:] if m["type"] != "transcription"]
                    assert [m.get("text") or m["status"] for m in told] == [
                        *("processing", ANSWER, "generating_audio", "idle")
                    ]
                client.socket.transport.abort()
            await until_no_session(service.url, timeout=REPLY_SECS)
    assert not realtime.wrong
    assert "response.create" not in realtime.events
    [before] = [text for text in realtime.read if QUESTION in text]
    assert before.count(ANSWER) == 2, "who comes back is remembered"


async def test_azure_goes_on_with_a_conversation_reads_and_says_its_last_words(
    tmp_path: Path,
    environment: dict[str, str],
    realtime: RealtimeStandin,
    openai: OpenAIStandin,
    speaker: Speaker,
) -> None:
    realtime.heard = [QUESTION]
    realtime.key, realtime.model = "azure-key", "my-deployment"
    azure = {
        **environment,
        "AZURE_OPENAI_API_KEY": realtime.key,
        "AZURE_OPENAI_ENDPOINT": realtime.azure_url,
        "AZURE_OPENAI_REALTIME_DEPLOYMENT": realtime.model,
        "PARLANTE_PROFILES__AUTO__REALTIME": '["azure"]',
        "PARLANTE_SERVER__DRAIN_TIMEOUT": "1",
    }
    wish = {"agent_type": "single_agent", "mode": "speech_to_speech", "initial_greeting": False}
    with run_service(tmp_path, environment=azure) as service:
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
