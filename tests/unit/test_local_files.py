import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from bots.config import Kind, ServiceConfig
from bots.errors import ServiceUnavailable
from bots.local_files import (
    ENCODER,
    MULTILINGUAL_TOKENS,
    LocalFiles,
    check_language,
    find_local_files,
)
from bots.models import ModelMissing, load_manifest
from bots.providers import spoken_language
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


def whisper(folder: Path, tokens: int) -> ServiceConfig:
    """Make the words of a model that recognises speech; only their number tells what it knows."""
    words = ["<|en|>", "<|de|>", *map(str, range(tokens - 2))]
    (folder / "vocabulary.txt").write_text("".join(f"{word}\n" for word in words))
    return ServiceConfig(model=str(folder))


def piper(folder: Path, about: str) -> ServiceConfig:
    (folder / "voice.onnx.json").write_text(about)
    (folder / "voice.onnx").touch()
    return ServiceConfig(voice=str(folder / "voice.onnx"))


GERMAN = json.dumps({"language": {"code": "de_DE", "family": "de"}})


def check_offline(kind: Kind, config: ServiceConfig, language: str | None) -> None:
    spoken = config.model_copy(update={"language": language})
    check_language(kind, spoken, load_settings(DEFAULT_CONFIG))


@pytest.mark.parametrize(
    ("tokens", "known", "unknown"),
    [(MULTILINGUAL_TOKENS - 1, "en-GB", "de"), (MULTILINGUAL_TOKENS, "de-AT", "tlh")],
)
def test_a_recognition_is_not_given_a_language_that_it_does_not_know(
    tmp_path: Path, tokens: int, known: str, unknown: str
) -> None:
    config = whisper(tmp_path, tokens)
    check_offline("stt", config, known)
    with pytest.raises(ServiceUnavailable, match=rf"'{unknown}'.*voice\.providers\.local\.stt"):
        check_offline("stt", config, unknown)


def test_a_voice_speaks_the_language_that_its_file_tells(tmp_path: Path) -> None:
    config = piper(tmp_path, GERMAN)
    for language in ("de", "de-DE", None):
        check_offline("tts", config, language)
    with pytest.raises(ServiceUnavailable, match=r"'en'.*voice\.providers\.local\.tts"):
        check_offline("tts", config, "en")


@pytest.mark.parametrize(
    ("about", "wanted", "spoken"),
    [(GERMAN, None, "de"), (GERMAN, "de-AT", "de-AT"), ("{}", None, None)],
)
def test_a_voice_speaks_what_it_is_asked_to_or_else_its_own_language(
    tmp_path: Path, about: str, wanted: str | None, spoken: str | None
) -> None:
    config = piper(tmp_path, about).model_copy(update={"language": wanted})
    assert spoken_language("local", config, load_settings(DEFAULT_CONFIG)) == spoken


def test_of_a_voice_that_is_not_there_nobody_knows_what_it_speaks(tmp_path: Path) -> None:
    settings = offline(tmp_path)
    assert spoken_language(*settings.service("tts"), settings) is None


@pytest.mark.parametrize("about", ["", "{}"])
def test_a_voice_that_tells_nothing_is_not_given_any(tmp_path: Path, about: str) -> None:
    with pytest.raises(ServiceUnavailable, match="cannot be read"):
        check_offline("tts", piper(tmp_path, about), "de")


def test_of_a_model_that_is_not_there_no_language_is_asked(tmp_path: Path) -> None:
    settings = offline(tmp_path)
    for kind in ("stt", "tts"):
        _, config = settings.service(kind)  # type: ignore[arg-type]
        check_language(kind, config.model_copy(update={"language": "de"}), settings)  # type: ignore[arg-type]


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
