"""The transcript of a call in the real service: what was heard, and that it survives."""

import asyncio
import re
import sqlite3
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from runner.peer import Peer, connect
from tests.database import Postgres
from tests.integration.test_call import REPLY_SECS, ask
from tests.service import Service, run_service
from tests.speech import Speaker, words_wrong

pytestmark = pytest.mark.long

QUESTION = "Is there somewhere to leave my car?"
INTERRUPTION = "Sorry, one moment, are you open on Sunday?"
WRITTEN_SECS = 40
GREETING = "Willowbrook Family Clinic, this is Grace, how can I help you?"


async def read(url: str, session_id: str, form: str = "json") -> Any:
    address = f"{url}/voice/realtime/session/{session_id}/transcript?format={form}"
    async with aiohttp.ClientSession() as http, http.get(address) as response:
        assert response.status == 200, await response.text()
        return await (response.json() if form == "json" else response.text())


async def read_when(url: str, session_id: str, is_written: Callable[[Any], bool]) -> Any:
    """Return the transcript as soon as something is in it."""
    async with asyncio.timeout(WRITTEN_SECS):
        while not is_written(transcript := await read(url, session_id)):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    return transcript


def entries(count: int) -> Callable[[Any], bool]:
    return lambda transcript: len(transcript["entries"]) >= count


async def interrupt(peer: Peer, speaker: Speaker) -> None:
    """Ask something, speak over the answer, and hear the answer to that."""
    before = len(peer.messages)
    await peer.microphone.say(await speaker.say(QUESTION))
    await peer.wait_for(
        lambda m: m["type"] == "bot-started-speaking", timeout=REPLY_SECS, after=before
    )
    before = len(peer.messages)
    await peer.microphone.say(await speaker.say(INTERRUPTION))
    await peer.hear_out(timeout=REPLY_SECS, after=before)


async def test_a_transcript_tells_what_was_heard_by_both(
    service: Service, speaker: Speaker
) -> None:
    async with connect(service.url) as peer:
        await peer.hear_out(timeout=REPLY_SECS)
        await interrupt(peer, speaker)
        await read_when(service.url, peer.session_id, entries(5))
        before = len(peer.messages)
        peer.send("send-text", {"content": "What is your street address?"})
        await peer.hear_out(timeout=REPLY_SECS, after=before)
        going_on = await read_when(service.url, peer.session_id, entries(7))
    whole = await read_when(service.url, peer.session_id, lambda transcript: transcript["ended_at"])

    assert going_on["ended_at"] is None
    assert whole["entries"] == going_on["entries"]
    assert whole["end_reason"] == "hung_up"
    assert datetime.fromisoformat(whole["ended_at"]) > datetime.fromisoformat(whole["created_at"])

    turns = whole["entries"]
    assert [turn["speaker"] for turn in turns] == ["bot", "user"] * 3 + ["bot"]
    numbers = [turn["sequence"] for turn in turns]
    assert numbers == sorted(set(numbers))
    greeting, question, cut, interruption, answer, typed, address = turns
    assert greeting["heard"] == greeting["spoken"] == GREETING
    assert greeting["generated"] == "", "nobody had to write it"
    assert words_wrong(QUESTION, question["heard"]) <= 1
    assert cut["interrupted"]
    assert len(cut["heard"]) < len(cut["generated"]), "only what was played is in it"
    assert words_wrong(INTERRUPTION, interruption["heard"]) <= 2
    assert not answer["interrupted"]
    assert "closed" in answer["heard"].lower()
    assert answer["heard"].split() == answer["generated"].split() == answer["spoken"].split()
    assert typed["heard"] == "What is your street address?"
    assert "willow" in address["heard"].lower()
    assert all(seconds(turn) >= 0 for turn in turns)
    assert 2 < seconds(greeting) < 8
    assert 1 < seconds(question) < 8

    text = await read(service.url, peer.session_id, "txt")
    lines = text.splitlines()
    assert re.fullmatch(r"\[\d\d:\d\d:\d\d\] Bot: " + re.escape(GREETING), lines[0])
    assert len(lines) == len([turn for turn in turns if turn["heard"]])
    vtt = await read(service.url, peer.session_id, "vtt")
    cue = rf"WEBVTT\n\n\d\n00:00:0\d\.\d+ --> 00:00:0\d\.\d+\n<v Bot>{re.escape(GREETING)}\n"
    assert re.match(cue, vtt)


def seconds(turn: dict[str, str]) -> float:
    begun, ended = (datetime.fromisoformat(turn[at]) for at in ("started_at", "ended_at"))
    return (ended - begun).total_seconds()


@pytest.fixture(params=["sqlite", "postgresql"])
def environment(request: pytest.FixtureRequest) -> dict[str, str]:
    """Where a service keeps its sessions."""
    if request.param == "sqlite":
        return {}
    server: Postgres = request.getfixturevalue("postgres")
    return {"PARLANTE_DATABASE_URL": server.url}


async def test_what_was_said_survives_the_death_of_the_service(
    tmp_path: Path, environment: dict[str, str], speaker: Speaker
) -> None:
    with run_service(tmp_path, environment=environment) as service:
        async with connect(service.url) as peer:
            await peer.hear_out(timeout=REPLY_SECS)
            heard, answer, _ = await ask(peer, speaker, QUESTION)
            await read_when(service.url, peer.session_id, entries(3))
            service.process.kill()
            service.process.wait()
    with run_service(tmp_path, environment=environment) as service:
        transcript = await read(service.url, peer.session_id)
    assert [entry["heard"] for entry in transcript["entries"][1:]] == [heard, answer]
    if not environment:
        with sqlite3.connect(tmp_path / "data" / "parlante.db") as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        database.close()
