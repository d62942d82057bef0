"""The thread of an agent, put right before each answer: it holds what was really said and done.

The checkpoint holds what the agent wrote, and breaks off where the agent was stopped. The history
that the pipeline keeps holds what the caller heard. A turn of the user has a name that follows from
its place and its words, by which one is laid on the other, also after a restart.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage
from pipecat.processors.aggregators.llm_context import LLMStandardMessage, standard_message_text

from processors.switchboard import TOOL
from processors.text_agent import ASKING, IN_PROGRESS
from processors.transcript import NOT_KNOWN

_WORD = re.compile(r"\w+")


@dataclass
class _Turn:
    """What the user said, and what followed.

    Attributes:
        question: None for what was before the user's first words.
        heard: Those words of the bot that were heard.
        calls: The tools that were called, each as its name, its arguments, and its id.
        results: What these gave, by the ids.
    """

    question: HumanMessage | None
    heard: str = ""
    calls: list[Any] = field(default_factory=list)
    results: dict[str, str] = field(default_factory=dict)


def put_right(
    kept: Sequence[AnyMessage], history: Sequence[LLMStandardMessage], message: str
) -> list[AnyMessage]:
    """Return the messages of a thread with which an agent can go on.

    Args:
        kept: What the thread holds.
        history: The conversation as it was heard; see `TextAgent`.
        message: The user's last words, which it then ends with; "" for none.
    """
    turns = _turns(history)
    asked = [_question(message, len(turns) - 1)] if message else []
    places = {kept_one.id: i for i, kept_one in enumerate(kept)}
    if asked and asked[0].id in places:
        # The line was cut while it was answered, and it is asked again.
        kept = kept[: places[asked[0].id]]
    known = [i for i, turn in enumerate(turns) if turn.question and turn.question.id in places]
    if kept and not known:
        # It is of a conversation whose history was lost, or it is known as a summary only.
        return [*_mended(kept, _Turn(None)), *asked]
    if not known:
        return [*_written(turns), *asked]
    last = turns[known[-1]]
    assert last.question
    begin = places[last.question.id] + 1
    answers: list[AnyMessage] = []
    for answer in kept[begin:]:
        if isinstance(answer, HumanMessage):
            break
        answers.append(answer)
    rest = turns[known[-1] + 1 :]
    return [*kept[:begin], *_mended(answers, last), *_written(rest), *asked]


def cut(texts: Sequence[str], heard: str) -> tuple[list[str], str]:
    """Return what was heard of each text, and what was heard beyond them.

    Args:
        texts: What the agent wrote, in its order.
        heard: All that was heard. A voice may have changed signs and spaces.
    """
    words = list(_WORD.finditer(heard))
    cuts, begin = [], 0
    for text in texts:
        written = [word.casefold() for word in _WORD.findall(text)]
        said = [word[0].casefold() for word in words[begin : begin + len(written)]]
        if said == written:
            cuts.append(text)
            begin += len(written)
        else:
            cuts.append(_from(heard, words, begin))
            begin = len(words)
    return cuts, _from(heard, words, begin)


def _from(heard: str, words: Sequence[re.Match[str]], begin: int) -> str:
    return heard[words[begin].start() :].strip() if begin < len(words) else ""


def _turns(history: Sequence[LLMStandardMessage]) -> list[_Turn]:
    """Take a conversation apart; the first turn is what was before the user's first words."""
    turns = [_Turn(None)]
    for message in history:
        text, fields = standard_message_text(message), cast(dict[str, Any], message)
        if message["role"] in ASKING:
            turns.append(_Turn(_question(text, len(turns) - 1, message["role"])))
        elif message["role"] == "tool" and text != IN_PROGRESS:
            turns[-1].results[fields["tool_call_id"]] = text
        elif message["role"] == "assistant":
            turns[-1].heard = f"{turns[-1].heard} {text}".strip()
            turns[-1].calls += fields.get("tool_calls") or ()
    return turns


def _question(text: str, place: int, role: str = "user") -> HumanMessage:
    """Make a message of what was asked; where it was not the user, it has the name of who did."""
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return HumanMessage(text, id=f"turn-{place}-{digest}", name=None if role == "user" else role)


def _mended(answers: Sequence[AnyMessage], turn: _Turn) -> Iterator[AnyMessage]:
    """Give what an agent wrote in a turn, cut to what was heard, and each call with its result."""
    results = {m.tool_call_id: m for m in answers if isinstance(m, ToolMessage)}
    written = [m for m in answers if not isinstance(m, ToolMessage)]
    turn = _with_ids_of(written, turn)
    texts, beyond = [str(message.text) for message in written], ""
    if turn.question:
        texts, beyond = cut(texts, turn.heard)
    for message, text in zip(written, texts, strict=True):
        if not isinstance(message, AIMessage):
            yield message
            continue
        if text or message.tool_calls:
            same = text == message.text
            yield message if same else message.model_copy(update={"content": text})
        for call in message.tool_calls:
            call_id = call["id"] or ""
            yield results.get(call_id) or ToolMessage(
                turn.results.get(call_id, NOT_KNOWN), tool_call_id=call_id, name=call["name"]
            )
    known = {call["id"] for m in written if isinstance(m, AIMessage) for call in m.tool_calls}
    yield from _calls(turn, known)
    if beyond:
        yield AIMessage(beyond)


def _with_ids_of(written: Sequence[AnyMessage], turn: _Turn) -> _Turn:
    """Return a turn whose transfers have the ids that the agent gave them.

    Whoever put the caller through has shown it as a call with another.
    """
    own = [
        (call["args"].get("to"), call["id"])
        for message in written
        if isinstance(message, AIMessage)
        for call in message.tool_calls
        if call["name"] == TOOL
    ]
    ids: dict[str, Any] = {}
    for call in turn.calls:
        if call["function"]["name"] == TOOL:
            to = json.loads(call["function"]["arguments"]).get("to")
            same = next((it for it in own if it[0] == to), None)
            if same:
                own.remove(same)
                ids[call["id"]] = same[1]
    calls = [{**call, "id": ids.get(call["id"], call["id"])} for call in turn.calls]
    results = {ids.get(call_id, call_id): text for call_id, text in turn.results.items()}
    return replace(turn, calls=calls, results=results)


def _written(turns: Sequence[_Turn]) -> Iterator[AnyMessage]:
    """Give turns of which a thread does not know."""
    for turn in turns:
        if turn.question:
            yield turn.question
        yield from _calls(turn, set())
        if turn.heard:
            yield AIMessage(turn.heard)


def _calls(turn: _Turn, known: set[str | None]) -> Iterator[AnyMessage]:
    for call in turn.calls:
        if call["id"] not in known:
            name, arguments = call["function"]["name"], json.loads(call["function"]["arguments"])
            yield AIMessage("", tool_calls=[{"name": name, "args": arguments, "id": call["id"]}])
            result = turn.results.get(call["id"], NOT_KNOWN)
            yield ToolMessage(result, tool_call_id=call["id"], name=name)
