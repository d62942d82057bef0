"""A conversation is taken up again, whatever has cut it off."""

import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bots.config import AnnouncementConfig
from processors.transcript import NOT_KNOWN
from runner.clients.client import TalkFailed
from runner.peer import Peer, connect
from tests.integration.test_call import REPLY_SECS, ask
from tests.integration.test_transcript import GREETING, read, read_when
from tests.relay import far_from
from tests.service import run_service, until_no_session
from tests.speech import Speaker
from tests.standins.openai_server import OpenAIStandin, Reply, run_openai_standin

pytestmark = pytest.mark.long

WISH = "I would like to come in on Tuesday at ten o'clock because of my knee."
NAME = "My name is Peter Miller."
PHONE = "My number is five five five, zero one three four."
PHONE_DIGITS = "My number is 555 0134."
ASK_NAME = "Gladly. What is your name?"
ASK_PHONE = "Thank you. And what is your phone number?"
BOOKED = "You are booked for Tuesday at ten."
NOT_BOOKED = "That did not work."
BACK = AnnouncementConfig().back


class Clerk:
    """A language model that asks for what the conversation does not tell yet, and then books.

    Attributes:
        told: Set when it has been told what the booking gave.
        is_careful: Whether it looks before it books again, where it is told that nobody knows.
    """

    def __init__(self) -> None:
        self.told = asyncio.Event()
        self.is_careful = True

    def __call__(self, messages: list[Any]) -> Reply:
        said = " ".join(m["content"] for m in messages if m["role"] == "user").lower()
        digits = re.sub(r"\D", "", said)
        if messages[-1]["role"] == "tool":
            result = messages[-1]["content"]
            if result != NOT_KNOWN:
                self.told.set()
                return BOOKED if "Peter Miller" in result else NOT_BOOKED
            if self.is_careful:
                return "list_appointments", {"phone": digits[-7:]}
        if "tuesday" not in said:
            return "For when would you like to come?"
        if "miller" not in said:
            return ASK_NAME
        if len(digits) < 7:
            return ASK_PHONE
        booking = {
            "name": "Peter Miller",
            "phone": digits[-7:],
            "reason": "knee",
            "date": "tuesday",
            "time": "10:00",
        }
        return "book_appointment", booking


@pytest.fixture
def clerk() -> Clerk:
    return Clerk()


@pytest.fixture
async def llm(clerk: Clerk) -> AsyncIterator[OpenAIStandin]:
    standin = OpenAIStandin(key="sk-standin", heard="", reply=clerk)
    async with run_openai_standin(standin):
        yield standin


@pytest.fixture
def environment(llm: OpenAIStandin) -> dict[str, str]:
    """Speech is heard and spoken on this machine; the language model is elsewhere."""
    return {
        "OPENAI_API_KEY": llm.key,
        "OPENAI_BASE_URL": llm.url,
        "PARLANTE_PROFILES__AUTO__STT": '["local"]',
        "PARLANTE_PROFILES__AUTO__TTS": '["local"]',
    }


async def hear_again(peer: Peer) -> str:
    """Return what the bot says of its own accord to a client that has come back."""
    await peer.hear_out(timeout=REPLY_SECS)
    return " ".join(m["data"]["text"] for m in peer.messages if m["type"] == "bot-tts-text")


def appointments(folder: Path) -> list[tuple[str, str]]:
    with sqlite3.connect(folder / "data" / "parlante.db") as database:
        rows = database.execute("SELECT name, phone FROM appointments").fetchall()
    database.close()
    return rows


