"""A Redis server of Debian's packages, for tests."""

import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.service import free_port

START_SECS = 30


def redis_program() -> str | None:
    """Return where the server is on this machine; None if there is none."""
    return shutil.which("redis-server")


@dataclass
class RedisServer:
    """A server that can be killed and started again, with a password.

    Attributes:
        folder: For its log.
        port: Where it listens.
        password: What it wants of those who connect.
    """

    folder: Path
    port: int
    password: str = field(default_factory=lambda: secrets.token_hex(8))
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def start(self) -> None:
        command = f"redis-server --bind 127.0.0.1 --port {self.port} --save '' --appendonly no"
        arguments = [it.strip("'") for it in command.split()]
        with (self.folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*arguments, "--requirepass", self.password],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + START_SECS
        while time.monotonic() < deadline:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                    return
            except OSError:
                time.sleep(0.05)
        raise AssertionError((self.folder / "redis.log").read_text())

    def kill(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextmanager
def run_redis() -> Iterator[RedisServer]:
    """Start a server on a free port; kill it at the end."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="parlante-redis-") as folder:
        server = RedisServer(Path(folder), port)
        server.start()
        try:
            yield server
        finally:
            server.kill()
