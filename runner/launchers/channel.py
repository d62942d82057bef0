"""Calls between two processes of one machine, in both directions, over a socket of their own."""

import asyncio
import pickle
import socket
from dataclasses import dataclass
from itertools import count
from typing import Any

from loguru import logger

from bots.errors import ParlanteError
from runner.errors import ProcessUnavailable

SIZE_BYTES = 4
"""Of the length that stands before each message, big-endian."""


class ChannelClosed(ProcessUnavailable):
    """The process at the other end is gone."""


@dataclass(frozen=True)
class _Question:
    number: int
    name: str
    arguments: tuple[Any, ...]


@dataclass(frozen=True)
class _Reply:
    number: int
    value: Any = None
    error: ParlanteError | None = None


class Channel:
    """Asks the process at the other end, and answers what that asks. Use `open` to make one.

    Messages are pickled: both ends are of this service, and nobody else can reach the socket. None
    waits here, because whoever asks waits for the answer.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._numbers = count()
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._is_open = True

    @classmethod
    async def open(cls, sock: socket.socket) -> "Channel":
        """Make one of an end of a `socketpair`, which is closed when `serve` ends."""
        return cls(*await asyncio.open_connection(sock=sock))

    async def send(self, message: object) -> None:
        """Send something that the other side waits for.

        Raises:
            ChannelClosed: If the other side is gone.
        """
        data = pickle.dumps(message)
        try:
            self._writer.write(len(data).to_bytes(SIZE_BYTES) + data)
            await self._writer.drain()
        except ConnectionError as error:
            raise _closed() from error

    async def receive(self) -> Any:
        """Wait for what the other side sends; not while `serve` runs.

        Raises:
            ChannelClosed: If the other side is gone, or goes meanwhile.
        """
        try:
            size = int.from_bytes(await self._reader.readexactly(SIZE_BYTES))
            return pickle.loads(await self._reader.readexactly(size))
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise _closed() from error

    async def serve(self, answers: object) -> None:
        """Answer until the other side is gone, or the task is cancelled.

        Args:
            answers: Its coroutines are what the other side may ask for. A `ParlanteError` of theirs
                is raised over there; of any other error the log here tells, and over there is
                raised that there was one.
        """
        try:
            async with asyncio.TaskGroup() as answering:
                while True:
                    message = await self.receive()
                    if isinstance(message, _Question):
                        answering.create_task(self._reply_to(message, answers))
                    elif (asked := self._asked.get(message.number)) and not asked.done():
                        if message.error:
                            asked.set_exception(message.error)
                        else:
                            asked.set_result(message.value)
        except* ChannelClosed:
            pass
        finally:
            self._is_open = False
            self._writer.close()
            for asked in self._asked.values():
                if not asked.done():
                    asked.set_exception(_closed())

    async def ask(self, name: str, *arguments: Any) -> Any:
        """Have the other side do something, and return what that gives.

        Raises:
            ChannelClosed: If the other side is gone, or goes meanwhile.
            ParlanteError: As the other side raises it.
        """
        if not self._is_open:
            raise _closed()
        number = next(self._numbers)
        asked = self._asked[number] = asyncio.get_running_loop().create_future()
        try:
            await self.send(_Question(number, name, arguments))
            return await asked
        finally:
            del self._asked[number]

    async def _reply_to(self, question: _Question, answers: object) -> None:
        try:
            value = await getattr(answers, question.name)(*question.arguments)
            reply = _Reply(question.number, value)
        except ChannelClosed:
            raise
        except ParlanteError as error:
            reply = _Reply(question.number, error=error)
        except Exception:  # noqa: BLE001 - the call goes on
            logger.exception("'{}' failed", question.name)
            message = "something went wrong here: the log of the service says what"
            reply = _Reply(question.number, error=ParlanteError(message))
        await self.send(reply)


def _closed() -> ChannelClosed:
    return ChannelClosed("the process of this call is gone: try again in a moment")
