"""A line on which somebody has come by phone, as Daily's transport would tell of it."""

import asyncio

from processors.output_pause import OutputPause
from tests.line import Line


class Phone(Line):
    """Puts its caller through, or refuses.

    Attributes:
        refusal: Why it refuses; None to put the caller through.
        asked: To whom it was asked to, each time, and how many seconds of the bot had been heard.
        is_asked: Set when it is asked.
    """

    def __init__(self, output: OutputPause | None = None) -> None:
        super().__init__(output)
        for event in ("on_dialin_error", "on_dialout_error"):
            self._register_event_handler(event)
        self.refusal: str | None = None
        self.asked: list[tuple[dict[str, str], float]] = []
        self.is_asked = asyncio.Event()

    async def sip_call_transfer(self, settings: dict[str, str]) -> str | None:
        """Take note, and refuse or not; the caller is still there."""
        self.asked.append((settings, self.ear.played_secs))
        self.is_asked.set()
        return self.refusal

    async def fail(self, event: str) -> None:
        """Tell that the caller, or whoever they are put through to, is lost."""
        await self._call_event_handler(event, {"sessionId": "a leg", "errorMsg": "busy"})

    async def leave(self) -> None:
        """Have the caller leave, as one does who is put through or hangs up."""
        await self._call_event_handler("on_client_disconnected", "the client")
