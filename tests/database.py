"""Databases for tests: SQLite in a folder, and a PostgreSQL server of Debian's packages."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.service import free_port

START_SECS = 30


@dataclass
class Postgres:
    """A server that can be stopped and started; its data stays.

    Attributes:
        url: Of its only database, as a hosting service would give it.
    """

    url: str
    _programs: Path
    _data: Path
    _port: int

    def start(self) -> None:
        options = f"-p {self._port} -k {self._data} -c listen_addresses=127.0.0.1 -c fsync=off"
        self._control("start", "-w", "-o", options, "-l", str(self._data / "log"))

    def stop(self) -> None:
        self._control("stop", "-m", "immediate")

    def _control(self, *arguments: str) -> None:
        run(self._programs / "pg_ctl", "-D", str(self._data), "-t", str(START_SECS), *arguments)


def run(program: Path, *arguments: str) -> None:
    """Run a program of PostgreSQL's, which root must not."""
    user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    subprocess.run(
        [*user, str(program), *arguments],
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        timeout=2 * START_SECS,
        cwd="/",
    )


def postgres_programs() -> Path | None:
    """Return where the newest PostgreSQL of this machine is; None if there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


@contextmanager
def run_postgres(programs: Path) -> Iterator[Postgres]:
    """Start a server with an empty database; stop it at the end."""
    folder = Path(tempfile.mkdtemp(prefix="parlante-postgres-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres")
        data = folder / "data"
        run(programs / "initdb", "-D", str(data), "-U", "parlante", "--auth=trust", "--no-sync")
        port = free_port()
        url = f"postgresql://parlante@127.0.0.1:{port}/postgres"
        server = Postgres(url, programs, data, port)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)
