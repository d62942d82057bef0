"""Gives a tool that a caller has interrupted one result in the conversation, and a true one."""

import json
from typing import Any

from pipecat.frames.frames import (
    Frame,
    FunctionCallCancelFrame,
    FunctionCallInProgressFrame,
    FunctionCallResultFrame,
    FunctionCallsStartedFrame,
)
from pipecat.processors.aggregators.llm_response_universal import LLMAssistantAggregator

from processors.transcript import ToolCall, ToolOutcome

INTERRUPTED = (
    "The user spoke while this ran, and it was stopped. It is not known whether it was done: look "
    "before you do it again."
)
"""What the language model is told of a tool whose result nobody knows."""


class InterruptedTools:
    """Looks after the tool calls in a conversation that are cancelled.

    Pipecat (1.14) tells of the beginning of a tool behind the words that were spoken before it, and
    of its end at once. Interrupted in these words, a call would be over before it has begun, and
    then be in progress for ever. And it takes what is cancelled for not done, though a tool may be
    stopped behind the moment at which it has done what it does.
    """

    def __init__(self) -> None:
        self._announced: set[str] = set()
        self._begun: set[str] = set()
        self._over: dict[str, FunctionCallCancelFrame] = {}
        self._results: dict[str, Any] = {}

    def follow(self, assistant: LLMAssistantAggregator) -> None:
        """Look after the conversation that `assistant` writes down, from here on."""
        assistant.add_event_handler("on_after_process_frame", self._on_frame)

    def note(self, call: ToolCall) -> None:
        """Take note of what a tool has done, which may not have been told yet."""
        if call.outcome is ToolOutcome.COMPLETED:
            self._results[call.call_id] = call.result

    async def _on_frame(self, assistant: LLMAssistantAggregator, frame: Frame) -> None:
        match frame:
            case FunctionCallsStartedFrame():
                self._announced |= {call.tool_call_id for call in frame.function_calls}
            case FunctionCallInProgressFrame(tool_call_id=call_id):
                self._announced.discard(call_id)
                self._begun.add(call_id)
                if over := self._over.pop(call_id, None):
                    await assistant.queue_frame(over)
            case FunctionCallCancelFrame(tool_call_id=call_id) if call_id in self._announced:
                self._over[call_id] = frame
            case FunctionCallCancelFrame(tool_call_id=call_id) if call_id in self._begun:
                if not frame.run_llm:
                    self._tell(assistant, call_id)
                self._forget(call_id)
            case FunctionCallResultFrame(tool_call_id=call_id):
                self._forget(call_id)

    def _tell(self, assistant: LLMAssistantAggregator, call_id: str) -> None:
        """Write down what is known of a call instead of that it was cancelled."""
        known = call_id in self._results
        content = json.dumps(self._results[call_id], ensure_ascii=False) if known else INTERRUPTED
        for message in assistant.context.get_messages():
            if isinstance(message, dict) and message.get("tool_call_id") == call_id:
                message["content"] = content

    def _forget(self, call_id: str) -> None:
        self._begun.discard(call_id)
        self._results.pop(call_id, None)
