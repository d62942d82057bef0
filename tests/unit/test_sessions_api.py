"""Sessions over the API: made, looked at, listed and ended."""

import asyncio
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.app import key_of, service
from tests.database import Postgres

LINES = {"realtime": {"limits": {"sessions": 4}}}
WISH = {"agent_type": "single_agent"}
BASE = "/voice/realtime"


async def make(http: httpx.AsyncClient, **more: Any) -> dict[str, Any]:
    answer = await http.post(f"{BASE}/session", json={**WISH, **more})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def look(http: httpx.AsyncClient, session_id: str) -> dict[str, Any]:
    answer = await http.get(f"{BASE}/session/{session_id}")
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_a_session_comes_with_all_that_its_client_needs() -> None:
    servers = [{"urls": "turn:turn.example.com", "username": "u", "credential": "c"}]
    async with service(voice={"realtime": {"ice_servers": servers, **LINES["realtime"]}}) as http:
        made = await make(http)
        by_socket = await make(http, transport="websocket")
    assert re.fullmatch(r"voice-local-[0-9a-f]{8}", made["room_name"])
    assert made["room_name"] != by_socket["room_name"]
    assert made["token"].startswith(made["session_id"])
    assert made["url"] == f"http://localhost/sessions/{made['token']}/api/offer"
    assert by_socket["url"] == f"ws://localhost/ws-client/{by_socket['token']}"
    assert made["ice_servers"] == servers


async def test_a_session_that_waits_for_its_client_says_so() -> None:
    async with service() as http:
        made = await make(http)
        status = await look(http, made["session_id"])
    assert datetime.fromisoformat(status.pop("created_at")).tzinfo
    assert 0 <= status.pop("duration_seconds") < 5
    assert status == {
        "session_id": made["session_id"],
        "room_name": made["room_name"],
        "user": "local",
        "bot": "receptionist",
        "transport": "webrtc",
        "is_active": True,
        "participant_count": 0,
        "agent_connected": False,
        "agent_state": "disconnected",
        "last_wait_ms": None,
        "end_reason": None,
        "usage": {"currency": "USD", "cost": 0.0, "unpriced": [], "services": []},
        "recorded": [],
    }


async def test_a_session_that_is_ended_frees_its_line_and_stays_on_record() -> None:
    async with service(voice={"realtime": {"limits": {"sessions": 1}}}) as http:
        made = await make(http)
        path = f"{BASE}/session/{made['session_id']}"
        assert (await http.post(f"{BASE}/session", json=WISH)).status_code == 429
        for _ in range(2):
            ended = await http.delete(path)
            assert (ended.status_code, ended.content) == (204, b"")
        status = await look(http, made["session_id"])
        assert (status["is_active"], status["end_reason"]) == (False, "deleted")
        offer = {"sdp": "v=0\r\n", "type": "offer"}
        assert (await http.post(made["url"], json=offer)).status_code == 404
        await make(http)
        metrics = (await http.get("/metrics")).text
        assert 'parlante_sessions_ended_total{reason="deleted"} 1.0' in metrics


async def test_what_holds_for_every_bot_gives_way_to_what_is_said_of_one() -> None:
    settings = {
        "bots": {"sales": {"temperature": 0.1, "budget": 0.5}},
        "voice": {"realtime": {"agent": {"initial_greeting": False, "temperature": 0.2}}},
    }
    async with service(**settings) as http:
        manager = http.app.state.sessions  # type: ignore[attr-defined]
        made = [await make(http, bot=name) for name in ("receptionist", "sales")]
        one, other = [(await manager.admit(session["token"])).bot for session in made]
    assert (one.greeting, one.temperature, one.max_tokens) == ("", 0.2, None)
    assert (other.greeting, other.temperature) == ("", 0.1)
    assert (one.budget, other.budget) == (None, 0.5)


