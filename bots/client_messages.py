"""What the browser client is told that RTVI has no word for: data of its `server-message`.

An example of each is in client/fixtures/rtvi.json, which both sides are tested with.
"""

from typing import Any

from processors.latency import TurnLatency
from processors.transcript import ToolCall
from processors.voice_state import State


def voice_state(state: State) -> dict[str, Any]:
    """Tell what the bot is doing now."""
    return {"type": "voice-state", "state": state.value}


def turn_latency(latency: TurnLatency) -> dict[str, Any]:
    """Tell what the user waited for an answer, in whole milliseconds."""
    return {
        "type": "turn-latency",
        "total_ms": round(latency.total_ms),
        "stages_ms": {name: round(ms) for name, ms in latency.stages_ms.items()},
        "made_ahead": latency.made_ahead,
        "withdrawn": latency.withdrawn,
    }


def tool_failed(call: ToolCall) -> dict[str, Any]:
    """Tell that a tool has failed, or took too long; RTVI tells only that it is over."""
    return {"type": "tool-failed", "tool_call_id": call.call_id, "outcome": call.outcome.value}


def put_through(to: str) -> dict[str, Any]:
    """Tell that another bot has the caller now.

    Args:
        to: Its name.
    """
    return {"type": "put-through", "to": to}
