"""Other servers are told what becomes of sessions, over real sockets."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import chain, repeat
from typing import Any

import pytest
from pydantic import SecretStr

from bots.config import WebhookConfig
from bots.errors import ConfigError
from bots.settings import DEFAULT_CONFIG, load_settings
from runner.lines import EndReason
from runner.sessions import SessionManager
from runner.store import Store
from runner.telemetry import Telemetry
from runner.webhooks import Outbox
from tests.app import service
from tests.rows import NOON, session_row
from tests.standins.webhook_receiver import WebhookReceiver, run_webhook_receiver

SECRET = "whsec_" + "c2VjcmV0" * 5
OTHER_SECRET = "whsec_" + "b3RoZXJz" * 5
WISH = {"agent_type": "single_agent"}


@pytest.fixture
async def receiver() -> AsyncIterator[WebhookReceiver]:
    async with run_webhook_receiver(WebhookReceiver(SECRET)) as receiver:
        yield receiver


def hook(receiver: WebhookReceiver, **more: Any) -> WebhookConfig:
    return WebhookConfig(url=receiver.url, secret=SecretStr(SECRET), **more)


@asynccontextmanager
async def delivering(outbox: Outbox) -> AsyncIterator[None]:
    delivery = asyncio.create_task(outbox.deliver())
    try:
        yield
    finally:
        await outbox.close()
        await delivery


async def write(outbox: Outbox, store: Store, *kinds: str) -> None:
    for kind in kinds:
        await store.save(outbox.notices(session_row(), kind, datetime.now(UTC), {}))


def metric(telemetry: Telemetry, delivery: str) -> float:
    line = f'parlante_webhooks_total{{delivery="{delivery}"}} '
    [count] = [row for row in telemetry.page().decode().splitlines() if row.startswith(line)]
    return float(count.removeprefix(line))


def statuses(*first: int) -> Iterator[int]:
    return chain(first, repeat(204))


async def test_who_wants_to_be_told_is_told_what_becomes_of_a_session(
    receiver: WebhookReceiver,
) -> None:
    webhooks = [{"url": receiver.url, "secret": SECRET}]
    async with service(server={"webhooks": webhooks}) as http:
        started = await http.post("/voice/realtime/session", json=WISH)
        name = started.json()["session_id"]
        await http.delete(f"/voice/realtime/session/{name}")
        [first, second] = await receiver.wait_for(2)
        page = (await http.get("/metrics")).text
    assert [first["type"], second["type"]] == ["session.started", "session.ended"]
    assert first["data"]["session_id"] == second["data"]["session_id"] == name
    assert first["data"]["room_name"] == started.json()["room_name"]
    assert (first["data"]["user"], first["data"]["bot"]) == ("local", "receptionist")
    assert second["data"]["reason"] == "deleted"
    assert second["data"]["usage"]["services"] == []
    assert datetime.fromisoformat(second["timestamp"]) <= datetime.now(UTC)
    assert 'parlante_webhooks_total{delivery="arrived"}' in page


async def test_the_end_of_the_service_is_told_of_its_calls_before_it_is_over(
    receiver: WebhookReceiver,
) -> None:
    webhooks = [{"url": receiver.url, "secret": SECRET, "events": ["session.ended"]}]
    async with service(server={"webhooks": webhooks}) as http:
        started = await http.post("/voice/realtime/session", json=WISH)
        manager: SessionManager = http.app.state.sessions  # type: ignore[attr-defined]
        await manager.end(started.json()["session_id"], EndReason.DRAINED)
    assert [message["data"]["reason"] for message in receiver.told] == ["drained"]


async def test_a_session_whose_service_died_is_told_of_too(
    receiver: WebhookReceiver,
) -> None:
    webhooks = [{"url": receiver.url, "secret": SECRET}]
    async with service(server={"webhooks": webhooks}) as http:
        store: Store = http.app.state.store  # type: ignore[attr-defined]
        await store.add(session_row())
        manager: SessionManager = http.app.state.sessions  # type: ignore[attr-defined]
        await manager.end("s1", EndReason.DELETED)
        await manager.end("s1", EndReason.DELETED)
    assert [message["type"] for message in receiver.told] == ["session.ended"]


async def test_a_message_that_is_not_taken_is_sent_again_and_comes_once(
    receiver: WebhookReceiver, store: Store
) -> None:
    receiver.answers = statuses(503, 302)
    telemetry = Telemetry(lambda: 0)
    outbox = Outbox([hook(receiver)], store, telemetry, retry_secs=(0.1, 0.1, 0.1))
    await write(outbox, store, "started")
    async with delivering(outbox):
        await receiver.wait_for(3)
    assert len(set(receiver.ids)) == 1
    assert len(receiver.ids) == 3
    assert metric(telemetry, "put_off") == 2
    assert metric(telemetry, "arrived") == 1


async def test_what_nobody_takes_is_given_up_in_the_end(
    receiver: WebhookReceiver, store: Store
) -> None:
    receiver.answers = repeat(500)
    telemetry = Telemetry(lambda: 0)
    outbox = Outbox([hook(receiver)], store, telemetry, retry_secs=(0.1, 0.1))
    await write(outbox, store, "started")
    async with delivering(outbox):
        await receiver.wait_for(3)
    assert metric(telemetry, "given_up") == 1
    async with delivering(Outbox([hook(receiver)], store, telemetry)):
        await asyncio.sleep(0)
    assert len(receiver.told) == 3


async def test_who_is_gone_is_not_asked_again(receiver: WebhookReceiver, store: Store) -> None:
    receiver.answers = repeat(410)
    telemetry = Telemetry(lambda: 0)
    outbox = Outbox([hook(receiver)], store, telemetry, retry_secs=(0.0,) * 9)
    await write(outbox, store, "started")
    async with delivering(outbox):
        await receiver.wait_for(1)
    assert metric(telemetry, "given_up") == 1
    assert len(receiver.told) == 1


async def test_one_server_that_is_away_does_not_keep_others_waiting(
    receiver: WebhookReceiver, store: Store
) -> None:
    away = WebhookConfig(url="http://127.0.0.1:9/", secret=SecretStr(SECRET))
    outbox = Outbox([away, hook(receiver)], store, Telemetry(lambda: 0))
    await write(outbox, store, "started", "joined", "ended")
    async with delivering(outbox):
        await receiver.wait_for(3)
    kinds = [message["type"] for message in receiver.told]
    assert kinds == ["session.started", "session.joined", "session.ended"]


async def test_services_of_one_store_send_each_message_once(
    receiver: WebhookReceiver, store: Store
) -> None:
    one, two = (Outbox([hook(receiver)], store, Telemetry(lambda: 0)) for _ in range(2))
    await write(one, store, *["joined"] * 20)
    async with delivering(one), delivering(two):
        await receiver.wait_for(20)
    assert len(set(receiver.ids)) == len(receiver.ids) == 20


async def test_only_what_is_wanted_is_told(receiver: WebhookReceiver, store: Store) -> None:
    outbox = Outbox([hook(receiver, events=["session.ended"])], store, Telemetry(lambda: 0))
    kinds = ("started", "joined", "answer", "left", "ended")
    written = [n for kind in kinds for n in outbox.notices(session_row(), kind, NOON, {})]
    assert len(written) == 1


async def test_what_is_signed_with_another_secret_is_not_taken(
    receiver: WebhookReceiver, store: Store
) -> None:
    telemetry = Telemetry(lambda: 0)
    other = WebhookConfig(url=receiver.url, secret=SecretStr(OTHER_SECRET))
    outbox = Outbox([other], store, telemetry)
    await write(outbox, store, "started")
    async with delivering(outbox):
        await asyncio.sleep(0)
    assert not receiver.told
    assert metric(telemetry, "put_off") == 1


@pytest.mark.parametrize("secret", ["whsec_", "whsec_c2hvcnQ=", "whsec_not base64!", ""])
def test_a_secret_that_signs_nothing_is_refused_with_the_way_to_make_one(secret: str) -> None:
    webhooks = [{"url": "https://example.com", "secret": secret}]
    with pytest.raises(ConfigError, match="openssl rand -base64 32"):
        load_settings(DEFAULT_CONFIG, {"server": {"webhooks": webhooks}})