async def test_a_session_is_not_held_by_a_model_that_costs_nothing_in_its_budget(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-nobody-asks")
    small = {"gpt-4.1-mini": {"prompt": 0.4, "completion": 1.6}}
    voice = {
        "prices": {"providers": {"openai": small}},
        "realtime": {"limits": {"budget": 1.0}},
    }
    async with service(voice=voice) as http:
        await make(http, agent_config={"llm_model": "gpt-4.1-mini", "greeting": ""})
        wish = {**WISH, "agent_config": {"llm_model": "gpt-4.1"}}
        answer = await http.post(f"{BASE}/session", json=wish)
        assert answer.status_code == 422
        assert "openai/gpt-4.1: has no price" in answer.json()["error"]["message"]
        answer = await http.put(f"{BASE}/config", json={"llm_model": "gpt-4.1"})
        assert answer.status_code == 422
    async with service(voice={**voice, "realtime": {}}) as http:
        await make(http, agent_config={"llm_model": "gpt-4.1"})


async def test_how_a_session_ended_is_known_as_soon_as_it_has() -> None:
    async with service(voice=LINES) as http:
        made = await make(http)
        app = http.app  # type: ignore[attr-defined]
        async with app.state.store._writing():
            ending = asyncio.create_task(http.delete(f"{BASE}/session/{made['session_id']}"))
            while not app.state.sessions.is_ending(made["session_id"]):  # noqa: ASYNC110
                await asyncio.sleep(0)
            looking = asyncio.create_task(look(http, made["session_id"]))
            await asyncio.sleep(0.1)
            assert not looking.done()
        assert (await looking)["end_reason"] == "deleted"
        await ending


async def test_sessions_are_listed_newest_first_and_only_their_users() -> None:
    async with service(voice=LINES) as http:
        ada, eve = await key_of(http, "ada"), await key_of(http, "eve")
        http.headers["X-API-Key"] = ada
        made = [(await make(http))["session_id"] for _ in range(3)]
        listed = (await http.get(f"{BASE}/sessions")).json()["sessions"]
        assert [status["session_id"] for status in listed] == made[::-1]
        some = (await http.get(f"{BASE}/sessions?limit=1")).json()["sessions"]
        assert [status["session_id"] for status in some] == made[-1:]

        http.headers["X-API-Key"] = eve
        assert (await http.get(f"{BASE}/sessions")).json() == {"sessions": []}
        for method in ("GET", "DELETE"):
            answer = await http.request(method, f"{BASE}/session/{made[0]}")
            unknown = await http.request(method, f"{BASE}/session/of-nobody")
            assert answer.status_code == 404
            assert answer.json() == unknown.json(), "nor is it told that there is one"
        http.headers["X-API-Key"] = ada
        assert (await look(http, made[0]))["is_active"] is True


@pytest.mark.parametrize(
    ("wish", "status", "words"),
    [
        ({}, 422, "agent_type"),
        ({"agent_type": "anything"}, 422, "agent_type"),
        ({**WISH, "transport": "smoke"}, 422, "transport"),
        ({**WISH, "agent_config": {"temperature": 3}}, 422, "temperature"),
        ({**WISH, "agent_config": {"wings": 2}}, 422, "wings"),
        ({**WISH, "wings": 2}, 422, "wings"),
        ({**WISH, "voice_profile": "soprano"}, 422, "voice_profile"),
        ({**WISH, "bot": "nobody"}, 404, "nobody"),
    ],
)
async def test_a_wish_that_cannot_be_met_is_refused_with_its_reason(
    wish: dict[str, Any], status: int, words: str
) -> None:
    async with service() as http:
        answer = await http.post(f"{BASE}/session", json=wish)
        assert answer.status_code == status
        assert words in answer.json()["error"]["message"]
        assert (await http.get("/ready")).json()["sessions"] == 0


async def test_a_session_may_be_held_by_one_bot_or_by_several() -> None:
    async with service(voice=LINES) as http:
        one, several = await make(http, bot="sales"), await make(http, agent_type="smart_router")
        manager = http.app.state.sessions  # type: ignore[attr-defined]
        bots = [(await manager.admit(made["token"])).bot for made in (one, several)]
    assert [bot.specialists for bot in bots] == [(), ("receptionist", "sales", "callcenter")]


async def test_a_session_may_have_a_bot_that_differs() -> None:
    async with service(voice=LINES) as http:
        plain = await make(http)
        silent = await make(http, initial_greeting=False)
        other = await make(
            http,
            agent_config={"instructions": "You are a baker.", "greeting": "Hi!", "max_tokens": 9},
        )
        manager = http.app.state.sessions  # type: ignore[attr-defined]
        bots = [(await manager.admit(made["token"])).bot for made in (plain, silent, other)]
    assert bots[0].greeting.startswith("Willowbrook")
    assert bots[1].greeting == ""
    assert (bots[2].greeting, bots[2].max_tokens) == ("Hi!", 9)
    assert bots[2].system_instruction(small=False) == "You are a baker."


async def test_health_is_told_to_anybody(postgres: Postgres) -> None:
    async def told() -> tuple[str, int]:
        body = (await http.get(f"{BASE}/health")).json()
        assert set(body) == {
            "status",
            "transport_connected",
            "active_rooms",
            "active_sessions",
            "timestamp",
        }
        return body["status"], body["active_rooms"]

    one = {"realtime": {"limits": {"sessions": 1}}}
    async with service(database_url=postgres.url, voice=one) as http:
        assert await told() == ("healthy", 0)
        made = await make(http)
        assert await told() == ("degraded", 1)
        await http.delete(f"{BASE}/session/{made['session_id']}")
        assert await told() == ("healthy", 0)
        postgres.stop()
        assert await told() == ("unhealthy", 0)
        postgres.start()


CONFIG = {
    "stt_model": None,
    "llm_model": None,
    "tts_model": None,
    "tts_voice": None,
    "realtime_model": None,
    "realtime_voice": None,
    "language": None,
    "speed": None,
    "allow_interruptions": None,
    "enable_thinking_sound": None,
    "thinking_volume": None,
}


async def test_what_a_user_wants_is_in_their_next_session_and_in_nobody_elses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    async with service(voice=LINES) as http:
        ada, eve = await key_of(http, "ada"), await key_of(http, "eve")
        manager = http.app.state.sessions  # type: ignore[attr-defined]
        http.headers["X-API-Key"] = ada
        assert (await http.get(f"{BASE}/config")).json() == CONFIG
        before = await make(http)
        wishes = {"llm_model": "gpt-5", "tts_voice": "nova", "allow_interruptions": False}
        kept = await http.put(f"{BASE}/config", json=wishes)
        assert (kept.status_code, kept.json()) == (200, {**CONFIG, **wishes})
        assert (await http.get(f"{BASE}/config")).json() == {**CONFIG, **wishes}
        after = await make(http)
        other = await make(http, agent_config={"llm_model": "gpt-4.1"})
        http.headers["X-API-Key"] = eve
        assert (await http.get(f"{BASE}/config")).json() == CONFIG
        hers = await make(http)
        bots = [(await manager.admit(made["token"])).bot for made in (before, after, other, hers)]
        http.headers["X-API-Key"] = ada
        assert (await http.put(f"{BASE}/config", json={})).json() == CONFIG
    assert [bot.llm_model for bot in bots] == [None, "gpt-5", "gpt-4.1", None]
    assert [bot.tts_voice for bot in bots] == [None, "nova", "nova", None]
    assert [bot.allow_interruptions for bot in bots] == [None, False, False, None]


@pytest.mark.parametrize(
    ("wishes", "words"),
    [
        ({"llm_model": "gpt-5"}, "loaded on this machine"),
        ({"language": "klingon"}, "name one as Pipecat does"),
        ({"speed": 2.1}, "speed"),
        ({"allow_interruptions": "perhaps"}, "allow_interruptions"),
        ({"thinking_volume": 1.5}, "thinking_volume"),
        ({"wings": 2}, "wings"),
        ([], "body"),
    ],
)
async def test_what_cannot_be_had_is_not_kept(wishes: Any, words: str) -> None:
    async with service() as http:
        answer = await http.put(f"{BASE}/config", json=wishes)
        assert answer.status_code == 422
        assert words in answer.json()["error"]["message"]
        assert (await http.get(f"{BASE}/config")).json() == CONFIG
        refused = await http.post(f"{BASE}/session", json={**WISH, "agent_config": wishes or 1})
        assert refused.status_code == 422


async def test_what_a_user_wanted_once_and_cannot_be_had_any_more_locks_nobody_out() -> None:
    async with service() as http:
        store = http.app.state.store  # type: ignore[attr-defined]
        await store.configure("local", {"llm_model": "of another day"})
        assert (await http.post("/start", json={})).status_code == 200
        body = {"body": {"llm_model": "of another day"}}
        assert (await http.post("/start", json=body)).status_code == 422


async def test_pipecats_clients_may_want_the_same_of_a_session() -> None:
    async with service() as http:
        body = {"bot": "sales", "temperature": 0.4, "greeting": "Hi!", "theme": "dark"}
        made = (await http.post("/start", json={"body": body})).json()
        manager = http.app.state.sessions  # type: ignore[attr-defined]
        bot = (await manager.admit(made["sessionId"])).bot
        assert (bot.greeting, bot.temperature) == ("Hi!", 0.4)
        refused = await http.post("/start", json={"body": {"temperature": 3}})
        assert (refused.status_code, "temperature" in refused.text) == (422, True)


async def test_what_does_not_get_to_a_bot_in_another_process_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    settings = {
        "bus": {"redis_url": "redis://127.0.0.1:9"},
        "bots": {"sales": {"remote": True, "temperature": 0.1}},
        "voice": LINES,
    }
    async with service(**settings) as http:
        for wish in ({"instructions": "Be brief."}, {"max_tokens": 9}, {"llm_model": "gpt-5"}):
            body = {**WISH, "bot": "sales", "agent_config": wish}
            refused = await http.post(f"{BASE}/session", json=body)
            assert refused.status_code == 422
            assert "thinks in another process" in refused.json()["error"]["message"]
        await make(http, bot="sales", agent_config={"greeting": "Hi!", "speed": 1.2})
        await http.put(f"{BASE}/config", json={"llm_model": "gpt-5"})
        await make(http, bot="sales")


async def test_a_language_that_the_offline_models_do_not_know_is_refused_before_the_call(
    tmp_path: Path,
) -> None:
    (tmp_path / "voice.onnx").touch()
    (tmp_path / "voice.onnx.json").write_text('{"language": {"family": "en"}}')
    local = {"tts": {"voice": str(tmp_path / "voice.onnx")}}
    async with service(voice={"providers": {"local": local}}) as http:
        for wish in ({"language": "de"}, {"language": "klingon"}):
            refused = await http.post(f"{BASE}/session", json={**WISH, "agent_config": wish})
            assert refused.status_code == 422
            error = refused.json()["error"]
            assert error["code"] == "INVALID_REQUEST"
            assert wish["language"] in error["message"]
        assert (await http.get("/ready")).json()["sessions"] == 0
        await make(http, agent_config={"language": "en-GB"})
