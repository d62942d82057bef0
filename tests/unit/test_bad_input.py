"""Whatever a client sends is taken or answered, in every protocol, and the next words are heard."""

import asyncio
import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.dialects import DIALECTS, Dialect, Sent, send_badly_then_well
from tests.media import KINDS, file_of, sound

FILES = [file_of(kind, sound(kind.rate_hz, 0.3)) for kind in KINDS.values()]
DEEP = 100_000
SESSION = '{"type": "session.update", "session": {%s}}'

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=10**300, max_value=10**400)
    | st.floats()
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@st.composite
def spoilt(draw: st.DrawFn, data: bytes) -> bytes:
    """Return data of which some bytes are missing, too many, or others."""
    changed = bytearray(data)
    for place in draw(st.lists(st.integers(0, len(data)), min_size=1, max_size=6)):
        changed[place : place + draw(st.integers(0, 8))] = draw(st.binary(max_size=8))
    return bytes(changed[: draw(st.none() | st.integers(0, len(changed)))])


@st.composite
def spoilt_sound(draw: st.DrawFn) -> str:
    """Return Base64 of what may be sound, or of what is none, or no Base64."""
    data = draw(st.sampled_from(FILES).flatmap(spoilt) | st.binary(max_size=2000))
    text = base64.b64encode(data).decode()
    no_base64 = st.text() | st.sampled_from([text[:-1], f"{text}=", f"{text}\n", text[1:]])
    return draw(st.just(text) | no_base64)


@st.composite
def spoilt_object(draw: st.DrawFn, message: dict[str, Any]) -> str:
    """Return JSON of a message whose values are others, are missing, or come twice."""
    changed = dict(message)
    for key in draw(st.lists(st.sampled_from([*message, "format", "sample_rate", "x"]))):
        value = changed.get(key)
        if value and isinstance(value, dict):
            changed[key] = json.loads(draw(spoilt_object(value)))
        else:
            changed[key] = draw(JSON | spoilt_sound())
    for key in draw(st.lists(st.sampled_from([*message]), max_size=2)):
        changed.pop(key, None)
    text = json.dumps(changed)
    twice = [f"{json.dumps(key)}:{json.dumps(draw(JSON))}," for key in draw(keys_of(message))]
    return "{" + "".join(twice) + text[1:] if changed else text


def keys_of(message: dict[str, Any]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from([*message]), max_size=2)


def with_sound(message: dict[str, Any], text: str) -> dict[str, Any]:
    """Return a message with other sound, or with some if it has none."""
    if "media" in message:
        return message | {"media": with_sound(message["media"], text)}
    name = next((it for it in ("payload", "audio") if it in message), "data")
    return message | {name: text}


def of_message(message: Sent) -> st.SearchStrategy[Sent]:
    """Return what a message becomes that is not sent as it should be."""
    if isinstance(message, bytes):
        return spoilt(message)
    sent = json.loads(message)
    as_text = spoilt(message.encode()).map(lambda data: data.decode(errors="replace"))
    with_other_sound = spoilt_sound().map(lambda text: json.dumps(with_sound(sent, text)))
    return st.one_of(as_text, spoilt_object(sent), with_other_sound, st.just(message.encode()))


def bad_messages(dialect: Dialect) -> st.SearchStrategy[list[Sent]]:
    good = [*dialect.utterance, *dialect.others, *dialect.end]
    # Good ones, too, but not in their order.
    any_message = st.sampled_from(good) | st.sampled_from(good).flatmap(of_message)
    no_message = st.text() | st.binary() | JSON.map(json.dumps)
    return st.lists(any_message | no_message, max_size=8)


@pytest.mark.parametrize("name", DIALECTS)
@given(data=st.data())
@settings(deadline=None, max_examples=100)
def test_whatever_comes_is_taken_or_answered_and_what_follows_is_heard(
    name: str, data: st.DataObject
) -> None:
    bad = data.draw(bad_messages(DIALECTS[name]))
    assert asyncio.run(send_badly_then_well(DIALECTS[name], bad)) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize(
    "text",
    [
        "[" * DEEP,
        '{"a":' * DEEP,
        "9" * DEEP,
        '{"type": "' + "x" * DEEP + '"}',
        '{"type": {"type": {}}}',
        '{"event": "' + "x" * DEEP + '"}',
        '{"type": "audio", "data": "' + "A" * DEEP + "%" * DEEP + '"}',
        '{"type": "audio_chunk", "format": "' + "x" * DEEP + '"}',
        '{"type": "audio", "sample_rate": 1e999, "data": ""}',
        '{"type": "audio", "sample_rate": ' + "9" * 4400 + ', "data": ""}',
        '{"type": "\\ud800"}',
        '{"event": "media", "media": {"payload": "' + "%" * DEEP + '"}}',
        '{"event": "dtmf", "dtmf": {"digit": "' + "1" * DEEP + '"}}',
        '{"type": "session.update", "event_id": "' + "x" * DEEP + '"}',
        SESSION % '"tools": [{"name": "x", "parameters": {"a": NaN}}]',
        SESSION % '"tools": [{"name": "x", "parameters": {"a": 1e999}}]',
        SESSION % ('"audio": {"output": {"voice": "' + "x" * DEEP + '"}}'),
        '{"type": "conversation.item.create", "item": '
        '{"type": "function_call_output", "output": "", "call_id": "' + "x" * DEEP + '"}}',
        '{"type": "conversation.item.truncate", "content_index": 0, "audio_end_ms": 0, "item_id": "'
        + "x" * DEEP
        + '"}',
        '{"type": "response.cancel", "response_id": "' + "x" * DEEP + '"}',
        "\0",
        "",
        "\ufeff{}",
    ],
    ids=lambda text: text[:20],
)
def test_what_is_much_or_strange_is_answered_in_few_words(name: str, text: str) -> None:
    heard = asyncio.run(send_badly_then_well(DIALECTS[name], [text, text.encode()]))
    assert heard == pytest.approx(1, abs=0.1)
