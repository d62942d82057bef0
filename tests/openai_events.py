"""Events of OpenAI's Realtime protocol, looked at by OpenAI's own models."""

from collections.abc import Iterator, Mapping
from typing import Any, get_args

from openai import BaseModel
from openai.types.realtime import RealtimeServerEvent

MODELS: dict[str, type[BaseModel]] = {
    get_args(model.model_fields["type"].annotation)[0]: model
    for model in get_args(get_args(RealtimeServerEvent)[0])
}

NEW = {"id", "object"}
"""What sessions have by the documentation, and not by the models."""


def check(event: Mapping[str, Any]) -> None:
    """See whether an event is one that OpenAI's service might send, with no field of another's."""
    model = MODELS[event["type"]].model_validate(event)
    assert not set(_unknown_in(model)) - NEW, event


def _unknown_in(value: Any) -> Iterator[str]:
    """Return the names of fields that OpenAI's models do not have."""
    if isinstance(value, list):
        for item in value:
            yield from _unknown_in(item)
    if isinstance(value, BaseModel):
        yield from value.model_extra or ()
        for name in type(value).model_fields:
            yield from _unknown_in(getattr(value, name))
