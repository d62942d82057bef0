"""What other servers are told survives the service that was to tell it."""

import json
from itertools import repeat
from pathlib import Path

import aiohttp
import pytest

from tests.service import run_service
from tests.standins.webhook_receiver import WebhookReceiver, run_webhook_receiver

pytestmark = pytest.mark.long

SECRET = "whsec_" + "c2VjcmV0" * 5


async def test_what_had_not_arrived_when_the_service_was_killed_is_told_by_the_next_one(
    tmp_path: Path,
) -> None:
    receiver = WebhookReceiver(SECRET, answers=repeat(503))
    async with run_webhook_receiver(receiver), aiohttp.ClientSession() as http:
        webhooks = json.dumps([{"url": receiver.url, "secret": SECRET}])
        environment = {"PARLANTE_SERVER__WEBHOOKS": webhooks}
        with run_service(tmp_path, environment=environment) as service:
            async with http.post(f"{service.url}/start", json={}) as answer:
                assert answer.status == 200
            await receiver.wait_for(1)
            await service.until_logged("webhook to 127.0.0.1 again in 5 s")
            service.process.kill()
            service.process.wait()
        receiver.answers = repeat(204)
        with run_service(tmp_path, environment=environment):
            await receiver.wait_for(2)
    assert [message["type"] for message in receiver.told] == ["session.started"] * 2
    assert len(set(receiver.ids)) == 1
