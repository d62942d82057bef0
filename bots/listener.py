"""What whoever runs bots is told of a call."""

from processors.failover import Failure
from processors.latency import TurnLatency
from processors.transcript import ToolCall, Turn
from processors.usage import Used
from processors.voice_state import State


class CallListener:
    """Takes no notice; to be derived from by who does.

    It is told in tasks beside the pipeline, which waits for it where a tool is to be
    kept, and nowhere else.
    """

    async def on_state(self, state: State) -> None:
        """Hear of every state that the call enters."""

    async def on_client(self, is_there: bool) -> None:
        """Hear that the client has come, or has left; it may come again."""

    async def on_answer(self, latency: TurnLatency) -> None:
        """Hear how long the user waited for an answer."""

    async def on_failure(self, failure: Failure) -> None:
        """Hear that a service has failed, and which one stands in for it."""

    async def on_audio_dropped(self, secs: float) -> None:
        """Hear that so much of the client's sound was dropped: it comes faster than it is heard."""

    async def on_usage(self, used: Used) -> None:
        """Hear what a service has consumed, and what that costs."""

    async def on_turn(self, turn: Turn) -> None:
        """Hear what was said, when it has been."""

    async def on_tool_call(self, call: ToolCall) -> None:
        """Hear of a tool, when it begins and when it is over."""

    async def keep_tool_call(self, call: ToolCall) -> None:
        """Hear of a tool before it runs, and before its result is told; both wait for this.

        Raises:
            DatabaseUnavailable: If it cannot be kept; a tool that has not run yet does not then.
        """
