"""With a key, the matching services are used: here a stand-in for OpenAI, over its own protocol."""

import sqlite3
from typing import Any

import aiohttp
import pytest

from runner.peer import connect
from tests.integration.test_call import ask
from tests.integration.test_transcript import entries, read_when
from tests.shared_service import SharedService
from tests.speech import Speaker
from tests.standins.openai_server import OpenAIStandin, Reply, always, run_openai_standin

BOOKING = {
    "name": "Dana Whitfield",
    "phone": "555 0134",
    "reason": "sore knee",
    "date": "tuesday",
    "time": "10:00",
}
CONFIRMATION = "You are booked for Tuesday at ten."


def book(messages: list[Any]) -> Reply:
    """Call the tool, and say so when it has run."""
    is_told = messages[-1]["role"] == "tool"
    return CONFIRMATION if is_told else ("book_appointment", BOOKING)


async def test_a_booking_is_heard_made_in_the_table_and_confirmed(
    cloud: SharedService, openai_port: int, speaker: Speaker
) -> None:
    standin = OpenAIStandin(
        key="sk-standin",
        heard="I would like to come in on Tuesday at ten.",
        reply=book,
    )
    async with (
        run_openai_standin(standin, openai_port),
        cloud.alone() as service,
        connect(service.url) as peer,
    ):
        await peer.hear_out(timeout=20)
        heard, answer, voiced = await ask(peer, speaker, "May I come on Tuesday?")
        transcript = await read_when(service.url, peer.session_id, entries(4))

    assert heard == standin.heard
    assert answer.strip() == CONFIRMATION
    assert voiced > 0.5
    assert standin.spoken[-1].strip() == CONFIRMATION
    assert standin.heard_secs[0] > 0.5

    # The question is asked ahead of the end of the turn, unless the machine is too slow for that;
    # since it calls a tool, which must not run before the end, it is asked again.
    *ahead, first, second = standin.chats
    assert len(ahead) <= 1
    assert all(chat["messages"] == first["messages"] for chat in ahead)
    assert first["model"] == "gpt-4.1-mini"
    assert first["temperature"] == 0.7
    assert first["max_tokens"] == 150
    assert "Grace" in first["messages"][0]["content"]
    assert "book_appointment" in {tool["function"]["name"] for tool in first["tools"]}
    assert "cannot book" not in str(first["messages"]), "the offline facts stay offline"
    assert second["messages"][-1]["role"] == "tool"
    assert '"booked": true' in second["messages"][-1]["content"].lower()

    _greeting, asked, tool, confirmed = transcript["entries"]
    assert (asked["heard"], confirmed["heard"]) == (standin.heard, CONFIRMATION)
    assert (tool["tool"], tool["outcome"]) == ("book_appointment", "completed")
    assert tool["arguments"] == BOOKING
    assert tool["result"]["booked"] is True

    with sqlite3.connect(service.data / "parlante.db") as database:
        [row] = database.execute("SELECT name, reason FROM appointments").fetchall()
    database.close()
    assert row == (BOOKING["name"], BOOKING["reason"])


async def test_what_is_filtered_out_of_a_transcript_nobody_is_told(
    cloud: SharedService, openai_port: int, speaker: Speaker
) -> None:
    standin = OpenAIStandin(
        key="sk-standin",
        heard="Um, my damn card is, uh, 4000 1234 5678 9010.",
        reply=always("You have called the WFC now."),
    )
    kept = "My d*** card is [card number]."
    async with (
        run_openai_standin(standin, openai_port),
        cloud.alone() as service,
        connect(service.url, bot="editing") as peer,
    ):
        await peer.hear_out(timeout=20)
        heard, _, _ = await ask(peer, speaker, "This is the number of my card.")
        transcript = await read_when(service.url, peer.session_id, entries(3))

    assert heard == kept
    assert standin.chats[-1]["messages"][-1]["content"] == kept
    assert transcript["entries"][1]["heard"] == kept
    assert standin.spoken[-1].strip() == "You have called the W F C now."


@pytest.mark.long
async def test_the_connection_to_the_language_model_is_there_before_the_first_question(
    cloud: SharedService, openai_port: int, speaker: Speaker
) -> None:
    standin = OpenAIStandin(
        key="sk-standin", heard="Are you open on Sunday?", reply=always("No, we are not.")
    )
    async with (
        run_openai_standin(standin, openai_port),
        cloud.alone() as service,
        connect(service.url) as peer,
    ):
        await peer.hear_out(timeout=20)
        for _ in range(2):
            await ask(peer, speaker, "Are you open on Sunday?")
    assert len(standin.ports) > 1
    assert set(standin.connected_from) == set(standin.ports)
    assert len(set(standin.ports)) == 1


async def test_what_is_wanted_of_one_session_reaches_every_service(
    cloud: SharedService, openai_port: int, speaker: Speaker
) -> None:
    standin = OpenAIStandin(key="sk-standin", heard="Was kostet das?", reply=always("Es sind $5."))
    config = {
        "instructions": "Du verkaufst Brot.",
        "greeting": "Guten Tag.",
        "language": "de",
        "speed": 1.25,
        "temperature": 0.1,
        "max_tokens": 60,
        "stt_model": "whisper-1",
        "llm_model": "gpt-4.1",
        "tts_voice": "nova",
    }
    wish = {"agent_type": "single_agent", "agent_config": config}
    async with (
        run_openai_standin(standin, openai_port),
        cloud.alone() as service,
        aiohttp.ClientSession(service.url) as http,
        http.post("/voice/realtime/session", json=wish) as made,
        connect(service.url, session_id=(await made.json())["token"]) as peer,
    ):
        await peer.hear_out(timeout=20)
        await ask(peer, speaker, "May I come on Tuesday?")
    assert [text.strip() for text in standin.spoken] == ["Guten Tag.", "Es sind $5."]
    assert set(standin.languages) == {"de"}
    assert set(standin.speeds) == {1.25}
    assert set(standin.voices) == {"nova"}
    chat = standin.chats[-1]
    assert (chat["model"], chat["temperature"], chat["max_tokens"]) == ("gpt-4.1", 0.1, 60)
    assert chat["messages"][0]["content"] == config["instructions"]
