"""A conversation in the terminal: with the microphone, with a recording, or typed."""

import asyncio
import secrets
import sys
import wave
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np

from bots.settings import load_settings
from runner.clients.client import SAMPLE_RATE_HZ, Client, Pcm, TalkFailed
from runner.clients.dial import dial
from runner.process import setup_logging
from runner.server import bind, running
from runner.sound_card import over_sound_card

IDLE_SECS = 3600
"""Longest silence of both sides."""

REPLY_TIMEOUT_SECS = 60
"""Longest wait for the bot to start, or to end, its reply."""


def converse(
    config: Path | None,
    overrides: Mapping[str, Any],
    *,
    url: str | None,
    protocol: str,
    key: str | None,
    wav: Path | None,
    out: Path | None,
    text: bool,
    relay_only: bool,
) -> int:
    """Hold a conversation and print both sides.

    Args:
        config: The settings file; None for the default one.
        overrides: Settings that replace those of the file.
        url: A running service, or a socket of it; None starts one for the time of the talk.
        protocol: One of `runner.clients.dial.PROTOCOLS`.
        key: An API key of that service; None where it is open.
        wav: A recording to say.
        out: Where the bot's voice is written as WAV; None throws it away.
        text: Whether the user types; without this and `wav`, the microphone is used.
        relay_only: Whether to go by way of a TURN server.

    Returns:
        The exit code.

    Raises:
        ParlanteError: If the conversation cannot be held.
    """
    if out and not (wav or text):
        raise TalkFailed("--out goes with --wav or --text: the microphone's talk is played aloud")
    if wav:
        recording = read_audio(wav)

        def way(client: Client) -> Awaitable[None]:
            return _speak(client, recording)
    else:
        way = _type if text else _use_microphone
    call = partial(dial, protocol, bot=overrides["default_bot"], relay_only=relay_only)
    asyncio.run(_converse(_service(config, overrides, url, key), call, way, out))
    return 0


def read_audio(path: Path) -> Pcm:
    """Read any audio file as 16-bit mono at 48 kHz.

    Raises:
        TalkFailed: If it cannot be read.
    """
    resampler = av.AudioResampler("s16", "mono", SAMPLE_RATE_HZ)
    try:
        with av.open(str(path)) as container:
            frames = [f for frame in container.decode(audio=0) for f in resampler.resample(frame)]
    except (av.FFmpegError, OSError, IndexError) as error:
        raise TalkFailed(f"{path} cannot be read as audio: {error}") from error
    return np.concatenate([frame.to_ndarray()[0] for frame in [*frames, *resampler.resample(None)]])


def write_audio(path: Path, pcm: Pcm) -> None:
    """Write 16-bit mono audio at 48 kHz as WAV."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE_HZ)
        file.writeframes(pcm.tobytes())


async def _converse(
    service: AbstractAsyncContextManager[tuple[str, str | None]],
    call: Callable[..., AbstractAsyncContextManager[Client]],
    way: Callable[[Client], Awaitable[None]],
    out: Path | None,
) -> None:
    async with service as (address, key), call(address, key=key) as client:
        printer = _Printer(client)
        printing = asyncio.create_task(printer.print_on())
        try:
            await way(client)
        finally:
            printing.cancel()
            await asyncio.gather(printing, return_exceptions=True)
            printer.print()
        if out:
            write_audio(out, np.concatenate([*client.heard, np.zeros(0, np.int16)]))


@asynccontextmanager
async def _service(
    config: Path | None, overrides: Mapping[str, Any], url: str | None, key: str | None
) -> AsyncIterator[tuple[str, str | None]]:
    """Yield the address and a key of the service: the one that runs, or one for this talk alone."""
    if url:
        yield url, key
        return
    settings = load_settings(config, overrides)
    setup_logging(settings.voice.realtime.logging.model_copy(update={"level": "WARNING"}))
    sock = bind("127.0.0.1", 0)
    own_key = secrets.token_urlsafe()
    async with running(
        settings, sock, lambda what: print(f"loading {what}", file=sys.stderr), own_key
    ):
        yield f"http://127.0.0.1:{sock.getsockname()[1]}", own_key


async def _speak(client: Client, pcm: Pcm) -> None:
    """Say something after the greeting, if there is one, and hear the whole reply."""
    if client.is_greeted:
        await client.hear_out(timeout=REPLY_TIMEOUT_SECS)
    said_at = len(client.messages)
    await client.say(pcm)
    await client.hear_out(timeout=REPLY_TIMEOUT_SECS, after=said_at)


async def _type(client: Client) -> None:
    """Send what is typed, a line for each turn, until the input ends."""
    if client.is_greeted:
        await client.hear_out(timeout=REPLY_TIMEOUT_SECS)
    while line := (await asyncio.to_thread(sys.stdin.readline)).strip():
        sent_at = len(client.messages)
        await client.write(line)
        await client.hear_out(timeout=REPLY_TIMEOUT_SECS, after=sent_at)


async def _use_microphone(client: Client) -> None:
    """Talk until the call ends or the user presses Ctrl-C."""
    async with over_sound_card(client):
        await client.keep_talking()
        print("speak, with headphones on, or the bot hears itself; Ctrl-C hangs up")
        await client.closed.wait()
    if client.refusal is not None:
        raise TalkFailed(client.refusal)


class _Printer:
    """Prints what either side says, the bot's words when it has said them all.

    Args:
        client: Who is told of it.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._printed = 0
        self._said = ""

    async def print_on(self) -> None:
        """Print what comes, until cancelled."""
        while True:
            await self._client.wait_for(lambda _: True, timeout=IDLE_SECS, after=self._printed)
            self.print()

    def print(self) -> None:
        """Print what has come."""
        for message in self._client.messages[self._printed :]:
            self._printed += 1
            self._said += self._client.bot_words(message) or ""
            if words := self._client.user_words(message):
                print(f"you: {words}", flush=True)
            if self._said and self._client.is_over(message):
                print(f"bot: {self._said.strip()}", flush=True)
                self._said = ""
