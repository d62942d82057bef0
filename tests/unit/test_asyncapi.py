"""docs/asyncapi.yaml tells the truth about what is taken and what is sent."""

from typing import Any

import pytest
from fastapi.routing import iter_route_contexts
from jsonschema import Draft202012Validator, ValidationError

from bots.protocols import PROTOCOLS, JsonCall, make_serializer
from tests.app import service
from tests.asyncapi import check, document, payloads
from tests.protocol_call import Call, play


def plain(schema: Any) -> Any:
    """Return a schema without what is only for people."""
    match schema:
        case dict():
            kept = {k: v for k, v in schema.items() if k not in ("title", "description")}
            kept = {name: plain(it) for name, it in kept.items()}
            return kept | {"required": sorted(kept["required"])} if "required" in kept else kept
        case list():
            return [plain(it) for it in schema]
    return schema


def test_it_is_a_document_of_asyncapi_3() -> None:
    assert document()["asyncapi"] == "3.0.0"
    assert set(document()) <= {
        *("asyncapi", "info", "defaultContentType", "servers", "channels", "operations"),
        "components",
    }
    for name, channel in document()["channels"].items():
        told = [*payloads(name, "send"), *payloads(name, "receive")]
        assert len(told) == len(channel["messages"]), "each message has an operation"
        for message in channel["messages"].values():
            Draft202012Validator.check_schema(message["payload"])


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_clients_may_send_is_what_the_service_takes(protocol: str) -> None:
    async def send(_: str) -> None: ...

    schema = make_serializer(protocol, JsonCall(send, "", "")).client_messages.json_schema()
    taken = [plain(it) for it in schema["$defs"].values()]
    assert plain(payloads(protocol, "receive")) == {
        it["properties"]["type"]["const"]: it for it in taken
    }


async def test_every_protocol_is_there_at_its_address() -> None:
    addresses = {name: it["address"] for name, it in document()["channels"].items()}
    assert set(addresses) == set(PROTOCOLS)
    async with service() as http:
        app: Any = http.app  # type: ignore[attr-defined]
        paths = {route.path for route in iter_route_contexts(app.routes)}
        assert set(addresses.values()) <= paths


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_all_that_it_has_the_service_send_is_sent(protocol: str) -> None:
    async def script(call: Call) -> None:
        await call.send("{}")
        await call.ask("What does it cost?")
        await call.write("One moment.")
        await call.tool_starts("quote", users=10)
        await call.speak("One moment.")
        await call.tool_ends("quote")
        await call.answer("It costs 9.")
        await call.settle(2)
        await call.ask("Really?")
        await call.write("Yes.")
        await call.begin_to_speak("Yes.", secs=5.0)
        await call.settle(1)
        await call.ask("I see.")

    assert {message["type"] for _, message in play(protocol, script)} == set(
        payloads(protocol, "send")
    )


def test_a_message_that_it_does_not_have_is_noticed() -> None:
    check("sandwich", {"type": "complete"})
    with pytest.raises(ValidationError):
        check("sandwich", {"type": "complete", "text": ""})
    with pytest.raises(KeyError):
        check("sandwich", {"type": "done"})
