"""Says what is missing on this machine, and how to mend it."""

import asyncio
import dataclasses
import math
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from aiortc import RTCIceGatherer, RTCIceServer, RTCIceTransport
from rich.console import Console

from bots import providers
from bots.agents.remote import open_post
from bots.config import Kind
from bots.database import connect
from bots.errors import ConfigError, ParlanteError
from bots.local_files import find_local_files
from bots.mcp_servers import McpServers, check_package
from bots.registry import load_bot
from bots.settings import Settings, load_settings
from runner.app import CLIENT_DIR
from runner.rooms.ice import ice_servers
from runner.server import bind
from runner.store import Store

ICE_SECS = 60
"""How long the credentials hold that a TURN server is tried with."""


def examine(config: Path | None, overrides: Mapping[str, Any]) -> int:
    """Check everything and print a line for each.

    Returns:
        0 if all is well, 1 if something must be mended.
    """
    console = Console(highlight=False)
    healthy = True

    def report(what: str, check: Callable[[], str]) -> None:
        nonlocal healthy
        try:
            console.print(f"[green]ok[/green]    {what}: {check()}")
        except (ParlanteError, OSError) as error:
            healthy = False
            console.print(f"[red]mend[/red]  {what}: {error}")

    report("python", lambda: sys.version.split()[0])
    try:
        settings = load_settings(config, overrides)
    except ConfigError as error:
        console.print(f"[red]mend[/red]  settings: {error}")
        return 1
    report("settings", lambda: f"profile '{settings.profile}'")
    for kind in settings.kinds:
        report(kind, lambda kind=kind: _service(settings, kind))  # type: ignore[misc]
    report("offline models", lambda: _models(settings))
    for name in settings.bots:
        report(f"bot {name}", lambda name=name: load_bot(name, settings).description)  # type: ignore[misc]
    for name in settings.mcp:
        report(f"mcp {name}", lambda name=name: _mcp_server(settings, name))  # type: ignore[misc]
    report("port", lambda: _port(settings))
    report("worker port", lambda: _worker_port(settings))
    report("database", lambda: _database(settings))
    report("bus", lambda: _bus(settings))
    report("client", _client)
    report("telephony", lambda: _telephony(settings))
    report("ice", lambda: _ice(settings))
    return 0 if healthy else 1


def _service(settings: Settings, kind: Kind) -> str:
    provider, config = settings.service(kind)
    providers.check(kind, provider, config)
    return f"{provider} {config.model or config.voice or ''}"


def _models(settings: Settings) -> str:
    files = dataclasses.astuple(find_local_files(settings))
    return ", ".join(path.name for path in files if path) or "none are used"


def _worker_port(settings: Settings) -> str:
    port = settings.voice.realtime.worker.port
    bind(settings.server.host, port, "voice.realtime.worker.port").close()
    return f"{settings.server.host}:{port} is free" if port else "any that is free"


def _port(settings: Settings) -> str:
    bind(settings.server.host, settings.server.port).close()
    return f"{settings.server.host}:{settings.server.port} is free"


def _database(settings: Settings) -> str:
    settings.data_dir.mkdir(parents=True, exist_ok=True)

    async def look() -> str:
        engine = connect(settings.database_url, settings.data_dir)
        try:
            await Store(engine).ping()
        finally:
            await engine.dispose()
        return f"{engine.url!r} answers"

    return asyncio.run(look())


def _bus(settings: Settings) -> str:
    async def look() -> None:
        post = open_post(settings)
        try:
            await post.ping()
        finally:
            await post.aclose()

    if not settings.bus:
        return "none is used"
    asyncio.run(look())
    return "Redis answers"


def _mcp_server(settings: Settings, name: str) -> str:
    check_package()

    async def look() -> int:
        servers = McpServers({name: settings.mcp[name]})
        try:
            return await servers.count_tools(name)
        finally:
            await servers.close()

    return f"answers, {asyncio.run(look())} tool(s)"


def _telephony(settings: Settings) -> str:
    config = settings.voice.realtime.telephony
    if not config.with_keys:
        return "no phone provider has its keys here"
    if not config.public_url:
        raise OSError(
            f"{', '.join(config.with_keys)}: set voice.realtime.telephony.public_url to where "
            "providers reach this service, or their calls are not taken"
        )
    base = config.public_url.rstrip("/")
    return "calls come to " + ", ".join(f"{base}/telephony/{name}" for name in config.providers)


def _client() -> str:
    if not (CLIENT_DIR / "index.html").exists():
        raise OSError("not built: run make client (Pipecat's own client is served instead)")
    return "built"


def _ice(settings: Settings) -> str:
    servers = settings.voice.realtime.ice_servers
    if not servers:
        return "no STUN or TURN server: fine on one machine or network"
    expires_at = math.ceil(time.time() + ICE_SECS)
    for server in ice_servers(servers, "doctor", expires_at):
        for url in [server.urls] if isinstance(server.urls, str) else server.urls:
            wanted = "relay" if url.startswith("turn") else "srflx"
            one = RTCIceServer(url, server.username, server.credential)
            if wanted not in asyncio.run(_kinds_of_addresses(one)):
                raise OSError(f"{url} gives no address: is it up, and are the credentials right?")
    return f"{len(servers)} server(s), each gives an address"


async def _kinds_of_addresses(server: RTCIceServer) -> set[str]:
    """Return which kinds of addresses this machine has, with the help of a STUN or TURN server."""
    transport = RTCIceTransport(RTCIceGatherer([server]))
    try:
        await transport.iceGatherer.gather()
        return {candidate.type for candidate in transport.iceGatherer.getLocalCandidates()}
    finally:
        await transport.stop()
