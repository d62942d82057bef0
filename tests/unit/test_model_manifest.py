"""The manifest of the models that come with Parlante."""

import re

import pytest

from bots.models import (
    Model,
    load_manifest,
)
from bots.models.manifest import HubSource, PackageSource


class TestTheManifestOfParlante:
    MANIFEST = load_manifest()

    def test_every_set_can_hold_a_conversation(self) -> None:
        assert set(self.MANIFEST.sets) == {"tiny", "default", "large"}
        for name in self.MANIFEST.sets:
            roles = [model.role for model in self.MANIFEST.select(name)]
            assert roles == ["stt", "llm", "encoder", "tts"], name

    @pytest.mark.parametrize("model", MANIFEST.models.values(), ids=lambda model: model.name)
    def test_the_hub_comes_first_and_the_packages_carry_every_file(self, model: Model) -> None:
        hub, packages = model.sources
        assert isinstance(hub, HubSource)
        assert hub.url.startswith("https://huggingface.co/")
        assert hub.url.endswith("/{file}")
        assert isinstance(packages, PackageSource)
        for file in model.files:
            assert re.fullmatch(r"[\w.-]+", file.name)
            assert re.fullmatch(r"[0-9a-f]{64}", file.sha256)
            carried = sum(p.size_bytes for p in packages.parts if p.file == file.name)
            assert carried == file.size_bytes
        for part in packages.parts:
            assert re.fullmatch(r"[\w-]+==[\d.]+", part.requirement)

    def test_names_and_sets_can_be_mixed(self) -> None:
        chosen = self.MANIFEST.select("tiny", "piper-joe", "whisper-base")
        assert [model.name for model in chosen] == [
            "whisper-tiny.en", "smollm2-135m", "minilm-l6", "piper-joe", "whisper-base",
        ]  # fmt: skip
