"""The events of a server of OpenAI's Realtime protocol, and the items of its conversations."""

import uuid
from collections.abc import Iterable, Sequence
from typing import Any

from processors.protocols.json_serializer import Message


def new_id(kind: str) -> str:
    """Make a name that nothing else has."""
    return f"{kind}_{uuid.uuid4().hex}"


def event(kind: str, **content: Any) -> Message:
    """Return an event of the server's."""
    return {"type": kind, "event_id": new_id("event"), **content}


def error_event(
    code: str, message: str, *, is_of_client: bool, event_id: str | None = None
) -> Message:
    """Return the event that tells of an error.

    Args:
        code: What is wrong, for programs.
        message: The same in words.
        is_of_client: Whether the client has sent what is wrong.
        event_id: By which name it has.
    """
    kind = "invalid_request_error" if is_of_client else "server_error"
    error = {"type": kind, "code": code.lower(), "message": message, "param": None}
    return event("error", error=error | {"event_id": event_id})


def message_item(
    item_id: str, role: str, content: Sequence[Message], *, status: str = "completed"
) -> Message:
    """Return an item that holds what somebody says."""
    return {
        "id": item_id,
        "object": "realtime.item",
        "type": "message",
        "status": status,
        "role": role,
        "content": content,
    }


class Conversation:
    """The items of a conversation, each with the one before it."""

    def __init__(self) -> None:
        self._before: dict[str, str | None] = {}
        self._last: str | None = None

    @property
    def last(self) -> str | None:
        """The name of the last item; None if there is none."""
        return self._last

    def has(self, item_id: str) -> bool:
        """Say whether there is such an item."""
        return item_id in self._before

    def begin(self, item: Message) -> Message:
        """Add an item."""
        self._before[item["id"]], self._last = self._last, item["id"]
        return self._tell("added", item)

    def end(self, item: Message) -> Message:
        """Take that nothing more comes to an item."""
        return self._tell("done", item)

    def add(self, item: Message) -> Iterable[Message]:
        """Add an item that is complete."""
        yield self.begin(item)
        yield self.end(item)

    def _tell(self, what: str, item: Message) -> Message:
        before = self._before[item["id"]]
        return event(f"conversation.item.{what}", previous_item_id=before, item=item)