async def test_a_booking_goes_on_after_the_service_was_killed(
    tmp_path: Path, environment: dict[str, str], speaker: Speaker
) -> None:
    with run_service(tmp_path, environment=environment) as service:
        async with connect(service.url) as peer:
            await peer.hear_out(timeout=REPLY_SECS)
            _, answer, _ = await ask(peer, speaker, WISH)
            assert answer == ASK_NAME
            before = len(peer.messages)
            await peer.microphone.say(await speaker.say(NAME))
            await peer.wait_for(
                lambda m: m["type"] == "bot-started-speaking", timeout=REPLY_SECS, after=before
            )
            service.process.kill()
            service.process.wait()
    with run_service(tmp_path, environment=environment) as service:
        async with connect(service.url, session_id=peer.session_id) as again:
            assert await hear_again(again) == ASK_PHONE, "and no greeting"
            heard, answer, _ = await ask(again, speaker, PHONE)
        whole = await read_when(service.url, peer.session_id, lambda whole: whole["ended_at"])
    assert answer == BOOKED, heard
    assert appointments(tmp_path) == [("Peter Miller", "5550134")]
    turns = [entry for entry in whole["entries"] if entry["type"] == "turn" and entry["heard"]]
    assert [turn["heard"] for turn in turns if turn["speaker"] == "bot"] == [
        GREETING,
        ASK_NAME,
        ASK_PHONE,
        BOOKED,
    ]
    assert whole["end_reason"] == "hung_up"


async def test_a_booking_that_was_made_as_the_service_died_is_confirmed_and_not_made_again(
    tmp_path: Path, environment: dict[str, str], clerk: Clerk, llm: OpenAIStandin
) -> None:
    with run_service(tmp_path, environment=environment) as service:
        async with connect(service.url) as peer:
            await peer.hear_out(timeout=REPLY_SECS)
            peer.send("send-text", {"content": f"{WISH} {NAME} {PHONE_DIGITS}"})
            await asyncio.wait_for(clerk.told.wait(), REPLY_SECS)
            service.process.kill()
            service.process.wait()
    assert len(appointments(tmp_path)) == 1
    asked = len(llm.chats)
    with run_service(tmp_path, environment=environment) as service:
        async with connect(service.url, session_id=peer.session_id) as again:
            assert await hear_again(again) == BOOKED
            whole = await read(service.url, peer.session_id)
    assert len(appointments(tmp_path)) == 1
    [tool] = [entry for entry in whole["entries"] if entry["type"] == "tool_call"]
    assert tool["outcome"] == "completed"
    [again_asked] = llm.chats[asked:]
    assert '"booked": true' in again_asked["messages"][-1]["content"]


@pytest.mark.parametrize("is_careful", [True, False])
async def test_of_a_booking_whose_result_was_lost_the_caller_is_told_and_it_is_there_once(
    tmp_path: Path, environment: dict[str, str], clerk: Clerk, llm: OpenAIStandin, is_careful: bool
) -> None:
    clerk.is_careful = is_careful
    silent = {**environment, "PARLANTE_BOTS__RECEPTIONIST__MODULE": "tests.silent_bot"}
    with run_service(tmp_path, environment=silent) as service:
        async with connect(service.url) as peer:
            await peer.hear_out(timeout=REPLY_SECS)
            peer.send("send-text", {"content": f"{WISH} {NAME} {PHONE_DIGITS}"})
            async with asyncio.timeout(REPLY_SECS):
                while not appointments(tmp_path):  # noqa: ASYNC110 - another process
                    await asyncio.sleep(0.05)
            service.process.kill()
            service.process.wait()
    assert not clerk.told.is_set()
    with run_service(tmp_path, environment=environment) as service:
        async with connect(service.url, session_id=peer.session_id) as again:
            assert await hear_again(again) == BOOKED
            whole = await read(service.url, peer.session_id)
    assert appointments(tmp_path) == [("Peter Miller", "5550134")]
    tools = [
        (entry["tool"], entry["outcome"])
        for entry in whole["entries"]
        if entry["type"] == "tool_call"
    ]
    assert tools == [
        ("book_appointment", "running"),
        ("list_appointments" if is_careful else "book_appointment", "completed"),
    ]
    assert not [turn for turn in whole["entries"] if turn.get("heard") == NOT_BOOKED]


