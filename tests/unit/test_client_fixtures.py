"""The messages that our client is tested with are such as the service sends."""

import json
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter

from processors.latency import TurnLatency
from processors.voice_state import State
from runner.api.ops import Overview
from runner.api.refusals import Refusal
from runner.api.sessions import SessionList, SessionReport
from runner.lines import EndReason
from runner.transcripts import ToolEntry, TurnEntry
from runner.usage import SessionUsage
from tests.service import ROOT

FIXTURES = ROOT / "client" / "fixtures" / "operator"

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
    return json.loads((FIXTURES / f"{name}.json").read_text())


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


def test_the_client_knows_every_state_and_no_other() -> None:
    types = (ROOT / "client" / "src" / "session" / "types.ts").read_text()
    known = types.split("VOICE_STATES = [")[1].split("]")[0]
    assert [name.strip().strip('"') for name in known.split(",") if name.strip()] == list(State)
