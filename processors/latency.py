"""What the time between a user's last sound and the bot's first one was spent on."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from pipecat.frames.frames import EagerEndOfTurnCancelFrame, LLMContextFrame
from pipecat.observers.base_observer import FramePushed
from pipecat.observers.user_bot_latency_observer import (
    LatencyBreakdown,
    MeasuredFrom,
    UserBotLatencyObserver,
)
from pipecat.processors.frame_processor import FrameDirection


@dataclass(frozen=True)
class TurnLatency:
    """The wait for one answer.

    Attributes:
        total_ms: From the user's last sound to the bot's first, as the pipeline sees them.
        stages_ms: The parts of it in their order, by Pipecat's names; they add up to the whole.
        made_ahead: Whether the answer was made while the turn might still have gone on.
        withdrawn: How many answers were made ahead in this turn, and thrown away.
    """

    total_ms: float
    stages_ms: Mapping[str, float]
    made_ahead: bool
    withdrawn: int


class TurnLatencyObserver(UserBotLatencyObserver):
    """Reports the wait for every answer; greetings are left out.

    Args:
        report: Called with each, when the bot begins to speak.
    """

    def __init__(self, report: Callable[[TurnLatency], Awaitable[None]]) -> None:
        super().__init__()
        self._report = report
        self._made_ahead = False
        self._withdrawn = 0
        self.add_event_handler("on_latency_breakdown", self._on_breakdown)

    async def on_push_frame(self, data: FramePushed) -> None:
        """Follow a frame that was pushed for the first time."""
        match data.frame:
            case LLMContextFrame():
                self._made_ahead = data.frame.speculation
            case EagerEndOfTurnCancelFrame() if data.direction is FrameDirection.DOWNSTREAM:
                self._withdrawn += self._made_ahead
                self._made_ahead = False
        await super().on_push_frame(data)

    async def _on_breakdown(self, _: object, breakdown: LatencyBreakdown) -> None:
        made_ahead, withdrawn = self._made_ahead, self._withdrawn
        self._made_ahead, self._withdrawn = False, 0
        if breakdown.measured_from is MeasuredFrom.USER_SILENCE:
            stages: dict[str, float] = {}
            for part in breakdown.contributions:
                stages[part.key] = stages.get(part.key, 0.0) + part.duration_secs * 1000
            total_ms = breakdown.total_secs * 1000
            await self._report(TurnLatency(total_ms, stages, made_ahead, withdrawn))
