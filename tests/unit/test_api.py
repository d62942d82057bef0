"""The service's answers, over its real routes, without any model."""

from collections.abc import AsyncIterator

import httpx
import pytest

from bots.local_models import cpu_threads
from runner.app import MAX_BODY_BYTES
from runner.rooms.rooms import HERE
from tests.app import key_of, service
from tests.database import Postgres

BROKEN_OFFER = {"sdp": "v=0\r\nm=audio nowhere RTP/AVP 0\r\n", "type": "offer"}

NO_CANDIDATES: dict[str, object] = {"pc_id": "x", "candidates": []}


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with service() as client:
        yield client


async def starts(http: httpx.AsyncClient, count: int) -> list[int]:
    """Return the status of so many starts, one after the other."""
    return [(await http.post("/start", json={})).status_code for _ in range(count)]


async def test_with_offline_models_there_is_a_line_for_each_core() -> None:
    lines = cpu_threads()
    async with service(profile="offline") as http:
        assert await starts(http, lines + 1) == [200] * lines + [429]


async def test_where_others_do_the_work_there_are_ten_lines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    async with service() as http:
        assert await starts(http, 11) == [200] * 10 + [429]


async def test_while_the_database_is_away_nobody_is_let_in_and_no_line_is_lost(
    postgres: Postgres,
) -> None:
    async with service(database_url=postgres.url, profile="offline") as http:
        assert (await http.get("/ready")).status_code == 200
        postgres.stop()
        for method, path in (("GET", "/ready"), *[("POST", "/start")] * 2 * cpu_threads()):
            answer = await http.request(method, path, json={})
            assert answer.status_code == 503
            assert answer.json()["error"]["code"] == "DATABASE_UNAVAILABLE"
            assert answer.json()["error"]["retryable"] is True
            assert int(answer.headers["Retry-After"]) > 0
        assert (await http.get("/health")).status_code == 200, "a restart would not help"
        postgres.start()
        assert await starts(http, 1) == [200]


async def test_pipecats_clients_get_a_session(http: httpx.AsyncClient) -> None:
    answer = await http.post(
        "/start", json={"transport": "webrtc", "enableDefaultIceServers": True}
    )
    assert answer.status_code == 200
    assert set(answer.json()) == {"sessionId"}


@pytest.mark.parametrize(
    ("headers", "address"),
    [
        ({}, "ws://localhost/ws-client/"),
        ({"host": "voice.example:81"}, "ws://voice.example:81/ws-client/"),
    ],
)
async def test_pipecats_websocket_client_gets_an_address_where_it_is_and_no_other_key(
    http: httpx.AsyncClient, headers: dict[str, str], address: str
) -> None:
    headers = {**headers, "X-API-Key": await key_of(http, "ada")}
    answer = await http.post("/start", json={"transport": "websocket"}, headers=headers)
    assert set(answer.json()) == {"wsUrl"}
    assert answer.json()["wsUrl"].startswith(address)
    assert (await http.get("/ready")).json()["sessions"] == 1


async def test_behind_tls_the_address_is_a_secure_one(http: httpx.AsyncClient) -> None:
    answer = await http.post("https://localhost/start", json={"transport": "websocket"})
    assert answer.json()["wsUrl"].startswith("wss://localhost/ws-client/")


async def test_status_and_health_are_told(http: httpx.AsyncClient) -> None:
    transports = list(HERE)
    assert (await http.get("/status")).json() == {
        "status": "ready",
        "transports": transports,
        "agent_name": "parlante",
    }
    assert 'parlante_info{agent_name="parlante"} 1.0' in (await http.get("/metrics")).text
    assert (await http.get("/health")).json() == {"status": "ok"}
    assert (await http.get("/ready")).json() == {"status": "ready", "sessions": 0}


async def test_the_bots_are_listed(http: httpx.AsyncClient) -> None:
    listed = (await http.get("/agents")).json()
    assert listed["default"] == "receptionist"
    assert listed["agents"][0]["name"] == "receptionist"
    assert listed["agents"][0]["description"]
    assert all(agent["modes"] == ["chained"] for agent in listed["agents"])


async def test_who_can_speak_by_one_service_is_listed_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    async with service() as http:
        agents = (await http.get("/agents")).json()["agents"]
    modes = {agent["name"]: agent["modes"] for agent in agents}
    assert modes["receptionist"] == ["chained", "speech_to_speech"]
    assert modes["realtime"] == ["speech_to_speech", "chained"]
    assert modes["smart_router"] == ["chained"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "/start", {"transport": "pigeon"}, 400, "TRANSPORT_UNAVAILABLE"),
        ("POST", "/start", {"body": {"bot": "nobody"}}, 404, "UNKNOWN_BOT"),
        ("POST", "/start", {"body": 3}, 422, "INVALID_REQUEST"),
        ("POST", "/sessions/x/api/offer", BROKEN_OFFER, 404, "SESSION_NOT_FOUND"),
        ("POST", "/api/offer", BROKEN_OFFER, 422, "CONNECTION_FAILED"),
        ("POST", "/api/offer", {"sdp": "junk", "type": "offer"}, 422, "INVALID_REQUEST"),
        ("POST", "/api/offer", {**BROKEN_OFFER, "type": "answer"}, 422, "INVALID_REQUEST"),
        ("PATCH", "/api/offer", NO_CANDIDATES, 404, "SESSION_NOT_FOUND"),
        ("PATCH", "/sessions/x/api/offer", NO_CANDIDATES, 404, "SESSION_NOT_FOUND"),
        ("GET", "/sessions/x", None, 404, "NOT_FOUND"),
        ("DELETE", "/start", None, 405, "METHOD_NOT_ALLOWED"),
    ],
)
async def test_errors_have_one_shape(
    http: httpx.AsyncClient, method: str, path: str, body: object, status: int, code: str
) -> None:
    answer = await http.request(method, path, json=body)
    assert answer.status_code == status
    shown = answer.json()
    assert shown["error"]["code"] == code
    assert shown["error"]["message"] == shown["info"] == shown["detail"]
    assert isinstance(shown["error"]["retryable"], bool)


async def test_a_body_that_is_not_json_is_refused(http: httpx.AsyncClient) -> None:
    answer = await http.post("/start", content=b"{", headers={"content-type": "application/json"})
    assert answer.json()["error"]["code"] == "INVALID_REQUEST"


async def test_a_body_above_the_limit_is_refused(http: httpx.AsyncClient) -> None:
    answer = await http.post(
        "/start",
        content=b" " * (MAX_BODY_BYTES + 1),
        headers={"content-type": "application/json"},
    )
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "BODY_TOO_LARGE"


async def test_pipecats_prebuilt_client_is_served(http: httpx.AsyncClient) -> None:
    answer = await http.get("/client/")
    assert answer.status_code == 200
    assert "text/html" in answer.headers["content-type"]


async def test_metrics_tell_of_sessions_and_of_answers_not_yet_given(
    http: httpx.AsyncClient,
) -> None:
    await starts(http, 1)
    answer = await http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    lines = answer.text.splitlines()
    assert "parlante_sessions 1.0" in lines
    assert 'parlante_answers_total{made="withdrawn"} 0.0' in lines
