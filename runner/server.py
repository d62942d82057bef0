"""Starts the service: settings, port, models, then HTTP."""

import asyncio
import errno
import ipaddress
import os
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, closing, contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeAlias

import uvicorn
from loguru import logger
from rich.console import Console
from uvicorn.supervisors import ChangeReload

from bots.errors import ParlanteError
from bots.local_models import loading_models
from bots.settings import Settings, load_settings
from runner import memory
from runner.process import quick_start, setup_logging, spare_the_collector

if TYPE_CHECKING:
    from fastapi import FastAPI

    from runner.launchers.template import Template

Drain: TypeAlias = Callable[[], Coroutine[Any, Any, None]]
"""Takes no more calls and returns when those under way have ended."""

SHUTDOWN_SECS = 15
"""How long requests may take after the service was asked to stop."""

MAX_MESSAGE_BYTES = 1024 * 1024
"""Largest message that a WebSocket takes; above, it is closed with 1009."""

PINGS = 4
"""How often the client of a WebSocket has to say that it is still there, within the time in which
it may be silent. For the answer there is what is left of that."""

WATCHED_DIRS = ["runner", "bots", "processors", "engines"]


class PortUnavailable(ParlanteError):
    """The address cannot be listened on."""

    code = "PORT_UNAVAILABLE"


def serve(config: Path | None, overrides: Mapping[str, Any], *, reload: bool) -> int:
    """Serve until the process is told to stop.

    Args:
        config: The settings file; None for the default one.
        overrides: Settings that replace those of the file.
        reload: Start again when a source file changes.

    Returns:
        The exit code.

    Raises:
        ParlanteError: If the service cannot be started.
    """
    settings = load_settings(config, overrides)
    sock = bind(settings.server.host, settings.server.port)
    if not reload:
        _run(config, overrides, [sock])
        return 0
    root = Path(__file__).parent.parent
    watch = uvicorn.Config("", reload=True, reload_dirs=[str(root / d) for d in WATCHED_DIRS])
    # Whoever has changed the code does not want to wait for a call.
    at_once = {**overrides, "server": {**overrides.get("server", {}), "drain_timeout": 0}}
    ChangeReload(watch, target=partial(_run, config, at_once), sockets=[sock]).run()
    return 0


def bind(host: str, port: int, setting: str = "--port") -> socket.socket:
    """Take the port before the models are loaded, so that a busy one is told at once.

    Args:
        host: Where to listen.
        port: The same; 0 for a free one.
        setting: What says so.

    Raises:
        PortUnavailable: If it is in use, not allowed, or the host is unknown.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Only of a socket whose protocol is named does asyncio send each piece at once. Else the second
    # piece of an answer, and sound in a WebSocket, waits 40 ms for the client to acknowledge.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            raise PortUnavailable(
                f"port {port} is in use by another program: stop that one, or choose another port "
                f"with {setting} {port + 1}"
            ) from error
        raise PortUnavailable(f"cannot listen on {host}:{port}: {error}") from error
    return sock


class _Server(uvicorn.Server):
    """Tells when it has begun to listen and when to read the settings again, and ends well.

    SIGINT stops it at once, SIGTERM when calls have ended, and another signal at once again.
    uvicorn raises the signal again after its shutdown, so that the process would die of it.

    Attributes:
        listening: Set once it listens.
        reread: Set by SIGHUP, unless that tells that its terminal was closed.

    Args:
        config: Of uvicorn.
        drain: Lets calls end; None where SIGTERM is not to wait for them.
        hush: Ends answers that would go on for as long as the service does.
        rereads: Whether SIGHUP is to have the settings read again, and not to stop it.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        drain: Drain | None,
        hush: Callable[[], None],
        *,
        rereads: bool,
    ) -> None:
        super().__init__(config)
        self._rereads = rereads
        self._has_terminal = has_terminal()
        self.listening = asyncio.Event()
        self.reread = asyncio.Event()
        self._drain = drain
        self._hush = hush
        self._draining: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        self.listening.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            if self._draining:
                self._draining.cancel()
                await asyncio.wait({self._draining})
        finally:
            self._hush()
            await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        closed = sig == signal.SIGHUP and self._has_terminal and not has_terminal()
        if sig == signal.SIGHUP and self._rereads and not closed:
            if self._loop:
                self._loop.call_soon_threadsafe(self.reread.set)
        elif sig == signal.SIGTERM and self._loop and self._drain:
            drain, self._drain = self._drain, None
            self._loop.call_soon_threadsafe(self._start_draining, drain)
        else:
            super().handle_exit(sig, frame)

    def _start_draining(self, drain: Drain) -> None:
        self._draining = asyncio.create_task(drain())
        self._draining.add_done_callback(self._stop)

    def _stop(self, draining: asyncio.Task[None]) -> None:
        self.should_exit = True
        if not draining.cancelled():
            draining.result()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        told = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {s: signal.signal(s, self.handle_exit) for s in told}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@asynccontextmanager
