"""The API does what its OpenAPI document says, as schemathesis finds."""

import asyncio
import re
import socket
import sys
from pathlib import Path

import uvicorn

from tests.app import key_of, service
from tests.service import ROOT

LIMITS = {
    "sessions": 500,
    "sessions_per_user": 500,
    "starts_per_minute": 5000,
    "max_lag": 60,
    # Nobody joins: whoever follows a session waits for its end.
    "join_timeout": 1,
}


async def test_schemathesis_finds_nothing_in_any_operation(tmp_path: Path) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{sock.getsockname()[1]}"
        async with service(voice={"realtime": {"limits": LIMITS}}) as http:
            key = await key_of(http, "ada")
            app = http.app  # type: ignore[attr-defined]
            server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_level="error"))
            serving = asyncio.create_task(server.serve([sock]))
            try:
                status, report = await schemathesis(
                    tmp_path,
                    *("--config-file", str(ROOT / "schemathesis.toml"), "run"),
                    *(f"{url}/openapi.json", "-H", f"X-API-Key: {key}"),
                    *("--max-examples", "10", "--seed", "1", "--no-color"),
                )
            finally:
                server.should_exit = True
                await serving
    assert status == 0, report
    assert re.search(r"Operations: +(\d+) selected / \1 total", report), "none is left out"
    assert re.search(r"API Links: +(\d+) covered / \1 selected / \1 total", report), report


async def schemathesis(folder: Path, *arguments: str) -> tuple[int | None, str]:
    """Run it in a folder, which it leaves things in."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", *arguments),
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    report, _ = await process.communicate()
    return process.returncode, report.decode()
