"""A process that has imported everything, and of which the processes of calls are forked.

Imports take seconds; a fork takes milliseconds, and shares their memory. The template has to be
made while there is but one thread: a fork takes along the locks of the others, which nobody opens.
(OpenBLAS, which numpy brings, has one of its own, and sees to that itself.)
"""

import asyncio
import gc
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from typing import NoReturn

import numpy as np
import psutil
from loguru import logger

from runner.errors import ProcessUnavailable

FORK_SECS = 10.0
"""How long a fork may take on a busy machine."""

EXIT_SECS = 5.0
"""How long processes may take to end when the service is gone."""

PID_BYTES = 4

TOLD_ALL = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that a terminal or systemd sends to all processes of a service, which sees to its calls
itself. To ignore them would be inherited by the programs that bots start."""


class Template:
    """The template, as the service sees it; to be made before there are threads.

    Args:
        work: What a forked process does with its end of a socket pair; it ends when that returns.
        unwanted: Sockets of the service that are none of their business.
    """

    def __init__(
        self, work: Callable[[socket.socket], None], unwanted: Sequence[socket.socket] = ()
    ) -> None:
        self._control, theirs = socket.socketpair()
        self._forking = asyncio.Lock()
        self._is_lost = False
        # Memory is shared until somebody writes to it, as the search for garbage does.
        gc.collect()
        gc.freeze()
        if os.fork() == 0:
            for sock in (self._control, *unwanted):
                sock.close()
            _run(lambda: _serve(theirs, work))
        theirs.close()
        self._control.settimeout(FORK_SECS)

    async def fork(self, sock: socket.socket) -> psutil.Process:
        """Start a process.

        If the template has died, the service is told to stop, as by SIGTERM: whoever has started it
        starts it again.

        Args:
            sock: The end of a socket pair that it is given; it stays open here.

        Raises:
            ProcessUnavailable: If that fails.
        """
        async with self._forking:
            pid = await asyncio.to_thread(self._fork, sock)
        try:
            return psutil.Process(pid)
        except psutil.NoSuchProcess as error:
            raise ProcessUnavailable("the process of a bot has died at once") from error

    def _fork(self, sock: socket.socket) -> int:
        try:
            socket.send_fds(self._control, [b"f"], [sock.fileno()])
            answer = self._control.recv(PID_BYTES)
        except OSError:
            answer = b""
        if not answer:
            if not self._is_lost:
                # A second signal would not let the calls under way end.
                self._is_lost = True
                logger.critical("there can be no more processes for calls: the service has to end")
                signal.raise_signal(signal.SIGTERM)
            raise ProcessUnavailable("no process can be started any more")
        if not (pid := int.from_bytes(answer)):
            raise ProcessUnavailable("no process can be started: the system has no room for it")
        return pid


def _serve(control: socket.socket, work: Callable[[socket.socket], None]) -> None:
    """Fork a process for each socket that comes, until the service is gone."""
    living: set[int] = set()
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    for number in (*TOLD_ALL, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    while True:
        ready, _, _ = select.select([control.fileno(), woken], [], [])
        if woken in ready:
            os.read(woken, 1024)
            living -= _bury()
        if control.fileno() not in ready:
            continue
        order, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if not order:
            return _end(living)
        os.set_inheritable(descriptors[0], False)
        with socket.socket(fileno=descriptors[0]) as sock:
            try:
                pid = os.fork()
            except OSError:
                pid = 0
            else:
                if not pid:
                    _become(sock, work, (control.detach(), woken, wake))
        if pid:
            living.add(pid)
        control.send(pid.to_bytes(PID_BYTES))


def _become(
    sock: socket.socket, work: Callable[[socket.socket], None], unwanted: Sequence[int]
) -> NoReturn:
    """Turn from the template into one of its processes."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for descriptor in unwanted:
        os.close(descriptor)
    # Or all bots that use it would draw the same.
    np.random.seed()
    _run(lambda: work(sock))


def _end(living: set[int]) -> None:
    """See the processes end, which know that the service is gone, and kill those that do not."""
    deadline = time.monotonic() + EXIT_SECS
    while living and time.monotonic() < deadline:
        time.sleep(0.1)
        living = living - _bury()
    for pid in living:
        os.kill(pid, signal.SIGKILL)


def _bury() -> set[int]:
    """See to the processes that have ended, and tell in the log of those that have died."""
    ended: set[int] = set()
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if not pid:
            return ended
        ended.add(pid)
        if code := os.waitstatus_to_exitcode(status):
            cause = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            logger.error("the process {} of a bot has died: {}", pid, cause)


def _run(program: Callable[[], None]) -> NoReturn:
    """Do what this process is for, and end it: nothing may go on that was begun before the fork."""
    code = 1
    try:
        program()
        code = 0
    except BaseException:  # noqa: BLE001 - there is nobody else to tell
        logger.exception("a process for bots has failed")
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