async def look(url: str, session_id: str) -> dict[str, Any]:
    address = f"{url}/voice/realtime/session/{session_id}"
    async with aiohttp.ClientSession() as http, http.get(address) as response:
        status: dict[str, Any] = await response.json()
        return status


async def test_a_client_that_has_left_can_come_back_until_it_hangs_up(
    tmp_path: Path, environment: dict[str, str], llm: OpenAIStandin
) -> None:
    one_line = {"PARLANTE_VOICE__REALTIME__LIMITS__SESSIONS": "1"}
    with run_service(tmp_path, environment={**environment, **one_line}) as service:
        async with connect(service.url) as peer:
            await peer.hear_out(timeout=REPLY_SECS)
            before = len(peer.messages)
            peer.send("send-text", {"content": WISH})
            await peer.hear_out(timeout=REPLY_SECS, after=before)
            await peer.drop()
        await until_no_session(service.url, timeout=5)
        status = await look(service.url, peer.session_id)
        assert status["is_active"]
        assert status["participant_count"] == 0

        async with connect(service.url):
            with pytest.raises(TalkFailed, match="all lines are busy"):
                async with connect(service.url, session_id=peer.session_id):
                    pass
        await until_no_session(service.url, timeout=5)

        async with connect(service.url, session_id=peer.session_id) as again:
            assert await hear_again(again) == BACK
            before = len(again.messages)
            again.send("send-text", {"content": NAME})
            await again.hear_out(timeout=REPLY_SECS, after=before)
        await until_no_session(service.url, timeout=5)
        with pytest.raises(TalkFailed, match="has ended"):
            async with connect(service.url, session_id=peer.session_id):
                pass
        assert (await look(service.url, peer.session_id))["end_reason"] == "hung_up"
    *before, last = [(m["role"], m["content"]) for m in llm.chats[-1]["messages"][1:]]
    assert before == [
        ("assistant", GREETING),
        ("user", WISH),
        ("assistant", ASK_NAME),
        ("assistant", BACK),
    ]
    assert NAME in last[1], "with the facts for it"


async def test_a_booking_goes_on_over_another_network(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    with run_service(tmp_path, environment=environment) as service:
        async with far_from(service.url) as (old, lost), connect(old) as peer:
            await peer.hear_out(timeout=REPLY_SECS)
            before = len(peer.messages)
            peer.send("send-text", {"content": WISH})
            await peer.hear_out(timeout=REPLY_SECS, after=before)
            lost.close()
            async with (
                far_from(service.url) as (new, _),
                connect(new, session_id=peer.session_id) as again,
            ):
                assert await hear_again(again) == BACK
                before = len(again.messages)
                again.send("send-text", {"content": f"{NAME} {PHONE_DIGITS}"})
                await again.hear_out(timeout=REPLY_SECS, after=before)
    assert appointments(tmp_path) == [("Peter Miller", "5550134")]


async def test_an_answer_that_was_cut_off_is_given_again(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    with run_service(tmp_path, environment=environment) as service:
        async with connect(service.url) as peer:
            await peer.hear_out(timeout=REPLY_SECS)
            before = len(peer.messages)
            peer.send("send-text", {"content": WISH})
            await peer.wait_for(
                lambda m: m["type"] == "bot-started-speaking", timeout=REPLY_SECS, after=before
            )
            async with connect(service.url, session_id=peer.session_id) as again:
                assert await hear_again(again) == ASK_NAME


async def test_nobody_comes_back_after_too_long(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    soon = {"PARLANTE_VOICE__REALTIME__LIMITS__EMPTY_TIMEOUT": "0.5"}
    with run_service(tmp_path, environment={**environment, **soon}) as service:
        async with connect(service.url) as peer:
            await peer.wait_for_state("listening", timeout=REPLY_SECS)
            await peer.drop()
        await read_when(service.url, peer.session_id, lambda whole: whole["ended_at"])
        assert (await look(service.url, peer.session_id))["end_reason"] == "client_left"
        with pytest.raises(TalkFailed, match="has ended"):
            async with connect(service.url, session_id=peer.session_id):
                pass
