"""Speech recognitions with a connection of their own that fail, and stand in for others that do."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.faulty_call import KEY, LONGEST_SECS, NOBODY, QUESTION, REFUSED, calling, first_of
from tests.integration.conftest import FIRST, SECOND_HEARD
from tests.integration.test_speech_failover import CANNOT_HEAR, FAULTS, ask_again, services
from tests.integration.test_voice_sockets import REASONS
from tests.speech import Speaker
from tests.standins.deepgram import DeepgramStandin, run_deepgram_standin
from tests.standins.elevenlabs import ElevenLabsHearing, run_elevenlabs_hearing
from tests.standins.faults import HearingStandin
from tests.standins.openai_server import Fault, OpenAIStandin
from tests.standins.serving import own_certificate

# Deepgram's SDK uses what `websockets` will not have for ever.
pytestmark = pytest.mark.filterwarnings("ignore:websockets.* deprecated:DeprecationWarning")

Ear: TypeAlias = tuple[str, HearingStandin]


@pytest.fixture(params=["elevenlabs", "deepgram"])
async def ear(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Ear]:
    """A provider, by its name, and what is in its place."""
    if request.param == "deepgram":
        pytest.importorskip("deepgram", reason="pipecat-ai[deepgram] is not installed")
        async with run_deepgram_standin(DeepgramStandin(KEY, heard=QUESTION)) as deepgram:
            yield request.param, deepgram
        return
    tls, certificate = own_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with run_elevenlabs_hearing(ElevenLabsHearing(KEY, heard=QUESTION), tls) as standin:
        yield request.param, standin


def address(ear: Ear, fault: str) -> dict[str, str]:
    name, standin = ear
    if fault == REFUSED:
        return {name: NOBODY.replace("http", "ws") if name == "deepgram" else "127.0.0.1:9"}
    standin.fault = Fault(fault)
    return {name: standin.url}


class TestASpeechRecognitionWithASocket:
    async def test_hears_speech_as_it_comes(
        self, tmp_path: Path, speaker: Speaker, first: OpenAIStandin, ear: Ear
    ) -> None:
        name, standin = ear
        stt = {name: standin.url}
        async with calling(tmp_path, speaker, **services(first, stt=stt)) as call:
            answer = await call.ask()
            again = await call.ask()
            said = [turn.heard for turn in call.witness.turns]
        assert said == [QUESTION, FIRST] * 2
        assert [*answer.failures, *again.failures] == []
        assert len(standin.queries) == 1, "one connection"

    async def test_stands_in_for_one_without(
        self,
        tmp_path: Path,
        speaker: Speaker,
        first: OpenAIStandin,
        ear: Ear,
    ) -> None:
        name, standin = ear
        first.faults["stt"] = Fault.STALLS
        stt = {"openai": first.url, name: standin.url}
        async with calling(tmp_path, speaker, **services(first, stt=stt)) as call:
            answer = await call.ask()
        assert answer.said.heard == FIRST
        assert sum(standin.heard_secs) > 0.5
        assert answer.failures[0].successor == name

    @pytest.mark.parametrize("fault", first_of(FAULTS))
    async def test_that_fails_has_another_hear_the_same_words(
        self,
        tmp_path: Path,
        speaker: Speaker,
        first: OpenAIStandin,
        second: OpenAIStandin,
        ear: Ear,
        fault: str,
    ) -> None:
        stt = {**address(ear, fault), "backup": second.url}
        async with calling(tmp_path, speaker, **services(first, stt=stt)) as call:
            answer = await call.ask()
            said = [turn.heard for turn in call.witness.turns]
        assert said == [SECOND_HEARD, FIRST]
        assert second.heard_secs[0] > 0.5
        failure = answer.failures[0]
        assert (failure.stage, failure.provider, failure.successor) == ("stt", ear[0], "backup")
        assert failure.reason == REASONS.get(fault, failure.reason)

    @pytest.mark.parametrize("fault", first_of([REFUSED, "401", "hang", "close"]))
    async def test_that_fails_is_owned_up_to_where_no_other_is_left(
        self, tmp_path: Path, speaker: Speaker, first: OpenAIStandin, ear: Ear, fault: str
    ) -> None:
        stt = address(ear, fault)
        async with calling(tmp_path, speaker, **services(first, stt=stt)) as call:
            answer = await call.ask()
            assert answer.said.heard == CANNOT_HEAR
            if fault != REFUSED:
                ear[1].fault = None
                assert await ask_again(call, first) == [CANNOT_HEAR]


async def test_servers_that_take_connections_and_say_nothing_hold_up_no_call(
    tmp_path: Path, speaker: Speaker, first: OpenAIStandin, second: OpenAIStandin
) -> None:
    async with silent_server() as silent:
        stt = {"elevenlabs": silent, "backup": second.url}
        tts = {"elevenlabs": f"ws://{silent}", "backup": second.url}
        begun_at = time.monotonic()
        async with calling(tmp_path, speaker, **services(first, stt=stt, tts=tts)) as call:
            assert time.monotonic() - begun_at < LONGEST_SECS
            answer = await call.ask()
    assert answer.said.heard == FIRST
    assert [(it.stage, it.reason) for it in answer.failures] == [
        ("stt", "timeout"),
        ("tts", "timeout"),
    ]


@asynccontextmanager
async def silent_server() -> AsyncIterator[str]:
    clients: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, client: clients.append(client), "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    try:
        yield f"{host}:{port}"
    finally:
        for client in clients:
            client.close()
        server.close()
