from pathlib import Path

import numpy as np
import pytest
from gguf import GGMLQuantizationType as Kind
from gguf import GGUFReader, GGUFWriter
from gguf.quants import dequantize, quantize

from engines.fast_weights import LEVELS, fast_weights, to_iq4_nl

random = np.random.default_rng(1)
WEIGHTS = random.normal(size=(8, 96)).astype(np.float32)


def write(path: Path, **weights: Kind) -> Path:
    writer = GGUFWriter(path, "qwen2")
    writer.add_context_length(4096)
    writer.add_array("tokenizer.ggml.tokens", ["a", "b", "ü"])
    for name, kind in weights.items():
        writer.add_tensor(name, quantize(WEIGHTS, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture
def mixed(tmp_path) -> Path:
    return write(tmp_path / "mixed.gguf", gate=Kind.Q5_0, up=Kind.Q4_1, out=Kind.Q8_0)


def tensors(path: Path):
    return {tensor.name: tensor for tensor in GGUFReader(path).tensors}


def error(weights) -> float:
    return float(np.sqrt(np.mean(np.square(weights - WEIGHTS))))


def test_slow_weights_become_fast_and_stay_nearly_what_they_were(tmp_path, mixed):
    made = tensors(fast_weights(mixed, tmp_path / "kept"))

    for name in ("gate", "up"):
        assert made[name].tensor_type is Kind.IQ4_NL
        assert made[name].shape.tolist() == [96, 8]
        assert error(dequantize(made[name].data, Kind.IQ4_NL)) < 0.12


def test_all_else_stays_as_it_is(tmp_path, mixed):
    path = fast_weights(mixed, tmp_path / "kept")

    before, after = GGUFReader(mixed), GGUFReader(path)
    assert {key: field.contents() for key, field in after.fields.items()} == {
        key: field.contents() for key, field in before.fields.items()
    }
    assert tensors(path)["out"].data.tobytes() == tensors(mixed)["out"].data.tobytes()


def test_a_table_that_is_only_read_is_left_alone(tmp_path):
    model = write(tmp_path / "m.gguf", **{"token_embd.weight": Kind.Q5_0, "gate": Kind.Q5_0})

    made = tensors(fast_weights(model, tmp_path / "kept"))

    assert made["token_embd.weight"].tensor_type is Kind.Q5_0


def test_the_second_time_it_is_only_found(tmp_path, mixed):
    first = fast_weights(mixed, tmp_path / "kept")
    made_at = first.stat().st_mtime_ns

    assert fast_weights(mixed, tmp_path / "kept") == first
    assert first.stat().st_mtime_ns == made_at


def test_another_file_of_the_same_name_is_made_anew(tmp_path, mixed):
    first = fast_weights(mixed, tmp_path / "kept")
    write(mixed, gate=Kind.Q5_1)

    assert fast_weights(mixed, tmp_path / "kept") != first


def test_of_a_model_without_slow_weights_there_is_no_second_copy(tmp_path):
    model = write(tmp_path / "m.gguf", gate=Kind.Q8_0)

    made = fast_weights(model, tmp_path / "kept")

    assert made.is_symlink()
    assert made.samefile(model)


def test_where_nothing_can_be_kept_the_model_serves_as_it_is(tmp_path, mixed):
    no_folder = tmp_path / "file"
    no_folder.write_text("")

    assert fast_weights(mixed, no_folder / "kept") == mixed


def test_a_model_in_several_files_is_left_where_its_others_are(tmp_path):
    path = tmp_path / "m-00001-of-00002.gguf"
    writer = GGUFWriter(path, "qwen2")
    writer.add_uint16("split.count", 2)
    writer.add_tensor("gate", quantize(WEIGHTS, Kind.Q5_0), raw_dtype=Kind.Q5_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

    assert fast_weights(path, tmp_path / "kept") == path


def test_what_is_no_model_is_refused(tmp_path):
    (tmp_path / "m.gguf").write_text("a web page, perhaps")

    with pytest.raises(ValueError, match="GGUF"):
        fast_weights(tmp_path / "m.gguf", tmp_path / "kept")


def test_a_block_of_nothing_is_nothing():
    packed = to_iq4_nl(np.zeros((2, 64), np.float32))

    assert not dequantize(packed, Kind.IQ4_NL).any()


def test_weights_on_the_levels_are_kept_exactly():
    weights = np.tile(LEVELS / 64, (2, 2)).astype(np.float32)

    assert np.array_equal(dequantize(to_iq4_nl(weights), Kind.IQ4_NL), weights)


def test_of_a_model_that_has_changed_the_older_weights_are_deleted(tmp_path, mixed):
    first = fast_weights(mixed, tmp_path / "kept")
    second = fast_weights(write(mixed, gate=Kind.Q5_0), tmp_path / "kept")

    assert second != first
    assert [*(tmp_path / "kept").iterdir()] == [second]
