from pathlib import Path

from engines.vits_graph import cut_before_vocoder, cut_file


def field(number: int, content: bytes | str) -> bytes:
    """A field of a protobuf message, up to 16 kB long."""
    data = content.encode() if isinstance(content, str) else content
    return bytes([number << 3 | 2, len(data) & 0x7F | 0x80, len(data) >> 7]) + data


def node(op: str, inputs: str, output: str) -> bytes:
    names = b"".join(field(1, name) for name in inputs.split())
    return field(1, names + field(2, output) + field(4, op))


def model(*nodes: bytes, inputs: str = "input scales", weights: str = "a b c") -> bytes:
    return field(8, "head") + field(
        7,
        b"".join(
            [
                *nodes,
                *(field(5, field(8, name)) for name in weights.split()),
                *(field(11, field(1, name)) for name in inputs.split()),
                field(12, field(1, "sound")),
                field(13, field(1, "shape")),
            ]
        ),
    )


ENCODER = node("MatMul", "input a scales", "z")
VOCODER = (
    node("Conv", "z b", "pre"),
    node("LeakyRelu", "pre", "relu"),
    node("ConvTranspose", "relu c", "up"),
    node("Tanh", "up", "sound"),
)
SPEAKER = (
    node("Gather", "a sid", "g"),
    node("Conv", "z b", "bare"),
    node("Conv", "g b", "cond"),
    node("Add", "bare cond", "pre"),
)


def test_each_half_has_what_it_needs_and_no_more() -> None:
    halves = cut_before_vocoder(model(ENCODER, *VOCODER))
    assert halves
    assert ENCODER in halves.front
    assert not any(node in halves.front for node in VOCODER)
    assert all(node in halves.vocoder for node in VOCODER)
    assert ENCODER not in halves.vocoder
    weights = [field(5, field(8, name)) for name in "abc"]
    assert [weight in halves.front for weight in weights] == [True, False, False]
    assert [weight in halves.vocoder for weight in weights] == [False, True, True]
    assert b"shape" not in halves.front + halves.vocoder, "the shapes of the whole do not hold"
    assert halves.front.startswith(field(8, "head"))


def test_the_first_half_tells_how_long_phonemes_are_behind_the_latents() -> None:
    lengths = node("Ceil", "input scales", "lengths")
    encoder = node("MatMul", "lengths a", "z")
    halves = cut_before_vocoder(model(lengths, encoder, *VOCODER))
    assert halves
    told = halves.front[halves.front.index(encoder) + len(encoder) :]
    assert 0 < told.rindex(b"z") < told.index(b"lengths")


def test_a_voice_with_several_speakers_tells_both_halves_who_speaks() -> None:
    halves = cut_before_vocoder(model(ENCODER, *SPEAKER, *VOCODER[1:], inputs="input scales sid"))
    assert halves
    assert field(11, field(1, "sid")) in halves.vocoder
    assert SPEAKER[0] in halves.vocoder
    assert field(11, field(1, "input")) not in halves.vocoder


def test_what_is_no_such_voice_is_not_cut() -> None:
    loop = node("Loop", "z", "looped")
    past = node("Tanh", "up input", "sound")
    assert cut_before_vocoder(b"") is None
    assert cut_before_vocoder(b"not a model at all") is None
    assert cut_before_vocoder(model(ENCODER, *VOCODER)[:-9]) is None
    assert cut_before_vocoder(model(ENCODER, node("Tanh", "z", "sound"))) is None
    assert cut_before_vocoder(model(ENCODER, loop, *VOCODER)) is None, "a body sees all tensors"
    assert cut_before_vocoder(model(ENCODER, *VOCODER[:-1], past)) is None, "it needs the text too"


def test_halves_are_made_once_and_again_when_the_voice_changes(tmp_path: Path) -> None:
    voice, kept = tmp_path / "voice.onnx", tmp_path / "kept"
    voice.write_bytes(model(ENCODER, *VOCODER))
    first = cut_file(voice, kept)
    assert isinstance(first, tuple)
    made = [path.stat().st_mtime_ns for path in kept.iterdir()]
    assert cut_file(voice, kept) == first
    assert [path.stat().st_mtime_ns for path in kept.iterdir()] == made
    voice.write_bytes(model(ENCODER, *VOCODER, weights="a b c d"))
    assert cut_file(voice, kept) != first


def test_halves_of_what_the_voice_was_before_are_deleted(tmp_path: Path) -> None:
    voice, kept = tmp_path / "voice.onnx", tmp_path / "kept"
    voice.write_bytes(model(ENCODER, *VOCODER))
    cut_file(voice, kept)
    others = {"voice-1f-2e-said-4", "voice-1f-2e.gguf", "voice-low-1f-2e.timed.onnx"}
    for name in (*others, "voice-1f-2e.front.onnx"):
        (kept / name).touch()
    voice.write_bytes(model(ENCODER, *VOCODER, weights="a b c d"))
    halves = cut_file(voice, kept)
    assert isinstance(halves, tuple)
    assert {path.name for path in kept.iterdir()} == {*others, *(Path(it).name for it in halves)}


def test_a_folder_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    voice, kept = tmp_path / "voice.onnx", tmp_path / "voice.onnx" / "kept"
    voice.write_bytes(model(ENCODER, *VOCODER))
    assert cut_file(voice, kept) == cut_before_vocoder(voice.read_bytes())
