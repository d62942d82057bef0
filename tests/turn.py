"""A TURN server of Debian's packages: coturn."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

START_SECS = 20


@dataclass(frozen=True)
class TurnServer:
    """A server that runs.

    Attributes:
        url: Where it is.
        secret: What it shares with who makes credentials for it.
    """

    url: str
    secret: str
    _log: Path

    @property
    def log(self) -> str:
        return self._log.read_text()


def turn_program() -> str | None:
    """Return coturn's program; None if it is not on this machine."""
    return shutil.which("turnserver")


@contextmanager
def run_turn_server(program: str, folder: Path) -> Iterator[TurnServer]:
    """Serve on a free port of this machine; stop it at the end."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = TurnServer(f"turn:127.0.0.1:{port}", "what-only-the-two-know", folder / "turn.log")
    options = {
        "listening-ip": "127.0.0.1",
        "relay-ip": "127.0.0.1",
        "listening-port": str(port),
        "static-auth-secret": server.secret,
        "realm": "parlante.test",
        "log-file": str(folder / "turn.log"),
        "pidfile": str(folder / "turn.pid"),
        "userdb": str(folder / "turn.db"),
        # To peers of this machine, which it refuses otherwise, and only with a password.
        "cli-password": "none",
    }
    flags = ("use-auth-secret", "simple-log", "no-tls", "no-dtls", "no-cli", "verbose")
    command = [program, "-n", "--allow-loopback-peers", *(f"--{flag}" for flag in flags)]
    command += [f"--{name}={value}" for name, value in options.items()]
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait_until_listening(server, process, port)
        yield server
    finally:
        process.terminate()
        process.wait(START_SECS)


def _wait_until_listening(server: TurnServer, process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_SECS
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"the TURN server does not start:\n{server.log}")
