"""Every route, asked by those whom it does not concern."""

import asyncio

import httpx

from tests.app import key_of, service
from tests.unit.test_auth import start

OPEN_TO_ALL = {
    "/health",
    "/ready",
    "/metrics",
    "/agents",
    "/status",
    "/voice/realtime/health",
    # The secret of the session is in the path.
    "/sessions/{token}/api/offer",
    # Daily signs what it sends there.
    "/daily-dialin-webhook",
}


async def test_nothing_but_what_is_meant_to_be_is_open() -> None:
    async with service(server={"host": "0.0.0.0"}) as http:
        paths = http.app.openapi()["paths"]  # type: ignore[attr-defined]
        assert "/start" in paths
        for path, methods in paths.items():
            for method in (name.upper() for name in methods):
                if {path, f"{method} {path}"} & OPEN_TO_ALL:
                    continue
                answer = await http.request(method, path.replace("{session_id}", "x"), json={})
                assert answer.status_code == 401, (method, path, answer.text)


async def test_two_users_with_ten_sessions_each_see_nothing_of_each_others() -> None:
    limits = {"sessions": 20, "sessions_per_user": 10}
    async with service(voice={"realtime": {"limits": limits}}) as http:
        keys = {user: await key_of(http, user) for user in ("ada", "eve")}
        operator = await key_of(http, "ops", is_operator=True)
        started = await asyncio.gather(
            *(start(http, X_API_Key=key) for _ in range(10) for key in keys.values())
        )
        names = [answer.json()["sessionId"].split(".")[0] for answer in started]
        of_user = {"ada": names[::2], "eve": names[1::2]}
        for user, key in keys.items():
            listed = await http.get("/voice/realtime/sessions", headers={"X-API-Key": key})
            mine = [status["session_id"] for status in listed.json()["sessions"]]
            assert sorted(mine) == sorted(of_user[user])

        paths = http.app.openapi()["paths"]  # type: ignore[attr-defined]
        routes = [
            (method.upper(), path)
            for path, methods in paths.items()
            for method in methods
            if "{session_id}" in path
        ]
        assert len(routes) >= 4

        async def ask(method: str, path: str, name: str, key: str) -> httpx.Response:
            address = path.replace("{session_id}", name)
            return await http.request(method, address, headers={"X-API-Key": key})

        for method, path in routes:
            nowhere = await ask(method, path, "of-nobody", keys["eve"])
            assert nowhere.status_code == 404
            for name in of_user["ada"]:
                refused = await ask(method, path, name, keys["eve"])
                assert refused.status_code == 404, (method, path)
                assert refused.json() == nowhere.json(), "nor is it told that there is one"
        transcript = "/voice/realtime/session/{session_id}/transcript"
        for key in (keys["ada"], operator):
            seen = await ask("GET", transcript, of_user["ada"][0], key)
            assert seen.status_code == 200
