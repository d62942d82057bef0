"""Cuts the graph of a VITS voice in two, so that its sound can be made a piece at a time.

VITS (arXiv 2106.06103) first works out all of a sentence, as some 86 frames of latents a second;
then a vocoder (HiFi-GAN, arXiv 2010.05646) turns the frames into sound. The first half cannot be
split and takes a quarter of the time; the second can, because a frame hears only its neighbours.

ONNX files are protobuf messages. The few fields that a cut looks at are read here, and what is kept
of a message is copied as it stands.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from engines.kept import delete_older, kept_stem, replacing

SPEAKER = "sid"
"""Input of a voice with several speakers, which both halves want to know."""

_GRAPH = 7
_NODE, _WEIGHT, _INPUT, _OUTPUT, _VALUE_INFO = 1, 5, 11, 12, 13
_NODE_INPUT, _NODE_OUTPUT, _NODE_OP, _WEIGHT_NAME, _VALUE_NAME = 1, 2, 4, 8, 1
"""Numbers of fields in onnx.proto: in a model, in a graph, and in the parts of a graph."""

_FLOAT_TENSOR = bytes((0x12, 4, 0x0A, 2, 0x08, 1))
"""A field: `type { tensor_type { elem_type: FLOAT } }`, of an input or output."""

_NUMBER, _FIXED_64, _BYTES, _FIXED_32 = 0, 1, 2, 5
"""Kinds of fields in protobuf's wire format."""

_CONTROL_FLOW = {"If", "Loop", "Scan"}
"""Their bodies use tensors of the graph around them without naming them as inputs."""


class Halves(NamedTuple):
    """ONNX models of a voice that was cut.

    Attributes:
        front: From phonemes to latents: float32, (1, channels, frames). Behind them it tells how
            many frames each phoneme takes, where that is found: float32, (1, 1, phonemes).
        vocoder: From latents, and perhaps the speaker, to sound.
    """

    front: bytes
    vocoder: bytes


def cut_file(model: Path, kept: Path) -> tuple[Path, Path] | Halves | None:
    """Return the halves of a voice, see `Halves`; they are made the first time and then kept.

    Args:
        model: The voice's `.onnx` file.
        kept: Directory for the halves; made if it is missing. It may be deleted at any time.

    Returns:
        Two files; what would be in them, if nothing can be kept there; None if this is no voice
        that can be cut.

    Raises:
        OSError: If `model` cannot be read.
    """
    stem = kept_stem(model)
    front, vocoder = kept / f"{stem}.timed.onnx", kept / f"{stem}.vocoder.onnx"
    if front.exists() and vocoder.exists():
        return front, vocoder
    halves = cut_before_vocoder(model.read_bytes())
    if halves is None:
        return None
    try:
        for path, content in ((front, halves.front), (vocoder, halves.vocoder)):
            with replacing(path) as part:
                part.write_bytes(content)
    except OSError:
        return halves
    delete_older(model, [front, vocoder])
    return front, vocoder


def cut_before_vocoder(model: bytes) -> Halves | None:
    """Cut an ONNX model in two: from text to latents, and from latents to sound.

    Returns:
        None if this is no model that can be cut.
    """
    try:
        graph = _read(memoryview(model))
    except (LookupError, ValueError):
        return None
    latents = graph.entrance_of_vocoder()
    if latents is None or not graph.outputs or graph.has_control_flow:
        return None
    # The sound comes first, where a voice was patched to tell more.
    front = graph.needed_for(latents)
    vocoder = graph.needed_for(graph.outputs[0], given=latents)
    if not vocoder.isdisjoint(set(graph.inputs) - {SPEAKER}):
        # It looks past the latents at the text.
        return None
    outputs = [latents, *graph.lengths()]
    return Halves(
        graph.part(front, b"".join(_tensor(_OUTPUT, name) for name in outputs)),
        graph.part(vocoder, _tensor(_INPUT, latents)),
    )


class _Node(NamedTuple):
    """An operation. A tensor is called as the node's output that it comes from."""

    op: str
    inputs: list[str]
    outputs: list[str]


