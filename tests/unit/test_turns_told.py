from datetime import UTC, datetime
from typing import Any, cast

from pipecat.frames.frames import (
    Frame,
    TranscriptionFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.observers.base_observer import FramePushed
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.processors.frame_processor import FrameDirection

from processors.transcript import ToolCall, ToolOutcome, TranscriptObserver, Turn
from tests import virtual_time

WISH = "Book me in."


class Told:
    """What is told of a call that is held speech to speech, and when it was known."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.observer = TranscriptObserver(self._tell)
        pair = LLMContextAggregatorPair(LLMContext(), realtime_service_mode=True)
        self.observer.follow(pair.assistant(), is_speech_to_speech=True)

    async def _tell(self, happened: Turn | ToolCall) -> None:
        is_turn = isinstance(happened, Turn)
        self.told.append(happened.heard if is_turn else happened.tool)

    async def push(self, *frames: Frame) -> None:
        nobody = cast(Any, None)
        for frame in frames:
            pushed = FramePushed(nobody, nobody, frame, FrameDirection.DOWNSTREAM, 0)
            await self.observer.on_push_frame(pushed)

    async def speak_and_call(self) -> None:
        """Have the user say something, and a tool called for it before it is transcribed."""
        await self.push(UserStartedSpeakingFrame(), UserStoppedSpeakingFrame())
        now = datetime.now(UTC)
        await self.observer.tell_tool(ToolCall("1", "book", ToolOutcome.RUNNING, now))


def test_a_tool_is_told_after_what_it_was_called_for() -> None:
    async def main() -> list[str]:
        call = Told()
        await call.speak_and_call()
        assert call.told == []
        await call.push(TranscriptionFrame(WISH, "", "now"))
        await call.observer.settle()
        return call.told

    assert virtual_time.run(main()) == [WISH, "book"]


def test_a_tool_does_not_wait_long_for_it() -> None:
    async def main() -> list[str]:
        call = Told()
        await call.speak_and_call()
        await call.observer.settle()
        assert call.told == ["book"], "it is told once, before it runs"
        await call.push(TranscriptionFrame(WISH, "", "now"))
        return call.told

    assert virtual_time.run(main()) == ["book", WISH]