async def running(
    settings: Settings,
    sock: socket.socket,
    progress: Callable[[str], None] = lambda _: None,
    own_key: str | None = None,
    read: Callable[[], Settings] | None = None,
    template: "Template | None" = None,
    worker_sock: socket.socket | None = None,
) -> AsyncIterator["asyncio.Task[None]"]:
    """Load everything, serve, and free everything at the end.

    Args:
        settings: The settings of the process.
        sock: Where to listen; closed at the end.
        progress: Told what is being loaded.
        own_key: Lets the caller of this in; None for none.
        read: Reads the settings again at SIGHUP; None to keep them.
        template: What a process for each call is forked of; None to hold all in this process.
        worker_sock: Where to listen for those who watch the service; closed at the end. None for
            nowhere.

    Yields:
        The task that serves, already listening; it ends when the process is told to stop.

    Raises:
        ParlanteError: If something cannot be loaded.
    """
    memory.share_pools()
    async with AsyncExitStack() as stack:
        socks = [sock, worker_sock] if worker_sock else [sock]
        silence_secs = settings.voice.realtime.limits.lost_peer_timeout
        for one in socks:
            stack.enter_context(closing(one))
            bound_waiting(one, silence_secs)
        starting = stack.enter_context(ExitStack())
        starting.enter_context(quick_start())
        # The models and the imports take seconds, most of them outside of each other's way.
        models = await stack.enter_async_context(loading_models(settings, progress))
        await asyncio.to_thread(import_module, "runner.app")
        from bots.loopback import connect_over_loopback_when_alone
        from bots.resources import open_resources
        from runner.app import create_app
        from runner.bounded_websocket import BoundedWebSocket

        connect_over_loopback_when_alone()
        resources = await stack.enter_async_context(
            open_resources(settings, models, holds_calls=template is None)
        )
        app = create_app(
            resources,
            own_key=own_key,
            template=template,
            worker_port=_port(worker_sock) if worker_sock else None,
        )
        config = uvicorn.Config(
            app,
            log_level="warning",
            timeout_graceful_shutdown=SHUTDOWN_SECS,
            ws=BoundedWebSocket,
            ws_max_size=MAX_MESSAGE_BYTES,
            # Sound hardly shrinks, and a few bytes could become hundreds of megabytes.
            ws_per_message_deflate=False,
            ws_ping_interval=silence_secs / PINGS,
            ws_ping_timeout=silence_secs * (1 - 1 / PINGS),
        )
        drain = (lambda: app.state.sessions.drain()) if settings.server.drain_timeout else None
        server = _Server(config, drain, lambda: app.state.sessions.hush(), rereads=read is not None)
        starting.close()
        spare_the_collector()
        serving = asyncio.create_task(server.serve(sockets=socks))
        up = asyncio.create_task(server.listening.wait())
        rereading = asyncio.create_task(_reread(app, server.reread, read or (lambda: settings)))
        try:
            await asyncio.wait({serving, up}, return_when=asyncio.FIRST_COMPLETED)
            yield serving
        finally:
            up.cancel()
            rereading.cancel()
            server.should_exit = True
            await serving
            await asyncio.gather(up, rereading, return_exceptions=True)


