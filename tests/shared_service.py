"""A service that tests share, one after the other, since its start takes longer than most of them.

Whoever tests starts, settings of the whole service or ends has one alone: see `run_service`.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace

import pytest

from tests.service import Service, run_service, until_no_session

FREE_SECS = 20


class SharedService:
    """Is started for the first test, and anew for the one after a test that has failed.

    So no test comes upon what a failure has left behind.

    Args:
        folders: Where the folders of the service are made.
        environment: Its variables.
        *arguments: Its arguments.
    """

    def __init__(
        self, folders: pytest.TempPathFactory, environment: Mapping[str, str], *arguments: str
    ) -> None:
        self._folders = folders
        self._environment = environment
        self._arguments = arguments
        self._stack = ExitStack()
        self._running: Service | None = None

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[Service]:
        """Yield the service, with a log that begins here; it is to be left without a session."""
        service = self._running or self._start()
        try:
            yield replace(service, logged_before=len(service.log))
            await until_no_session(service.url, timeout=FREE_SECS)
        except BaseException:
            service.process.kill()
            self.close()
            raise

    def close(self) -> None:
        """Stop the service, if it runs."""
        self._running = None
        self._stack.close()

    def _start(self) -> Service:
        folder = self._folders.mktemp("service")
        running = run_service(folder, *self._arguments, environment=self._environment)
        self._running = self._stack.enter_context(running)
        return self._running
