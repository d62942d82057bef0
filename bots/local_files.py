"""Where the files of the offline models are that the settings ask for."""

import json
import os
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bots.config import Kind, ServiceConfig
from bots.errors import ServiceUnavailable
from bots.models import ModelMissing, ModelStatus, ModelStore, default_models_dir, load_manifest
from bots.settings import Settings

ENCODER = "minilm-l6"
"""In the manifest: finds the facts for a small language model."""


MULTILINGUAL_TOKENS = 51_865
"""A Whisper model that knows more than English has so many tokens, or more."""

_LANGUAGE_TOKEN = re.compile(r"<\|([a-z]{2,3})\|>")


@dataclass(frozen=True)
class LocalFiles:
    """What to open; a model that the settings do not ask for is None.

    Attributes:
        stt: A directory, of speech recognition.
        llm: A GGUF file.
        chat_template: Jinja that replaces the one inside the GGUF file; None to use that.
        encoder: A directory, of what finds facts by their meaning.
        tts: An ONNX file, of a voice.
    """

    stt: Path | None = None
    llm: Path | None = None
    chat_template: Path | None = None
    encoder: Path | None = None
    tts: Path | None = None


def find_local_files(settings: Settings) -> LocalFiles:
    """Find the files of the profile's offline models that this process uses.

    Raises:
        ModelMissing: If models are not on this machine; names all of them.
        ModelUnknown: If the manifest has no model of a name.
        ServiceUnavailable: If the settings name no model, or a path with nothing there.
        ConfigError: If the profile has no provider that can be used.
    """
    store = ModelStore(settings.models_dir or default_models_dir(), load_manifest())
    services = {kind: settings.service(kind) for kind in settings.kinds}
    chosen = {
        kind: _name_or_path(kind, config)
        for kind, (provider, config) in services.items()
        if provider == "local"
    }
    names = [name for name in chosen.values() if isinstance(name, str)]
    small = "llm" in chosen and settings.has_small_llm
    if small:
        names.append(ENCODER)
    missing = [name for name in names if store.status(name) is not ModelStatus.PRESENT]
    if missing:
        raise ModelMissing(missing, store.directory)

    def path_of(kind: Kind) -> Path | None:
        choice = chosen.get(kind)
        return _path_in(store, kind, choice) if isinstance(choice, str) else choice

    llm = chosen.get("llm")
    return LocalFiles(
        stt=path_of("stt"),
        llm=path_of("llm"),
        chat_template=store.manifest.model(llm).chat_template if isinstance(llm, str) else None,
        encoder=store.path(ENCODER) if small else None,
        tts=path_of("tts"),
    )


def check_language(kind: Kind, config: ServiceConfig, settings: Settings) -> None:
    """Make sure that an offline model hears or speaks the language that is wanted of it.

    Of language models, which do not say what they know, and of those that have yet to be pulled,
    nothing is made sure of.

    Args:
        kind: What the model is for.
        config: The model, and the language; None for that of the model.
        settings: Where models are.

    Raises:
        ServiceUnavailable: If it does not, or its files cannot be read.
    """
    if kind == "llm" or config.language is None:
        return
    models_dir = settings.models_dir or default_models_dir()
    choice = _name_or_path(kind, config)
    try:
        known = _languages_of(kind, choice, models_dir)
    except (OSError, ValueError, KeyError) as error:
        raise ServiceUnavailable(f"{kind}: which language {choice} knows cannot be read") from error
    if known is not None and config.language.partition("-")[0] not in known:
        raise ServiceUnavailable(
            f"{kind}: {choice} is loaded on this machine, and does not know the language "
            f"'{config.language}': name another in voice.providers.local.{kind}, or take a "
            "provider that does"
        )


def language_of_voice(config: ServiceConfig, settings: Settings) -> str | None:
    """Return the language of an offline voice; None if it has yet to be pulled, or tells none.

    Args:
        config: Names the voice.
        settings: Where models are.

    Raises:
        ServiceUnavailable: If none is named, or a path with nothing there.
    """
    choice = _name_or_path("tts", config)
    try:
        known = _languages_of("tts", choice, settings.models_dir or default_models_dir())
    except (OSError, ValueError, KeyError):
        return None
    return next(iter(known)) if known else None


@cache
def _languages_of(kind: Kind, choice: str | Path, models_dir: Path) -> frozenset[str] | None:
    """Return what a model hears or speaks; None for one of the manifest that has yet to be pulled.

    Kept, because it is asked for before calls: what is loaded changes with a restart alone.
    """
    if isinstance(choice, str):
        store = ModelStore(models_dir, load_manifest())
        if store.status(choice) is not ModelStatus.PRESENT:
            return None
        choice = _path_in(store, kind, choice)
    if kind == "stt":
        return _languages_heard(choice)
    voice = json.loads(choice.with_name(f"{choice.name}.json").read_bytes())
    return frozenset({voice["language"]["family"]})


def _languages_heard(whisper: Path) -> frozenset[str]:
    """Return what a model in the form of CTranslate2 knows, which goes by the size of its words."""
    listed = whisper / "vocabulary.json"
    tokens: list[str] = (
        json.loads(listed.read_bytes())
        if listed.exists()
        else (whisper / "vocabulary.txt").read_text("utf-8").removesuffix("\n").split("\n")
    )
    if len(tokens) < MULTILINGUAL_TOKENS:
        return frozenset({"en"})
    return frozenset(found[1] for token in tokens if (found := _LANGUAGE_TOKEN.fullmatch(token)))


def _path_in(store: ModelStore, kind: Kind, name: str) -> Path:
    return store.path(name) if kind == "stt" else store.file(name)


def _name_or_path(kind: Kind, config: ServiceConfig) -> str | Path:
    """Return which model is meant: a name of the manifest as text, else a path that exists."""
    key = "voice" if kind == "tts" else "model"
    setting = f"voice.providers.local.{kind}.{key}"
    name: str | None = getattr(config, key)
    if not name:
        raise ServiceUnavailable(f"{setting} is not set: give a model's name or path")
    if os.sep not in name and not name.startswith("~"):
        return name
    path = Path(name).expanduser()
    if not path.exists():
        raise ServiceUnavailable(f"{setting}: there is no file {path}")
    return path