def bound_waiting(sock: socket.socket, secs: float) -> None:
    """Have the system break connections whose peer does not read for so long.

    Nothing else would: what waits to be sent has to be sent before a connection is closed.
    """
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        # In ms; connections have it of the socket that accepts them.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(secs * 1000))


async def _reread(app: "FastAPI", told: asyncio.Event, read: Callable[[], Settings]) -> None:
    """Use the settings as they are then, whenever told to; wrong ones change nothing."""
    from runner.app import reconfigure

    while True:
        await told.wait()
        told.clear()
        try:
            settings = await asyncio.to_thread(read)
            await reconfigure(app, settings)
        except ParlanteError as error:
            logger.error("the settings stay as they were: {}", error.message)
        else:
            setup_logging(settings.voice.realtime.logging)
            logger.info("sessions have other settings from now on")


def has_terminal() -> bool:
    """Say whether there is a terminal that this process belongs to, and that is not closed."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY))
    except OSError:
        return False
    return True


def _run(
    config: Path | None, overrides: Mapping[str, Any], sockets: list[socket.socket] | None
) -> None:
    assert sockets
    settings = load_settings(config, overrides)
    setup_logging(settings.voice.realtime.logging)
    console = Console(stderr=True, highlight=False)
    worker_sock = bind(
        settings.server.host, settings.voice.realtime.worker.port, "voice.realtime.worker.port"
    )
    socks = [*sockets, worker_sock]
    # Models that calls share are shared within one process; and macOS has libraries that do not
    # take a fork.
    in_processes = not settings.has_local_models and sys.platform == "linux"
    template = _make_template(settings, socks, console) if in_processes else None
    read = partial(load_settings, config, overrides)
    asyncio.run(_serve(settings, sockets[0], worker_sock, read, template, console))


def _make_template(
    settings: Settings, sockets: Sequence[socket.socket], console: Console
) -> "Template":
    """Import all that calls need, and return what processes are forked of that have it.

    Raises:
        ParlanteError: If a bot or one of its services cannot be used.
    """
    with console.status("loading"), quick_start():
        import runner.app  # noqa: F401
        from bots.resources import check_bots
        from runner.launchers.template import Template
        from runner.launchers.worker import work

        check_bots(settings)
    # The display of what is being loaded has a thread.
    return Template(work, unwanted=sockets)


async def _serve(
    settings: Settings,
    sock: socket.socket,
    worker_sock: socket.socket,
    read: Callable[[], Settings],
    template: "Template | None",
    console: Console,
) -> None:
    with console.status("loading") as status:
        from runner.auth import check_exposure

        is_open = await check_exposure(settings)
        async with running(
            settings,
            sock,
            lambda what: status.update(f"loading {what}"),
            read=read,
            template=template,
            worker_sock=worker_sock,
        ) as serving:
            status.stop()
            host = sock.getsockname()[0]
            ports = _port(sock), _port(worker_sock)
            _welcome(console, settings, host, *ports, is_open=is_open)
            await serving


def _port(sock: socket.socket) -> int:
    port: int = sock.getsockname()[1]
    return port


def _welcome(
    console: Console, settings: Settings, host: str, port: int, worker_port: int, *, is_open: bool
) -> None:
    address = ipaddress.ip_address(host)
    shown = "localhost" if address.is_loopback or address.is_unspecified else host
    for kind in settings.kinds:
        provider, service = settings.service(kind)
        console.print(f"  {kind}  {provider}  {service.model or service.voice or ''}", style="dim")
    who = "every program on this machine, and no other" if is_open else "whoever has a key"
    console.print(f"  open to {who}", style="dim")
    console.print(f"  watched at http://{shown}:{worker_port}/metrics", style="dim")
    console.print(f"Parlante is ready: [bold]http://{shown}:{port}[/bold]")
