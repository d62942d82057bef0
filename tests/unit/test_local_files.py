from collections.abc import Iterable
from pathlib import Path

import pytest

from bots.errors import ServiceUnavailable
from bots.local_files import ENCODER, LocalFiles, find_local_files
from bots.models import ModelMissing, load_manifest
from bots.settings import DEFAULT_CONFIG, Settings, load_settings
from bots.specialist import only

ALL = ("whisper-tiny.en", "qwen2.5-coder-0.5b", ENCODER, "piper-joe")


def offline(models_dir: Path, llm: dict[str, object] | None = None, **top: object) -> Settings:
    overrides = {"profile": "offline", "models_dir": str(models_dir), **top}
    if llm:
        overrides["voice"] = {"providers": {"local": {"llm": llm}}}
    return load_settings(DEFAULT_CONFIG, overrides)


def put(models_dir: Path, names: Iterable[str]) -> None:
    """Make files of the sizes in the manifest, without a content."""
    for name in names:
        (models_dir / name).mkdir(parents=True)
        for file in load_manifest().model(name).files:
            with (models_dir / name / file.name).open("wb") as empty:
                empty.truncate(file.size_bytes)


def test_all_models_that_are_missing_are_named_with_one_command_for_them(tmp_path: Path) -> None:
    put(tmp_path, ["piper-joe"])
    with pytest.raises(ModelMissing) as caught:
        find_local_files(offline(tmp_path))
    assert caught.value.names == ALL[:3]
    assert f"models pull {' '.join(ALL[:3])} --dir {tmp_path}" in caught.value.message


def test_a_small_model_is_given_the_encoder_and_its_own_template(tmp_path: Path) -> None:
    put(tmp_path, ALL)
    files = find_local_files(offline(tmp_path))
    assert files.stt == tmp_path / "whisper-tiny.en"
    assert files.llm
    assert files.llm.suffix == ".gguf"
    assert files.encoder == tmp_path / ENCODER
    assert files.tts
    assert files.tts.suffix == ".onnx"
    assert files.chat_template
    assert "CALL:" in files.chat_template.read_text("utf-8")


def test_a_model_that_is_not_small_needs_no_encoder(tmp_path: Path) -> None:
    put(tmp_path, (name for name in ALL if name != ENCODER))
    assert find_local_files(offline(tmp_path, {"small": False})).encoder is None


def test_a_file_that_is_given_by_its_path_keeps_its_own_template(tmp_path: Path) -> None:
    put(tmp_path, ALL)
    gguf = tmp_path / "mine.gguf"
    gguf.touch()
    files = find_local_files(offline(tmp_path, {"model": str(gguf)}))
    assert files.llm == gguf
    assert files.chat_template is None


def test_a_path_with_nothing_there_is_named_with_its_setting(tmp_path: Path) -> None:
    with pytest.raises(ServiceUnavailable, match=r"providers\.local\.llm\.model: .* /no\.gguf"):
        find_local_files(offline(tmp_path, {"model": "/no.gguf"}))


def test_cloud_services_need_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    cloud = {"cloud": {kind: ["openai"] for kind in ("stt", "llm", "tts")}}
    settings = offline(tmp_path, profiles=cloud).model_copy(update={"profile": "cloud"})
    assert find_local_files(settings) == LocalFiles()


def test_who_only_thinks_needs_what_thinks(tmp_path: Path) -> None:
    put(tmp_path, ALL[1:3])
    settings = only("sales", offline(tmp_path, bus={"redis_url": "redis://localhost"}))
    files = find_local_files(settings)
    assert files.llm
    assert files.encoder
    assert (files.stt, files.tts) == (None, None)


def test_who_has_others_think_needs_what_hears_and_speaks(tmp_path: Path) -> None:
    put(tmp_path, (ALL[0], ALL[3]))
    settings = offline(tmp_path, bus={"redis_url": "redis://localhost"})
    bots = {name: it.model_copy(update={"remote": True}) for name, it in settings.bots.items()}
    files = find_local_files(settings.model_copy(update={"bots": bots}))
    assert files.stt
    assert files.tts
    assert (files.llm, files.encoder) == (None, None)
