"""What docs/asyncapi.yaml says is sent over the WebSockets."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal

import yaml
from jsonschema import Draft202012Validator

from tests.service import ROOT

DOCUMENT = ROOT / "docs" / "asyncapi.yaml"
Action = Literal["send", "receive"]


@lru_cache
def document() -> Any:
    """Return the document, with what its references point at in their place."""
    loaded = yaml.safe_load(DOCUMENT.read_text())

    def resolved(node: Any) -> Any:
        match node:
            case {"$ref": str(reference)}:
                return resolved(target(loaded, reference))
            case dict():
                return {name: resolved(it) for name, it in node.items()}
            case list():
                return [resolved(it) for it in node]
        return node

    return resolved(loaded)


def target(loaded: Any, reference: str) -> Any:
    """Return what a reference points at."""
    node = loaded
    for name in reference.removeprefix("#/").split("/"):
        node = node[name]
    return node


def payloads(protocol: str, action: Action) -> dict[str, Any]:
    """Return the schemas of the messages of a protocol, by their type.

    Args:
        protocol: Which one.
        action: What the service does with them.
    """
    channel = document()["channels"][protocol]
    found = [
        message["payload"]
        for operation in document()["operations"].values()
        if operation["action"] == action and operation["channel"] == channel
        for message in operation["messages"]
    ]
    return {payload["properties"]["type"]["const"]: payload for payload in found}


def check(protocol: str, message: Mapping[str, Any], action: Action = "send") -> None:
    """See whether a message is as the document has it."""
    schema = payloads(protocol, action)[message["type"]]
    Draft202012Validator(schema).validate(message)
