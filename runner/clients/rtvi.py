"""What clients have in common that are told what happens by RTVI."""

import uuid
from collections.abc import Callable
from typing import Any

from runner.clients.client import Client, Told

PAUSE_SECS = 1.5
"""A silence after which the bot is taken to have finished: between two sentences there may be a
shorter one."""

WRITING = ("bot-llm-started", "bot-llm-stopped", "bot-interrupted")

READY = {"version": "2.0.0", "about": {"library": "parlante-peer"}}
"""What a client says of itself."""


class RtviClient(Client):
    """A client whose `messages` are those of RTVI."""

    def user_words(self, message: Told) -> str | None:
        """Return what the user has said."""
        if message["type"] != "user-transcription" or not message["data"]["final"]:
            return None
        return str(message["data"]["text"])

    def bot_words(self, message: Told) -> str | None:
        """Return what the bot says: some voices tell each word, others whole sentences."""
        is_told = message["type"] == "bot-tts-text"
        return f"{message['data']['text'].strip()} " if is_told else None

    def is_over(self, message: Told) -> bool:
        """Say whether the bot has stopped speaking."""
        return bool(message["type"] == "bot-stopped-speaking")

    async def wait_for_state(self, state: str, *, timeout: float, after: int = 0) -> None:
        """Wait until the bot is in a voice state: "listening", "speaking" and so on.

        Raises:
            TimeoutError: If it does not come to it.
        """
        await self.wait_for(
            lambda m: m["type"] == "server-message" and m["data"].get("state") == state,
            timeout=timeout,
            after=after,
        )

    async def hear_out(self, *, timeout: float, after: int = 0) -> None:
        """Wait until the bot has spoken and has nothing more to say.

        Args:
            timeout: Seconds until it starts, and for each pause in its speech.
            after: Messages to skip: `len(peer.messages)` at some moment before.

        Raises:
            TimeoutError: If it does not speak, or does not stop.
        """
        while True:
            stopped = await self.wait_for(self.is_over, timeout=timeout, after=after)
            after = self.messages.index(stopped, after) + 1
            goes_on = is_kind("bot-started-speaking")
            try:
                await self.wait_for(goes_on, timeout=PAUSE_SECS, after=after)
            except TimeoutError:
                if not self._is_writing:
                    return

    @property
    def _is_writing(self) -> bool:
        """Whether the language model has more of an answer to write."""
        kinds = [m["type"] for m in self.messages if m["type"] in WRITING]
        return kinds[-1:] == ["bot-llm-started"]


def rtvi_message(kind: str, data: Any = None) -> dict[str, Any]:
    """Return a message of RTVI."""
    return {"label": "rtvi-ai", "id": uuid.uuid4().hex[:8], "type": kind, "data": data}


def is_kind(kind: str) -> Callable[[Told], bool]:
    """Return what tells messages of a type."""
    return lambda message: bool(message["type"] == kind)
