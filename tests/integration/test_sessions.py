"""Sessions over the API of the real service."""

import asyncio
import json
import signal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from runner.peer import connect
from tests.integration.test_call import REPLY_SECS, ask
from tests.integration.test_transcript import read_when
from tests.service import Service, keys, run_service, until_no_session
from tests.speech import Speaker

BASE = "/voice/realtime"


async def request(service: Service, method: str, path: str, **body: Any) -> tuple[int, Any]:
    async with (
        aiohttp.ClientSession(service.url) as http,
        http.request(method, BASE + path, json=body or None) as response,
    ):
        return response.status, await response.json() if response.status != 204 else None


async def test_a_status_is_that_of_the_call(service: Service) -> None:
    _, before = await request(service, "GET", "/health")
    status, made = await request(service, "POST", "/session", agent_type="single_agent")
    assert status == 200
    path = f"/session/{made['session_id']}"

    async def told() -> tuple[int, bool, str]:
        _, told = await request(service, "GET", path)
        return told["participant_count"], told["agent_connected"], told["agent_state"]

    assert await told() == (0, False, "disconnected")
    async with connect(service.url, session_id=made["token"]) as peer:
        await peer.wait_for_state("speaking", timeout=REPLY_SECS)
        assert await told() == (2, True, "speaking")
        await peer.hear_out(timeout=REPLY_SECS)
        assert await told() == (2, True, "listening")
        _, health = await request(service, "GET", "/health")
        # Those that the tests before have left wait for their clients, and may be over by now.
        assert 1 <= health["active_rooms"] <= before["active_rooms"] + 1
        assert health["active_sessions"] == 1
        assert (await request(service, "DELETE", path))[0] == 204
        await asyncio.wait_for(peer.closed.wait(), 5)
    _, ended = await request(service, "GET", path)
    assert ended["is_active"] is False
    assert ended["end_reason"] == "deleted"
    assert ended["participant_count"] == 0
    assert ended["agent_state"] == "disconnected"
    _, later = await request(service, "GET", path)
    assert later["duration_seconds"] == ended["duration_seconds"]
    await until_no_session(service.url, timeout=3)


async def test_a_session_is_greeted_as_it_wished(service: Service) -> None:
    wish = {"agent_type": "single_agent", "agent_config": {"greeting": "Bakery, good morning!"}}
    _, made = await request(service, "POST", "/session", **wish)
    async with connect(service.url, session_id=made["token"]) as peer:
        await peer.hear_out(timeout=REPLY_SECS)
        said = [m["data"]["text"] for m in peer.messages if m["type"] == "bot-tts-text"]
    assert " ".join(said).strip() == "Bakery, good morning!"


@pytest.mark.long
@pytest.mark.parametrize("may", [True, False])
async def test_a_user_interrupts_where_they_may(
    service: Service, speaker: Speaker, may: bool
) -> None:
    greeting = "Welcome to the bakery. We have bread, rolls, and cakes. Today there are plums, too."
    config = {"greeting": greeting, "allow_interruptions": may}
    _, made = await request(
        service, "POST", "/session", agent_type="single_agent", agent_config=config
    )
    words = await speaker.say("Please stop, I have a question.")
    async with connect(service.url, session_id=made["token"]) as peer:
        await peer.wait_for(lambda m: m["type"] == "bot-started-speaking", timeout=REPLY_SECS)
        await peer.microphone.say(words)
        await peer.hear_out(timeout=REPLY_SECS)
        whole = await read_when(service.url, made["session_id"], lambda whole: whole["entries"])
    assert whole["entries"][0]["interrupted"] is may


@pytest.mark.long
async def test_a_connection_is_nobody_s_but_its_users(tmp_path: Path) -> None:
    ada, eve = keys(tmp_path, "add", "ada"), keys(tmp_path, "add", "eve")
    with run_service(tmp_path) as service:
        async with connect(service.url, key=ada) as peer:
            offer = {"sdp": "v=0\r\n", "type": "offer", "pc_id": peer.pc_id, "restart_pc": True}
            candidates = {"pc_id": peer.pc_id, "candidates": []}

            async def ask(method: str, key: str | None, body: dict[str, Any]) -> int:
                headers = {"X-API-Key": key} if key else None
                async with (
                    aiohttp.ClientSession(service.url, headers=headers) as http,
                    http.request(method, "/api/offer", json=body) as response,
                ):
                    return response.status

            assert await ask("POST", eve, offer) == 404
            assert await ask("PATCH", eve, candidates) == 404
            assert await ask("PATCH", None, candidates) == 401
            assert await ask("PATCH", ada, candidates) == 200
            before = len(peer.messages)
            peer.send("send-text", {"content": "When do you open on Monday?"})
            await peer.hear_out(timeout=REPLY_SECS, after=before)


async def test_whoever_follows_a_call_is_told_what_happens_in_it(
    service: Service, speaker: Speaker
) -> None:
    _, made = await request(service, "POST", "/session", agent_type="single_agent")
    begun = asyncio.Event()
    followed = asyncio.create_task(follow(service, made["session_id"], begun))
    await asyncio.wait_for(begun.wait(), 5)
    async with connect(service.url, session_id=made["token"]) as peer:
        await peer.hear_out(timeout=REPLY_SECS)
        await ask(peer, speaker, "What is your street address?")
    told = await asyncio.wait_for(followed, REPLY_SECS)

    states = [event["data"]["state"] for kind, event in told if kind == "state"]
    assert states[:4] == ["disconnected", "connecting", "initializing", "listening"]
    assert states[-2:] == ["disconnecting", "disconnected"]
    assert states.count("speaking") == 2
    kept = [(kind, event["sequence"]) for kind, event in told if kind != "state"]
    assert [number for _, number in kept] == list(range(1, len(kept) + 1))
    assert [kind for kind, _ in kept if kind != "answer"] == [
        "started",
        "joined",
        *["turn"] * 3,
        "left",
        "ended",
    ]
    [answer] = [event["data"] for kind, event in told if kind == "answer"]
    assert answer["total_ms"] > 0
    assert "turn_detection" in answer["stages_ms"]
    turns = [event["data"] for kind, event in told if kind == "turn"]
    assert [turn["speaker"] for turn in turns] == ["bot", "user", "bot"]
    assert "willow" in turns[2]["heard"].lower()


async def test_a_service_that_stops_does_not_wait_for_those_who_follow(tmp_path: Path) -> None:
    with run_service(tmp_path) as service:
        _, made = await request(service, "POST", "/session", agent_type="single_agent")
        begun = asyncio.Event()
        followed = asyncio.create_task(follow(service, made["session_id"], begun))
        await asyncio.wait_for(begun.wait(), 5)
        service.process.send_signal(signal.SIGINT)
        assert await asyncio.to_thread(service.process.wait, 8) == 0
        assert [kind for kind, _ in await followed] == ["started", "state"]
    assert "ERROR" not in service.log


async def follow(service: Service, session_id: str, begun: asyncio.Event) -> list[tuple[str, Any]]:
    """Return what is told of a session until its end; set `begun` when the first is."""
    told, kind = [], ""
    path = f"{BASE}/session/{session_id}/events"
    async with aiohttp.ClientSession(service.url) as http, http.get(path) as response:
        assert response.status == 200
        async for line in response.content:
            name, _, value = line.decode().strip().partition(": ")
            if name == "event":
                kind = value
            elif name == "data":
                told.append((kind, json.loads(value)))
                begun.set()
    return told
