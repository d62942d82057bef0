"""What the models are: the data classes of manifest.toml, and how it is read."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from bots.models.errors import ModelUnknown

MANIFEST_PATH = Path(__file__).with_suffix(".toml")

Role: TypeAlias = Literal["stt", "llm", "encoder", "tts"]


@dataclass(frozen=True)
class ModelFile:
    """A file of a model, by its name in the model's directory."""

    name: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class HubSource:
    """Files on the makers' hub; `{file}` in the address stands for a file's name."""

    url: str


@dataclass(frozen=True)
class PackagePart:
    """A file, or the next piece of one, that is a member of the wheel of `requirement`."""

    file: str
    requirement: str
    member: str
    size_bytes: int


@dataclass(frozen=True)
class PackageSource:
    """Packages that carry the files; the parts of each file are in order."""

    parts: tuple[PackagePart, ...]


@dataclass(frozen=True)
class Model:
    """What the manifest says of a model.

    Attributes:
        name: What the settings call it.
        role: What it is for.
        licence: An SPDX identifier.
        files: What it is made of.
        sources: Where it can be had, in the order in which they are tried.
        chat_template: Jinja that stands in for the template inside a GGUF file; None to use that.
    """

    name: str
    role: Role
    licence: str
    files: tuple[ModelFile, ...]
    sources: tuple[HubSource | PackageSource, ...]
    chat_template: Path | None = None

    @property
    def size_bytes(self) -> int:
        """The size of all files."""
        return sum(file.size_bytes for file in self.files)


@dataclass(frozen=True)
class Manifest:
    """All models, and sets of them that make a whole conversation."""

    models: Mapping[str, Model]
    sets: Mapping[str, tuple[str, ...]]

    def model(self, name: str) -> Model:
        """Return a model.

        Raises:
            ModelUnknown: If there is none of this name.
        """
        if name not in self.models:
            raise ModelUnknown(name, self.models)
        return self.models[name]

    def select(self, *names: str) -> list[Model]:
        """Return the models that `names` mean, each once.

        Args:
            *names: Models and sets.

        Raises:
            ModelUnknown: If a name is neither.
        """
        for name in names:
            if name not in self.models and name not in self.sets:
                raise ModelUnknown(name, [*self.models, *self.sets])
        flat = (model for name in names for model in self.sets.get(name, (name,)))
        return [self.models[name] for name in dict.fromkeys(flat)]


def load_manifest(path: Path = MANIFEST_PATH) -> Manifest:
    """Read a manifest; manifest.toml explains its form."""
    with path.open("rb") as file:
        raw = tomllib.load(file)
    models = {
        name: Model(
            name=name,
            role=entry["role"],
            licence=entry["licence"],
            chat_template=path.parent / entry["chat_template"]
            if "chat_template" in entry
            else None,
            files=tuple(ModelFile(**file) for file in entry["files"]),
            sources=tuple(_parse_source(source) for source in entry["sources"]),
        )
        for name, entry in raw["models"].items()
    }
    return Manifest(models, {name: tuple(members) for name, members in raw["sets"].items()})


def _parse_source(raw: dict[str, Any]) -> HubSource | PackageSource:
    if "url" in raw:
        return HubSource(**raw)
    return PackageSource(tuple(PackagePart(**part) for part in raw["parts"]))
