"""The sentence encoder all-MiniLM-L6-v2: sentences that mean the same lie close together.

The makers' weights are given to CTranslate2, on which Whisper runs too. It is BERT with six layers
(https://arxiv.org/abs/1810.04805, section 3), whose last states are averaged over the tokens.
"""

import hashlib
import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import ctranslate2
import numpy as np
import numpy.typing as npt
from ctranslate2.specs import common_spec, transformer_spec
from tokenizers import Tokenizer

from engines.kept import replacing

LAYERS = 6
HEADS = 12
WIDTH = 384
MAX_TOKENS = 128
"""Longer texts are cut: the model was trained on texts of this length."""

BATCH = 32
"""Texts encoded together; the vectors of longer lists are kept."""

KEPT_LISTS = 16
"""Lists whose vectors are kept, the newest."""

Floats: TypeAlias = npt.NDArray[np.float32]


class MiniLM:
    """The model, loaded once; calls may come from any thread.

    What takes long is kept for the next time: the weights as CTranslate2 wants them, and the
    vectors of long lists of texts.

    Args:
        path: Directory with `model.safetensors` and `tokenizer.json`.
        kept: Directory for what is kept; made if it is missing. It may be deleted at any time.
        threads: CPU threads for one batch.

    Raises:
        OSError: If a file cannot be read.
        ValueError: If a file is not what its name says.
        RuntimeError: If CTranslate2 cannot load the model.
    """

    def __init__(self, path: Path, *, kept: Path, threads: int) -> None:
        self._tokenizer = Tokenizer.from_str((path / "tokenizer.json").read_text("utf-8"))
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._tokenizer.no_padding()
        self._kept = kept
        converted = kept / f"ctranslate2-{ctranslate2.__version__}"
        if not converted.exists():
            _convert(path / "model.safetensors", self._tokenizer, converted)
        self._encoder = ctranslate2.Encoder(
            str(converted), device="cpu", compute_type="int8", intra_threads=threads
        )

    def encode(self, texts: Sequence[str]) -> Floats:
        """Return a vector of length 1 for each text, one a row; their products are cosines.

        Raises:
            OSError: If the vectors of a long list cannot be kept.
        """
        if len(texts) <= BATCH:
            return self._encode(texts)
        name = hashlib.sha256("\n".join(texts).encode()).hexdigest()
        file = self._kept / f"{name}.npy"
        if not file.exists():
            with replacing(file) as part:
                np.save(part, self._encode(texts))
            for old in sorted(self._kept.glob("*.npy"), key=os.path.getmtime)[:-KEPT_LISTS]:
                old.unlink(missing_ok=True)
        vectors: Floats = np.load(file)
        return vectors

    def _encode(self, texts: Sequence[str]) -> Floats:
        ids = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        vectors = np.empty((len(ids), WIDTH), np.float32)
        # Texts of like length together: in a batch, all are padded to the longest.
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        for first in range(0, len(order), BATCH):
            batch = order[first : first + BATCH]
            result = self._encoder.forward_batch([ids[i] for i in batch])
            for i, states in zip(batch, np.array(result.last_hidden_state), strict=True):
                vectors[i] = states[: len(ids[i])].mean(0)
        unit: Floats = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit


def read_safetensors(path: Path) -> dict[str, Floats]:
    """Return the 32-bit tensors of a file by name.

    The form is that of https://huggingface.co/docs/safetensors: the length of a JSON header in 8
    bytes, the header, the tensors.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it is no safetensors file.
    """
    data = bytearray(path.read_bytes())
    start = 8 + int.from_bytes(data[:8], "little")
    header: dict[str, Any] = json.loads(data[8:start])
    return {
        name: np.frombuffer(
            data, np.float32, math.prod(entry["shape"]), start + entry["data_offsets"][0]
        ).reshape(entry["shape"])
        for name, entry in header.items()
        if entry.get("dtype") == "F32"
    }


def _convert(weights: Path, tokenizer: Tokenizer, folder: Path) -> None:
    spec = _spec(read_safetensors(weights), tokenizer)
    spec.optimize(quantization="int8")
    with replacing(folder) as part:
        part.mkdir()
        spec.save(str(part))


def _spec(
    weights: dict[str, Floats], tokenizer: Tokenizer
) -> transformer_spec.TransformerEncoderModelSpec:
    """Put the weights where CTranslate2 looks for those of a BERT."""
    encoder = transformer_spec.TransformerEncoderSpec(
        LAYERS,
        HEADS,
        pre_norm=False,
        activation=common_spec.Activation.GELU,
        layernorm_embedding=True,
        num_source_embeddings=2,
        embeddings_merge=common_spec.EmbeddingsMerge.ADD,
    )
    encoder.scale_embeddings = False
    encoder.embeddings[0].weight = weights["embeddings.word_embeddings.weight"]
    encoder.embeddings[1].weight = weights["embeddings.token_type_embeddings.weight"]
    encoder.position_encodings.encodings = weights["embeddings.position_embeddings.weight"]
    _norm(encoder.layernorm_embedding, weights, "embeddings.LayerNorm")
    for number, layer in enumerate(encoder.layer):
        name = f"encoder.layer.{number}"
        queries_keys_values = [
            f"{name}.attention.self.{part}" for part in ("query", "key", "value")
        ]
        _linear(layer.self_attention.linear[0], weights, *queries_keys_values)
        _linear(layer.self_attention.linear[1], weights, f"{name}.attention.output.dense")
        _norm(layer.self_attention.layer_norm, weights, f"{name}.attention.output.LayerNorm")
        _linear(layer.ffn.linear_0, weights, f"{name}.intermediate.dense")
        _linear(layer.ffn.linear_1, weights, f"{name}.output.dense")
        _norm(layer.ffn.layer_norm, weights, f"{name}.output.LayerNorm")
    spec = transformer_spec.TransformerEncoderModelSpec(encoder)
    vocabulary = tokenizer.get_vocab()
    spec.register_vocabulary(sorted(vocabulary, key=vocabulary.__getitem__))
    spec.config.layer_norm_epsilon = 1e-12
    spec.validate()
    return spec


def _linear(target: common_spec.LinearSpec, weights: dict[str, Floats], *names: str) -> None:
    target.weight = np.concatenate([weights[f"{name}.weight"] for name in names])
    target.bias = np.concatenate([weights[f"{name}.bias"] for name in names])


def _norm(target: common_spec.LayerNormSpec, weights: dict[str, Floats], name: str) -> None:
    target.gamma = weights[f"{name}.weight"]
    target.beta = weights[f"{name}.bias"]
