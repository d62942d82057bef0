"""Calls by way of a TURN server, and what a session is given to get past it."""

import json
from pathlib import Path

import pytest

from bots.settings import load_settings
from runner import doctor
from runner.clients.client import TalkFailed
from runner.peer import connect
from runner.session import session_id_of
from tests.integration.test_call import REPLY_SECS, ask
from tests.service import Service, run_service
from tests.speech import Speaker, words_wrong
from tests.turn import TurnServer

pytestmark = pytest.mark.long


def servers(turn_server: TurnServer, **changes: str) -> list[dict[str, str]]:
    return [{"urls": turn_server.url, "secret": turn_server.secret, **changes}]


async def test_a_peer_that_may_only_be_relayed_talks_with_the_bot(
    tmp_path: Path, turn_server: TurnServer, speaker: Speaker
) -> None:
    variable = "PARLANTE_VOICE__REALTIME__ICE_SERVERS"
    environment = {variable: json.dumps(servers(turn_server))}
    with run_service(tmp_path, "--profile", "offline", environment=environment) as service:
        async with connect(service.url, relay_only=True) as peer:
            session_id = session_id_of(peer.session_id)
            await peer.hear_out(timeout=REPLY_SECS)
            heard, _, voiced = await ask(peer, speaker, "What are your opening hours?")
    assert words_wrong("What are your opening hours?", heard) <= 1
    assert voiced > 1
    assert f":{session_id}>" in turn_server.log
    assert turn_server.secret not in service.log


async def test_without_a_turn_server_such_a_peer_is_told_that_it_cannot(service: Service) -> None:
    with pytest.raises(TalkFailed, match="not get ready"):
        async with connect(service.url, relay_only=True):
            pass


def test_the_doctor_tries_the_turn_server(turn_server: TurnServer) -> None:
    good = load_settings(overrides={"voice": {"realtime": {"ice_servers": servers(turn_server)}}})
    assert "each gives an address" in doctor._ice(good)


def test_the_doctor_finds_that_the_secret_is_another(turn_server: TurnServer) -> None:
    wrong = servers(turn_server, secret="another")
    settings = load_settings(overrides={"voice": {"realtime": {"ice_servers": wrong}}})
    with pytest.raises(OSError, match="are the credentials right"):
        doctor._ice(settings)
