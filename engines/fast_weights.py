"""Weights of a GGUF file in the form that llama.cpp multiplies fastest on a CPU.

llama.cpp interleaves the rows of some kinds of 4-bit weights when it loads them, so that one
instruction works on eight rows (ggml's `repack.cpp`). It cannot with Q4_1, Q5_0 and Q5_1, of which
small models have many: the better kinds need rows of a multiple of 256, and the 0.5B's have 896.
IQ4_NL is the best of those that it can interleave: 4 bits for one of 16 levels, and a scale for
each 32 weights.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from gguf import GGMLQuantizationType as Kind
from gguf import GGUFReader, GGUFValueType, GGUFWriter, ReaderTensor
from gguf.quants import dequantize

from engines.kept import delete_older, kept_stem, replacing

SLOW = {Kind.Q4_1, Kind.Q5_0, Kind.Q5_1}

LOOKED_UP = "token_embd.weight"
"""Is not multiplied but read, a row for each token."""

ARCHITECTURE, SPLIT = "general.architecture", "split.count"

LEVELS = np.array(
    [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113], np.float32
)
"""What the 16 values of 4 bits stand for: `kvalues_iq4nl` in ggml-common.h."""

BLOCK = 32
"""Weights of one scale."""

BLOCK_BYTES = 2 + BLOCK // 2

BLOCKS_AT_ONCE = 1 << 14

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

_STEPS = 2
_NEAREST = np.abs(np.arange(-128, 128, 1 / _STEPS)[:, None] - LEVELS).argmin(1).astype(np.uint8)
"""The nearest level to each number from -128, in steps of one half."""


def fast_weights(model: Path, kept: Path) -> Path:
    """Return a model with no slow weights; it is made the first time and then kept.

    Args:
        model: A GGUF file.
        kept: Directory for what is made; made if it is missing. It may be deleted at any time.

    Returns:
        A file in `kept`, or `model` itself if nothing can be kept there or it is the first of
        several files.

    Raises:
        OSError: If `model` cannot be read.
        ValueError: If it is no GGUF file.
    """
    fast = kept / f"{kept_stem(model)}.gguf"
    if fast.exists():
        return fast
    reader = GGUFReader(model)
    if SPLIT in reader.fields:
        # llama.cpp finds the other files by the name of the first.
        return model
    try:
        with replacing(fast) as part:
            if any(map(_is_slow, reader.tensors)):
                _write(reader, part)
            else:
                part.symlink_to(model.resolve())
    except OSError:
        return model
    delete_older(model, [fast])
    return fast


def to_iq4_nl(weights: Floats) -> Bytes:
    """Return weights as blocks of IQ4_NL.

    A block's largest weight gets the outermost level, which tells the level of the others; the
    scale is then the one with the least squared error, in which a weight counts as its square. (It
    is what `quantize_row_iq4_nl` of ggml-quants.c starts from; its search makes the error 1 %
    smaller, in ten times the time.)

    Args:
        weights: Any shape whose last dimension is a multiple of `BLOCK`.

    Returns:
        The same shape, with `BLOCK_BYTES` for each `BLOCK` weights.
    """
    blocks = weights.reshape(-1, BLOCK)
    packed = np.empty((len(blocks), BLOCK_BYTES), np.uint8)
    for start in range(0, len(blocks), BLOCKS_AT_ONCE):
        packed[start : start + BLOCKS_AT_ONCE] = _pack(blocks[start : start + BLOCKS_AT_ONCE])
    return packed.reshape(*weights.shape[:-1], -1)


def _pack(blocks: Floats) -> Bytes:
    largest = blocks[np.arange(len(blocks)), np.abs(blocks).argmax(1)]
    levels = LEVELS[_nearest(blocks, largest / LEVELS[0])]
    weighted = np.square(blocks) * levels
    error_free = np.einsum("ij,ij->i", weighted, levels)
    scales = _divide(np.einsum("ij,ij->i", weighted, blocks), error_free).astype(np.float16)
    codes = _nearest(blocks, scales.astype(np.float32))
    low, high = codes[:, : BLOCK // 2], codes[:, BLOCK // 2 :]
    return np.concatenate([scales[:, None].view(np.uint8), low | high << 4], axis=1)


def _nearest(blocks: Floats, scales: Floats) -> Bytes:
    """Return the number of the nearest level for each weight."""
    wanted = blocks * _divide(np.ones_like(scales), scales)[:, None]
    steps = np.rint((np.clip(wanted, -128, 127) + 128) * _STEPS).astype(np.int32)
    nearest: Bytes = _NEAREST[steps]
    return nearest


def _divide(a: Floats, b: Floats) -> Floats:
    """Return a / b, and 0 where b is."""
    return np.divide(a, b, out=np.zeros_like(a), where=b != 0)


def _is_slow(tensor: ReaderTensor) -> bool:
    return tensor.tensor_type in SLOW and tensor.name != LOOKED_UP


def _write(reader: GGUFReader, path: Path) -> None:
    """Write a model anew, its slow weights in the fast form."""
    writer = GGUFWriter(path, reader.fields[ARCHITECTURE].contents())
    writer.data_alignment = reader.alignment
    _copy_metadata(reader, writer)
    for tensor in reader.tensors:
        shape, kind = tensor.data.shape, tensor.tensor_type
        if _is_slow(tensor):
            shape = (*shape[:-1], int(tensor.shape[0]) // BLOCK * BLOCK_BYTES)
            kind = Kind.IQ4_NL
        dtype = np.dtype(np.uint8) if _is_slow(tensor) else tensor.data.dtype
        size = int(np.prod(shape)) * dtype.itemsize
        writer.add_tensor_info(tensor.name, shape, dtype, size, kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for tensor in reader.tensors:
        data: Any = tensor.data
        if _is_slow(tensor):
            data = to_iq4_nl(dequantize(tensor.data, tensor.tensor_type))
        writer.write_tensor_data(data)
    writer.close()


def _copy_metadata(reader: GGUFReader, writer: GGUFWriter) -> None:
    for key, field in reader.fields.items():
        # The reader puts the header among the fields, and the writer has one already.
        if not key.startswith("GGUF.") and key != ARCHITECTURE:
            kind = field.types[0]
            items = field.types[-1] if kind is GGUFValueType.ARRAY else None
            writer.add_key_value(key, field.contents(), kind, items)
