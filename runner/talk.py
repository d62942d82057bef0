"""A conversation in the terminal: with the microphone, with a recording, or typed."""

import asyncio
import secrets
import sys
import wave
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import av
import numpy as np

from bots.settings import load_settings
from runner.peer import SAMPLE_RATE_HZ, Pcm, Peer, TalkFailed, connect
from runner.process import setup_logging
from runner.server import bind, running
from runner.sound_card import over_sound_card

REPLY_TIMEOUT_SECS = 60
"""Longest wait for the bot to start, or to end, its reply."""


def converse(
    config: Path | None,
    overrides: Mapping[str, Any],
    *,
    url: str | None,
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
        url: A running service; None starts one for the time of the talk.
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

        def way(peer: Peer) -> Awaitable[None]:
            return _speak(peer, recording)
    else:
        way = _type if text else _use_microphone
    asyncio.run(_converse(config, overrides, url, key, way, out, relay_only))
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
    config: Path | None,
    overrides: Mapping[str, Any],
    url: str | None,
    key: str | None,
    way: Callable[[Peer], Awaitable[None]],
    out: Path | None,
    relay_only: bool,
) -> None:
    bot: str | None = overrides["default_bot"]
    async with (
        _service(config, overrides, url, key) as (address, its_key),
        connect(address, bot=bot, key=its_key, relay_only=relay_only) as peer,
    ):
        printing = asyncio.create_task(_print_messages(peer))
        try:
            await way(peer)
        finally:
            printing.cancel()
            await asyncio.gather(printing, return_exceptions=True)
        if out:
            write_audio(out, np.concatenate(peer.heard))


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


async def _speak(peer: Peer, pcm: Pcm) -> None:
    """Say something after the greeting, and hear the whole reply."""
    await peer.hear_out(timeout=REPLY_TIMEOUT_SECS)
    said_at = len(peer.messages)
    await peer.microphone.say(pcm)
    await peer.hear_out(timeout=REPLY_TIMEOUT_SECS, after=said_at)


async def _type(peer: Peer) -> None:
    """Send what is typed, a line for each turn, until the input ends."""
    await peer.hear_out(timeout=REPLY_TIMEOUT_SECS)
    while line := (await asyncio.to_thread(sys.stdin.readline)).strip():
        sent_at = len(peer.messages)
        peer.send("send-text", {"content": line})
        await peer.hear_out(timeout=REPLY_TIMEOUT_SECS, after=sent_at)


async def _use_microphone(peer: Peer) -> None:
    """Talk until the call ends or the user presses Ctrl-C."""
    async with over_sound_card(peer):
        print("speak, with headphones on, or the bot hears itself; Ctrl-C hangs up")
        await peer.closed.wait()


async def _print_messages(peer: Peer) -> None:
    shown = 0
    # Some voices tell each word, others whole sentences.
    said: list[str] = []
    while True:
        message = await peer.wait_for(_is_worth_printing, timeout=3600, after=shown)
        shown = peer.messages.index(message, shown) + 1
        match message["type"]:
            case "bot-tts-text":
                said.append(message["data"]["text"].strip())
            case "user-transcription":
                print(f"you: {message['data']['text']}", flush=True)
            case _ if said:
                print(f"bot: {' '.join(said)}", flush=True)
                said.clear()


def _is_worth_printing(message: dict[str, Any]) -> bool:
    if message["type"] == "user-transcription":
        return bool(message["data"]["final"])
    return message["type"] in ("bot-tts-text", "bot-stopped-speaking")
