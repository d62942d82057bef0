"""The messages that our client is tested with are such as the service sends."""

import json
from datetime import UTC, datetime
from inspect import isclass
from typing import Any

import pytest
from pipecat.processors.frameworks.rtvi import models as rtvi
from pydantic import BaseModel, TypeAdapter

from bots import client_messages
from processors.latency import TurnLatency
from processors.transcript import ToolCall, ToolOutcome
from processors.voice_state import State
from runner.api.ops import Overview
from runner.api.refusals import Refusal
from runner.api.sessions import SessionList, SessionReport
from runner.lines import EndReason
from runner.transcripts import ToolEntry, TurnEntry
from runner.usage import SessionUsage
from tests.service import ROOT

FIXTURES = ROOT / "client" / "fixtures"

NOTHING = TypeAdapter(dict[None, None])
STATE = TypeAdapter(dict[str, State])
DATA: dict[str, TypeAdapter[Any]] = {
    "started": NOTHING,
    "joined": NOTHING,
    "left": NOTHING,
    "state": STATE,
    "turn": TypeAdapter(TurnEntry),
    "tool_call": TypeAdapter(ToolEntry),
    "answer": TypeAdapter(TurnLatency),
}
"""What the events of a session tell, by their kind."""


def fixture(name: str) -> Any:
    return json.loads((FIXTURES / "operator" / f"{name}.json").read_text())


def rtvi_messages() -> list[dict[str, Any]]:
    """Return what a client is told in a call, as it comes."""
    messages: list[dict[str, Any]] = json.loads((FIXTURES / "rtvi.json").read_text())
    return messages


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("sessions", SessionList),
        ("session", SessionReport),
        ("overview", Overview),
        ("refusal", Refusal),
    ],
)
def test_an_answer_has_what_the_service_answers_and_nothing_else(
    name: str, model: type[BaseModel]
) -> None:
    assert model.model_validate(fixture(name)).model_dump(mode="json") == fixture(name)


def test_the_events_of_a_session_are_such_as_the_service_tells() -> None:
    kinds = set()
    for event in fixture("events"):
        kind, told = event["event"], event["data"]
        kinds.add(kind)
        assert set(told) == {"at", "sequence", "data"}
        if kind == "ended":
            assert set(told["data"]) == {"reason", "usage"}
            EndReason(told["data"]["reason"])
            usage = SessionUsage.model_validate(told["data"]["usage"])
            assert usage.model_dump(mode="json") == told["data"]["usage"]
        else:
            data = DATA[kind].validate_python(told["data"])
            assert DATA[kind].dump_python(data, mode="json") == told["data"]
    assert kinds == {*DATA, "ended"}


def test_the_messages_of_a_call_are_such_as_pipecat_sends() -> None:
    models = {
        str(model.model_fields["type"].default): model
        for model in vars(rtvi).values()
        if isclass(model) and issubclass(model, BaseModel) and "type" in model.model_fields
    }
    for message in rtvi_messages():
        sent = models[message["type"]].model_validate(message)
        assert sent.model_dump(mode="json", exclude_none=True) == message


def test_what_rtvi_has_no_word_for_is_told_in_the_words_of_the_client() -> None:
    told = [it["data"] for it in rtvi_messages() if it["type"] == "server-message"]
    stages_ms = {
        "endpointing_wait": 200.4,
        "transcription": 11.6,
        "turn_detection": 182,
        "llm_inference": 219,
    }
    call = ToolCall("call_2", "send_text", ToolOutcome.TIMED_OUT, datetime.now(UTC))
    for message in (
        client_messages.voice_state(State.SPEAKING),
        client_messages.turn_latency(TurnLatency(612.8, stages_ms, made_ahead=True, withdrawn=1)),
        client_messages.tool_failed(call),
        client_messages.put_through("sales"),
    ):
        assert message in told
    assert {it["type"] for it in told} == {
        "voice-state",
        "turn-latency",
        "tool-failed",
        "put-through",
    }


def test_the_client_knows_every_state_and_no_other() -> None:
    types = (ROOT / "client" / "src" / "session" / "types.ts").read_text()
    known = types.split("VOICE_STATES = [")[1].split("]")[0]
    assert [name.strip().strip('"') for name in known.split(",") if name.strip()] == list(State)
