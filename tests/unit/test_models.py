"""What is known of models on this machine, and the command that shows and changes it."""

import argparse
from pathlib import Path

import pytest

from bots.models import (
    ModelCorrupt,
    ModelStatus,
    ModelStore,
    ModelStoreUnusable,
    ModelUnknown,
    default_models_dir,
)
from runner import models_cli
from tests.model_hub import (
    WEIGHTS,
    Hub,
    assert_whole,
)


class TestTheStore:
    def test_verify_removes_what_is_wrong_and_a_pull_brings_it_anew(
        self, hub: Hub, tmp_path: Path
    ) -> None:
        store = ModelStore(tmp_path, hub.manifest())
        store.pull("toy")
        store.verify("toy")
        store.file("toy").write_bytes(bytes(len(WEIGHTS)))
        with pytest.raises(ModelCorrupt, match=r"m\.gguf has sha256"):
            store.verify("toy")
        assert store.status("toy") is ModelStatus.PARTIAL
        store.pull("toy")
        store.verify("toy")

    def test_a_file_of_the_wrong_size_is_fetched_anew(self, hub: Hub, tmp_path: Path) -> None:
        store = ModelStore(tmp_path, hub.manifest())
        store.pull("toy")
        store.file("toy").write_bytes(b"short")
        assert store.status("toy") is ModelStatus.PARTIAL
        store.pull("toy")
        assert_whole(store)

    def test_a_directory_that_cannot_be_written_is_named(self, hub: Hub, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(ModelStoreUnusable, match="another directory with --dir"):
            ModelStore(tmp_path / "file", hub.manifest()).pull("toy")

    def test_an_unknown_model_names_those_there_are(self, hub: Hub, tmp_path: Path) -> None:
        with pytest.raises(ModelUnknown, match="Choose one of: toy"):
            ModelStore(tmp_path, hub.manifest()).path("tyo")

    def test_models_are_in_the_users_cache_by_default(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        monkeypatch.setenv("HOME", str(tmp_path))
        assert default_models_dir() == tmp_path / ".cache/parlante/models"


class TestTheCommand:
    def run(self, hub: Hub, tmp_path: Path, *arguments: str) -> int:
        parser = argparse.ArgumentParser()
        models_cli.add_parser(parser.add_subparsers(dest="command"))
        args = parser.parse_args(["models", *arguments])
        return models_cli.run(args, default_dir=tmp_path, manifest=hub.manifest())

    def test_pulls_verifies_and_lists(
        self, hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert self.run(hub, tmp_path, "list") == 0
        assert "toy   llm   0.1 MB  MIT      default  missing" in capsys.readouterr().out
        assert self.run(hub, tmp_path, "pull") == 0
        assert capsys.readouterr().out.splitlines() == [
            "toy/m.gguf (0.1 MB)",
            "toy/m.json (0.0 MB)",
            f"toy: present in {tmp_path}/toy",
        ]
        assert self.run(hub, tmp_path, "verify", "toy") == 0
        assert self.run(hub, tmp_path, "list", "toy") == 0
        assert "present" in capsys.readouterr().out

    def test_an_error_is_its_message_and_exit_code_1(
        self, hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        hub.files.clear()
        assert self.run(hub, tmp_path, "pull", "--dir", str(tmp_path / "other")) == 1
        message = capsys.readouterr().err
        assert "/m.gguf: HTTP 404" in message
        assert f"models pull toy --dir {tmp_path}/other" in message
        assert self.run(hub, tmp_path, "verify") == 1
        assert self.run(hub, tmp_path, "pull", "tyo") == 1
        assert "Choose one of: toy, default" in capsys.readouterr().err