@dataclass
class _Graph:
    """What a cut has to know of a model, and the fields that the model's file consists of.

    Attributes:
        nodes: All operations, in an order in which they can be done.
        inputs: Names.
        outputs: Names.
        around: Fields of the model other than the graph.
        fields: Fields of the graph with the tensors that each makes or names; None for a field
            that is about none.
    """

    nodes: list[_Node] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    around: list[memoryview] = field(default_factory=list)
    fields: list[tuple[memoryview, list[str] | None]] = field(default_factory=list)

    @property
    def has_control_flow(self) -> bool:
        return any(node.op in _CONTROL_FLOW for node in self.nodes)

    def entrance_of_vocoder(self) -> str | None:
        """Return the input of the convolution ahead of the first upsampling of HiFi-GAN."""
        makers = self._makers()
        node = next((node for node in self.nodes if node.op == "ConvTranspose"), None)
        while node and node.inputs:
            node = makers.get(node.inputs[0])
            if node and node.op == "Conv":
                return node.inputs[0] if node.inputs[0] in makers else None
        return None

    def lengths(self) -> list[str]:
        """Return the one tensor that is rounded up, by which VITS makes phonemes last; if any."""
        rounded = [node.outputs[0] for node in self.nodes if node.op == "Ceil"]
        return rounded if len(rounded) == 1 else []

    def needed_for(self, goal: str, *, given: str = "") -> set[str]:
        """Return the names of the tensors that `goal` is made of, if `given` need not be made."""
        makers = self._makers()
        found: set[str] = set()
        waiting = [goal]
        while waiting:
            name = waiting.pop()
            if name != given and name not in found:
                found.add(name)
                waiting += makers[name].inputs if name in makers else []
        return found

    def part(self, tensors: set[str], addition: bytes) -> bytes:
        """Return a model of only these tensors, with more fields at the end of its graph."""
        kept = [
            content
            for content, names in self.fields
            if names is None or not tensors.isdisjoint(names)
        ]
        length = sum(map(len, kept)) + len(addition)
        return b"".join([*self.around, _head(_GRAPH, length), *kept, addition])

    def _makers(self) -> dict[str, _Node]:
        return {name: node for node in self.nodes for name in node.outputs}


def _read(model: memoryview) -> _Graph:
    """Read an ONNX model.

    Raises:
        LookupError: If it is none.
        ValueError: Likewise.
    """
    graph = _Graph()
    (content,) = [body for number, _, body in _fields(model) if number == _GRAPH]
    graph.around = [whole for number, whole, _ in _fields(model) if number != _GRAPH]
    for number, whole, body in _fields(content):
        names: list[str] | None = None
        if number == _NODE:
            texts = _texts(body, _NODE_INPUT, _NODE_OUTPUT, _NODE_OP)
            node = _Node(texts[_NODE_OP][0], texts[_NODE_INPUT], texts[_NODE_OUTPUT])
            graph.nodes.append(node)
            names = node.outputs
        elif number == _WEIGHT:
            names = _texts(body, _WEIGHT_NAME)[_WEIGHT_NAME]
        elif number in (_INPUT, _OUTPUT):
            names = _texts(body, _VALUE_NAME)[_VALUE_NAME]
            (graph.inputs if number == _INPUT else graph.outputs).extend(names)
            if number == _OUTPUT and len(graph.outputs) > 1:
                # It would come before what a half has to give.
                names = []
        elif number == _VALUE_INFO:
            # A shape that the exporter noted, perhaps of a tensor that a half does not have.
            names = []
        graph.fields.append((whole, names))
    return graph


def _texts(message: memoryview, *numbers: int) -> dict[int, list[str]]:
    """Return the texts in some fields of a message."""
    texts: dict[int, list[str]] = {number: [] for number in numbers}
    for number, _, body in _fields(message):
        if number in texts:
            texts[number].append(str(body, "utf-8"))
    return texts


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview, memoryview]]:
    """Yield a message's fields: number, the whole field as it stands, and its content.

    Raises:
        IndexError: If this is no message.
        ValueError: Likewise.
    """
    at = 0
    while at < len(message):
        start = at
        key, at = _number(message, at)
        kind = key & 7
        length = 0
        if kind == _BYTES:
            length, at = _number(message, at)
        elif kind == _NUMBER:
            _, at = _number(message, at)
        elif kind in (_FIXED_32, _FIXED_64):
            length = 4 if kind == _FIXED_32 else 8
        else:
            raise ValueError(f"protobuf has no fields of kind {kind}")
        body, at = at, at + length
        if at > len(message):
            raise ValueError("the message is cut short")
        yield key >> 3, message[start:at], message[body:at]


def _number(message: Sequence[int], at: int) -> tuple[int, int]:
    """Return the number that begins at a byte, and where it ends: 7 bits a byte, lowest first."""
    number = shift = 0
    while True:
        byte = message[at]
        at += 1
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return number, at


def _tensor(field_number: int, name: str) -> bytes:
    """Return a field of an input or output."""
    return _encode(field_number, _encode(_VALUE_NAME, name.encode()) + _FLOAT_TENSOR)


def _encode(field_number: int, content: bytes) -> bytes:
    return _head(field_number, len(content)) + content


def _head(field_number: int, length: int) -> bytes:
    """Return the beginning of a field of bytes."""
    head = bytearray()
    for number in (field_number << 3 | _BYTES, length):
        while number > 0x7F:
            head.append(number & 0x7F | 0x80)
            number >>= 7
        head.append(number)
    return bytes(head)
