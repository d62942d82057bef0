"""Asks a bot a question from outside, over WebRTC, and notes when the answer is heard."""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from runner.clients.client import FRAME_SAMPLES, MAX_WAITING_SAMPLES, Pcm
from runner.peer import Peer
from tests.speech import Speaker

VOICED = 300
"""A sample above this, of 32,768, is part of a voice: -41 dB. Both ends of a measurement, the
caller's last sample and the bot's first one, are told by it."""

REPLY_SECS = 15
"""A question that is not answered by then is not answered."""

SPEECH_SECS = 60
"""Longest wait for a bot to end its speech, or to greet."""


@dataclass(frozen=True)
class Utterance:
    """What a caller says, as 16-bit mono audio at 48 kHz.

    Attributes:
        text: In words.
        pcm: From the first voiced sample to the last one, in whole packets that end with it.
        tail: What fades away after that. Cut off, it makes a bot doubt that the sentence is whole.
    """

    text: str
    pcm: Pcm
    tail: Pcm


@dataclass(frozen=True)
class Turn:
    """What became of a question.

    Attributes:
        question: In words.
        heard: What the bot understood.
        answer: What its language model, or who stands in for it, wrote.
        latency_ms: From the last voiced sample sent to the first one received; None if the
            question was not answered, or was answered before its end.
        early: Whether the bot spoke before the question's end.
        answers: How many replies were spoken.
        stages_ms: What the bot says that the wait went into; nothing from a vanilla one.
    """

    question: str
    heard: str
    answer: str
    latency_ms: float | None
    early: bool
    answers: int
    stages_ms: dict[str, float]


class Ear:
    """Notes when voice comes in.

    Attributes:
        voiced_at: For each packet that has voice in it, when it was received, by
            `time.monotonic()`. A packet is 20 ms long.
    """

    def __init__(self, peer: Peer) -> None:
        self.voiced_at: list[float] = []
        self._voiced = asyncio.Event()
        peer.on_heard = self._hear

    async def voice(self, *, timeout: float) -> None:
        """Wait until voice comes in.

        Raises:
            TimeoutError: If none comes.
        """
        self._voiced.clear()
        await asyncio.wait_for(self._voiced.wait(), timeout)

    def _hear(self, pcm: Pcm) -> None:
        if voiced(pcm).size:
            self.voiced_at.append(time.monotonic())
            self._voiced.set()


def voiced(pcm: Pcm) -> np.ndarray:
    """Return which samples are part of a voice, by their index."""
    return np.flatnonzero(np.abs(pcm.astype(np.int32)) > VOICED)


async def utter(speaker: Speaker, text: str) -> Utterance:
    """Have a sentence spoken, to be said to bots."""
    whole = await speaker.say(text)
    begin, *_, last = voiced(whole)
    pcm, tail = whole[begin : last + 1], whole[last + 1 :][:MAX_WAITING_SAMPLES]
    return Utterance(text, np.pad(pcm, (-len(pcm) % FRAME_SAMPLES, 0)), tail)


async def say(peer: Peer, utterance: Utterance) -> float:
    """Say something; return when its last voiced sample was sent, by `time.monotonic()`.

    The tail follows by itself, and silence after it.
    """
    await peer.microphone.say(utterance.pcm)
    ended_at = time.monotonic()
    peer.microphone.hear(utterance.tail)
    return ended_at


async def ask(peer: Peer, ear: Ear, question: Utterance) -> Turn:
    """Ask a question, and hear the whole answer."""
    after, heard_before = len(peer.messages), len(ear.voiced_at)
    asked_at = await say(peer, question)
    early = len(ear.voiced_at) > heard_before
    latency_ms, rest_secs = None, SPEECH_SECS
    try:
        await ear.voice(timeout=REPLY_SECS)
    except TimeoutError:
        # The next question must not be asked into an answer that comes late.
        rest_secs = REPLY_SECS
    else:
        if not early:
            latency_ms = (ear.voiced_at[heard_before] - asked_at) * 1000
    with suppress(TimeoutError):
        await peer.hear_out(timeout=rest_secs, after=after)
    messages = peer.messages[after:]
    return Turn(
        question.text,
        " ".join(_texts(messages, "user-transcription")).strip(),
        "".join(_texts(messages, "bot-llm-text")).strip(),
        latency_ms,
        early,
        _spoken_replies(messages),
        _stages_ms(messages),
    )


def _texts(messages: list[dict], kind: str) -> list[str]:
    """Return what the messages of a kind say, but not what was only guessed so far."""
    said = [message["data"] for message in messages if message["type"] == kind]
    return [data["text"] for data in said if data.get("final", True)]


def _stages_ms(messages: list[dict]) -> dict[str, float]:
    """Return the parts of the first wait that the messages tell of."""
    told = [m["data"] for m in messages if m["type"] == "server-message"]
    waits = [data["stages_ms"] for data in told if data.get("type") == "turn-latency"]
    return waits[0] if waits else {}


def _spoken_replies(messages: list[dict]) -> int:
    """Return how many replies the bot began to say; one that it thought of only does not count."""
    kinds = [m["type"] for m in messages if m["type"] in ("bot-llm-started", "bot-tts-text")]
    return sum(pair == ("bot-llm-started", "bot-tts-text") for pair in pairwise(kinds))
