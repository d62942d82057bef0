"""Services with every fault: for each purpose, and over each kind of connection."""

import re
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.standins.cartesia import CartesiaVoice, run_cartesia_voice
from tests.standins.deepgram import DeepgramStandin, run_deepgram_standin
from tests.standins.elevenlabs import (
    ElevenLabsHearing,
    ElevenLabsVoice,
    run_elevenlabs_hearing,
    run_elevenlabs_voice,
)
from tests.standins.faults import SocketStandin
from tests.standins.openai_server import Fault, OpenAIStandin, Reply, run_openai_standin
from tests.standins.serving import own_certificate

REFUSED = "refused"
"""The fault of a service that is not there."""

FAULTS = [REFUSED, *(fault.value for fault in Fault)]

HEARINGS = ["openai", "elevenlabs", "deepgram"]
VOICES = ["openai", "elevenlabs", "cartesia"]
"""Providers of which there are stand-ins: the first over HTTP, the others over a WebSocket."""


def nobody(url: str) -> str:
    """Return an address like another, where connections are refused."""
    return re.sub(r":\d+", ":9", url)


@dataclass(frozen=True)
class FaultyService:
    """A provider's service that can fail.

    Attributes:
        stage: What it is for: "stt", "llm" or "tts".
        provider: Its provider's name.
        standin: What is in its place.
    """

    stage: str
    provider: str
    standin: OpenAIStandin | SocketStandin

    @property
    def address(self) -> dict[str, str]:
        """Where it is, by its provider's name."""
        return {self.provider: self.standin.url}

    def failing(self, fault: str) -> dict[str, str]:
        """Have it fail, and return where that is, by its provider's name."""
        if fault == REFUSED:
            return {self.provider: nobody(self.standin.url)}
        if isinstance(self.standin, OpenAIStandin):
            self.standin.faults[self.stage] = Fault(fault)
        else:
            self.standin.fault = Fault(fault)
        return self.address

    def mend(self) -> None:
        """Have it work again."""
        if isinstance(self.standin, OpenAIStandin):
            self.standin.faults.clear()
        else:
            self.standin.fault = None


@asynccontextmanager
async def faulty_service(
    stage: str,
    provider: str,
    *,
    key: str,
    heard: str,
    reply: Callable[[list[Any]], Reply],
    thinks_secs: float = 0.0,
) -> AsyncIterator[FaultyService]:
    """Serve what is in a provider's place.

    Args:
        stage: What it is for.
        provider: One of which there is a stand-in.
        key: The only key it takes.
        heard: What it transcribes, whatever is said.
        reply: What it answers to the messages of a conversation.
        thinks_secs: How long it takes to begin with that.
    """
    async with AsyncExitStack() as stack:
        standin: OpenAIStandin | SocketStandin
        match stage, provider:
            case _, "openai":
                server = OpenAIStandin(key, heard, reply, thinks_secs)
                standin = await stack.enter_async_context(run_openai_standin(server))
            case "stt", "elevenlabs":
                folder = stack.enter_context(tempfile.TemporaryDirectory())
                tls, certificate = own_certificate(Path(folder))
                trusting = stack.enter_context(pytest.MonkeyPatch.context())
                trusting.setenv("SSL_CERT_FILE", str(certificate))
                ear = ElevenLabsHearing(key, heard=heard)
                standin = await stack.enter_async_context(run_elevenlabs_hearing(ear, tls))
            case "stt", "deepgram":
                deepgram = DeepgramStandin(key, heard=heard)
                standin = await stack.enter_async_context(run_deepgram_standin(deepgram))
            case "tts", "elevenlabs":
                voice = ElevenLabsVoice(key)
                standin = await stack.enter_async_context(run_elevenlabs_voice(voice))
            case "tts", "cartesia":
                cartesia = CartesiaVoice(key)
                standin = await stack.enter_async_context(run_cartesia_voice(cartesia))
            case _:
                raise AssertionError(f"nothing is in the place of {provider}'s {stage}")
        yield FaultyService(stage, provider, standin)
