"""The service: puts routes, errors, limits and the client together."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from importlib.resources import files
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.routing import Match, Mount

from bots.errors import ParlanteError
from bots.resources import Resources, reconfigured
from bots.settings import Settings
from runner.api import (
    config,
    daily,
    events,
    openai_realtime,
    ops,
    protocols,
    rtvi,
    sessions,
    telephony,
)
from runner.api.body_limit import BodyLimit
from runner.api.worker_port import WorkerPort
from runner.auth import Gate, is_loopback
from runner.errors import (
    InvalidRequest,
    error_body,
    http_headers,
    http_status,
    is_retryable,
)
from runner.keeper import Keeper
from runner.launchers.template import Template
from runner.rooms.phone import PhoneCalls
from runner.sessions import SessionManager
from runner.store import Store
from runner.watchdog import watch_event_loop, watch_load, watch_memory

CLIENT_DIR = Path(__file__).parent.parent / "client" / "dist"
MAX_BODY_BYTES = 1024 * 1024
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


def create_app(
    resources: Resources,
    *,
    own_key: str | None = None,
    template: Template | None = None,
    worker_port: int | None = None,
    client_dir: Path = CLIENT_DIR,
) -> FastAPI:
    """Build the service.

    Args:
        resources: What calls share; opened before and closed after.
        own_key: Lets in whoever has started the service; None for none.
        template: What a process for each call is forked of; None to hold all in this process.
        worker_port: Where only those who watch the service get in; None for nowhere.
        client_dir: The built client, served at `/`; if it is missing, Pipecat's is.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        store = app.state.store = Store(resources.database)
        await store.open()
        server = resources.settings.server
        app.state.gate = Gate(
            store,
            server.jwt,
            may_be_open=is_loopback(server.host),
            own_key=own_key,
            allowed_origins=server.allowed_origins,
        )
        manager = app.state.sessions = SessionManager(resources, store, template)
        watchdogs = (
            asyncio.create_task(watch_event_loop(manager.lagged)),
            asyncio.create_task(watch_load(manager.loaded)),
            asyncio.create_task(
                watch_memory(
                    lambda: app.state.resources.settings.voice.realtime.worker,
                    stop=manager.ask_to_drain,
                )
            ),
        )
        keeper = Keeper(manager, store)
        keeping = asyncio.create_task(keeper.keep())
        courier = asyncio.create_task(manager.outbox.deliver())
        try:
            yield
        finally:
            keeper.close()
            await manager.close()
            await manager.outbox.close()
            for watchdog in watchdogs:
                watchdog.cancel()
            await asyncio.gather(*watchdogs, keeping, courier, return_exceptions=True)

    app = FastAPI(title="Parlante", lifespan=lifespan)
    app.state.resources = resources
    app.state.phone_calls = PhoneCalls()
    app.add_middleware(BodyLimit, max_bytes=MAX_BODY_BYTES)
    if origins := resources.settings.server.allowed_origins:
        app.add_middleware(
            CORSMiddleware, allow_origins=origins, allow_methods=["*"], allow_headers=["*"]
        )
    if worker_port is not None:
        app.add_middleware(WorkerPort, port=worker_port)
    _handle_errors(app)
    # Before the others: these would take its paths for tokens.
    app.include_router(protocols.router)
    app.include_router(openai_realtime.router)
    app.include_router(rtvi.router)
    app.include_router(daily.router)
    for provider in resources.settings.voice.realtime.telephony.providers:
        app.include_router(telephony.make_router(provider))
    app.include_router(sessions.router)
    app.include_router(config.router)
    app.include_router(events.router)
    app.include_router(ops.router)
    prebuilt = files("pipecat_ai_prebuilt") / "client" / "dist"
    app.mount("/client", StaticFiles(directory=str(prebuilt), html=True))
    if client_dir.is_dir():
        app.mount("/", StaticFiles(directory=client_dir, html=True))
    else:

        @app.get("/", include_in_schema=False)
        async def to_prebuilt() -> Response:
            return RedirectResponse("/client/")

    return app


async def reconfigure(app: FastAPI, settings: Settings) -> None:
    """Have sessions that are started from now on go by other settings.

    Raises:
        ParlanteError: If they cannot be used; all is as it was then.
    """
    resources = await asyncio.to_thread(reconfigured, app.state.resources, settings)
    # New bots may bring tables.
    await resources.desk.open()
    app.state.resources = resources
    app.state.sessions.reconfigure(resources)


def _methods_of(app: FastAPI, request: Request) -> list[str]:
    """Return the methods that the path of a request is there for; none, if it is of no route."""
    routes = [route for route in app.routes if not isinstance(route, Mount)]
    return [
        method
        for method in METHODS
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL for route in routes
        )
    ]


def _handle_errors(app: FastAPI) -> None:
    """Give every error the one shape."""

    @app.exception_handler(ParlanteError)
    async def on_known(_request: Request, error: ParlanteError) -> JSONResponse:
        return JSONResponse(
            error_body(error.code, error.message, retryable=is_retryable(error)),
            http_status(type(error)),
            http_headers(error),
        )

    @app.exception_handler(RequestValidationError)
    async def on_invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
            for problem in error.errors()
        )
        return await on_known(request, InvalidRequest(problems))

    @app.exception_handler(HTTPException)
    async def on_http(request: Request, error: HTTPException) -> JSONResponse:
        if error.status_code == HTTPStatus.BAD_REQUEST:
            # A body that is no text at all.
            return await on_known(request, InvalidRequest(str(error.detail)))
        methods = _methods_of(app, request)
        if methods and request.method not in methods:
            # Whichever route came first has answered for itself alone, or the client's files have.
            error = HTTPException(
                HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": ", ".join(methods)}
            )
        code = str(error.detail).upper().replace(" ", "_")
        body = error_body(code, str(error.detail), retryable=False)
        return JSONResponse(body, error.status_code, error.headers)

    @app.exception_handler(Exception)
    async def on_unknown(_request: Request, _error: Exception) -> JSONResponse:
        message = "something went wrong here: the log of the service says what"
        return JSONResponse(error_body("INTERNAL_ERROR", message, retryable=False), 500)
