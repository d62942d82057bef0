"""Notices that a call ends: because the client hangs up, or the bot does."""

from collections.abc import Awaitable, Callable

from pipecat.frames.frames import EndFrame, EndWorkerFrame
from pipecat.observers.base_observer import BaseObserver, FramePushed
from pipecat.processors.frameworks.rtvi.processor import RTVIProcessor


class HangUpObserver(BaseObserver):
    """Tells when a client says that it hangs up: RTVI's `disconnect-bot`.

    Pipecat ends the pipeline when it has said everything it was about to say, to nobody.

    Args:
        hung_up: Called then.

    Attributes:
        is_ending: Whether an EndFrame is on its way through the pipeline, which Pipecat waits for
            without a bound.
    """

    def __init__(self, hung_up: Callable[[], Awaitable[None]]) -> None:
        super().__init__(observe_every_push=False)
        self.is_ending = False
        self._hung_up = hung_up

    async def on_push_frame(self, data: FramePushed) -> None:
        """Look at a frame that was pushed for the first time."""
        if isinstance(data.frame, EndFrame):
            self.is_ending = True
        elif isinstance(data.frame, EndWorkerFrame) and isinstance(data.source, RTVIProcessor):
            await self._hung_up()
