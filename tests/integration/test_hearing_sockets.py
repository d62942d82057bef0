"""What is particular to speech recognitions with a connection of their own."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.faulty_call import LONGEST_SECS, QUESTION, calling
from tests.faulty_services import HEARINGS, FaultyService
from tests.integration.conftest import FIRST, SECOND_HEARD, services
from tests.speech import Speaker
from tests.standins.deepgram import results
from tests.standins.openai_server import Fault, OpenAIStandin

# Deepgram's SDK uses what `websockets` will not have for ever.
pytestmark = [
    pytest.mark.long,
    pytest.mark.filterwarnings("ignore:websockets.* deprecated:DeprecationWarning"),
]

STUMBLING_BLOCKS = {
    "elevenlabs": "[]",
    "deepgram": json.dumps(results("Hello.", languages=["xx"], is_final=True)),
}
"""What can be read, and Pipecat's classes raise something at."""


@pytest.mark.parametrize("ear", HEARINGS[1:], indirect=True)
class TestASpeechRecognitionWithASocket:
    async def test_hears_speech_as_it_comes(
        self, tmp_path: Path, speaker: Speaker, first: OpenAIStandin, ear: FaultyService
    ) -> None:
        async with calling(tmp_path, speaker, **services(first, stt=ear.address)) as call:
            answer = await call.ask()
            again = await call.ask()
            said = [turn.heard for turn in call.witness.turns]
        assert said == [QUESTION, FIRST] * 2
        assert [*answer.failures, *again.failures] == []
        assert len(ear.standin.queries) == 1, "one connection"

    async def test_stands_in_for_one_without(
        self,
        tmp_path: Path,
        speaker: Speaker,
        first: OpenAIStandin,
        ear: FaultyService,
    ) -> None:
        first.faults["stt"] = Fault.STALLS
        stt = {"openai": first.url, **ear.address}
        async with calling(tmp_path, speaker, **services(first, stt=stt)) as call:
            answer = await call.ask()
        assert answer.said.heard == FIRST
        assert sum(ear.standin.heard_secs) > 0.5
        assert answer.failures[0].successor == ear.provider

    async def test_that_sends_what_its_class_stumbles_over_has_another_hear_the_same_words(
        self,
        tmp_path: Path,
        speaker: Speaker,
        first: OpenAIStandin,
        second: OpenAIStandin,
        ear: FaultyService,
    ) -> None:
        ear.standin.garbage = STUMBLING_BLOCKS[ear.provider]
        stt = {**ear.failing("garbage"), "backup": second.url}
        async with calling(tmp_path, speaker, **services(first, stt=stt)) as call:
            answer = await call.ask()
            said = [turn.heard for turn in call.witness.turns]
        assert said == [SECOND_HEARD, FIRST]
        assert answer.wait_secs < LONGEST_SECS


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
