"""Where the files of the offline models are that the settings ask for."""

import os
from dataclasses import dataclass
from pathlib import Path

from bots.config import Kind, ServiceConfig
from bots.errors import ServiceUnavailable
from bots.models import ModelMissing, ModelStatus, ModelStore, default_models_dir, load_manifest
from bots.settings import Settings

ENCODER = "minilm-l6"
"""In the manifest: finds the facts for a small language model."""


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
        if isinstance(choice, str):
            return store.path(choice) if kind == "stt" else store.file(choice)
        return choice

    llm = chosen.get("llm")
    return LocalFiles(
        stt=path_of("stt"),
        llm=path_of("llm"),
        chat_template=store.manifest.model(llm).chat_template if isinstance(llm, str) else None,
        encoder=store.path(ENCODER) if small else None,
        tts=path_of("tts"),
    )


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
