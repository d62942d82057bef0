"""Pages that tests have of their own, bundled with what `client/` has installed."""

import os
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

from tests.service import ROOT

BUILD_SECS = 60


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serve_bundle(
    page: str, into: Path, environment: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Bundle a folder beside this file, and serve it at an origin of its own.

    Args:
        page: The folder's name.
        into: Where the bundle goes.
        environment: Further variables, for the folder's configuration.
    """
    source = ROOT / "tests" / "e2e" / page
    build = ["npx", "--no-install", "vite", "build", str(source), "--outDir", str(into)]
    config = ["--config", str(source / "vite.config.mjs"), "--configLoader", "native"]
    done = subprocess.run(
        [*build, *config],
        cwd=ROOT / "client",
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=BUILD_SECS,
    )
    assert done.returncode == 0, done.stderr
    with serve(into) as url:
        yield url


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Serve a folder at an origin of its own."""
    with HTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever, name=str(folder))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
