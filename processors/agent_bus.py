"""An agent that answers in another process, reached over Pipecat's bus by Pipecat's job messages.

A question takes three steps: it is asked of all who serve a name who is free, then put to the first
of them, who streams its answer back and shows meanwhile that it is alive. This is the side of the
call; the other one is `processors.agent_server`.

No `WorkerRunner` is on such a bus: it would end when any other one on it asks its own to.
"""

import asyncio
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, suppress
from dataclasses import dataclass, field
from typing import Any, Protocol, get_args

from loguru import logger
from pipecat.bus.messages import (
    BusJobCancelMessage,
    BusJobRequestMessage,
    BusJobResponseMessage,
    BusJobStreamDataMessage,
    BusJobStreamEndMessage,
    BusJobStreamStartMessage,
    BusJobUpdateMessage,
    BusMessage,
)
from pipecat.bus.subscriber import BusSubscriber
from pipecat.processors.aggregators.llm_context import LLMStandardMessage
from pydantic import TypeAdapter

from processors.text_agent import AgentFailed, Chunk
from processors.transcript import ToolCall

FIND_SECS = 2.0
"""How long it may take until somebody says that they are free."""

BEAT_SECS = 0.5
"""How often who answers shows that they are alive."""

LOST_SECS = 3.0
"""After how long without anything from them they are given up."""

SEND_SECS = 2.0
"""How long a message may take to the bus."""

MAX_WAITING = 2000
"""Messages of an answer that wait to be taken; what comes beyond is lost, which is noticed."""

BUSY = "busy"
"""The error of who has offered to answer, and has too much to do by now."""


class Post(Protocol):
    """A bus on which each message goes to its target, and to nobody else."""

    async def send(self, message: BusMessage) -> None:
        """Send a message to its target, where it may arrive twice.

        Raises:
            Exception: Of the bus, if it cannot be reached.
        """

    async def deliver(
        self, subscriber: BusSubscriber, addresses: Sequence[str], lifetime: AsyncExitStack
    ) -> None:
        """Have a subscriber get what is sent to some addresses.

        Args:
            subscriber: Who gets it.
            addresses: To which.
            lifetime: Ends it.
        """

    async def aclose(self) -> None:
        """Free what sending uses, until something is sent again."""


@dataclass(frozen=True)
class Question:
    """What an agent in another process is asked.

    Attributes:
        session_id: Names the conversation.
        message: See `TextAgent`.
        history: The same.
        colleagues: Whom it may hand over to, by name, and what they are for.
    """

    session_id: str
    message: str
    history: list[dict[str, Any]]
    colleagues: dict[str, str] = field(default_factory=dict)


Told = Chunk | ToolCall
"""What comes back: what an agent gives out, and calls of tools that are to be kept on record, which
wait for that."""

_FORMS: Mapping[str, TypeAdapter[Any]] = {
    form.__name__: TypeAdapter(form) for form in (Question, *get_args(Told))
}


def packed(value: Question | Told) -> dict[str, str]:
    """Return a value as a payload of Pipecat's.

    Its JSON is a text, because Pipecat's serializer makes objects of what looks like them, and a
    tool's arguments are anything.
    """
    form = type(value).__name__
    text = _FORMS[form].serializer.to_json(value, fallback=str)
    return {"form": form, "json": text.decode()}


def unpacked(payload: Mapping[str, Any]) -> Any:
    """Return the value of a payload.

    Raises:
        ValueError: If it is none.
    """
    form = _FORMS.get(payload.get("form", ""))
    if not form:
        raise ValueError(f"not a message of this version: {payload.get('form')}")
    return form.validate_json(payload["json"])


def address_of(name: str) -> str:
    """Return where all who serve a name are reached."""
    return f"specialist:{name}"


class _Busy(Exception):
    """Who is asked has too much to do."""


class RemoteAgent(BusSubscriber):
    """A `TextAgent` that has another process answer.

    Args:
        served: By which name that serves it.
        post: The bus; closed with this.
        session_id: Names the conversation.
        colleagues: Whom it may hand over to, by name, and what they are for.
        keep: Keeps the call of a tool on record; returns whether it could.
    """

    def __init__(
        self,
        served: str,
        post: Post,
        *,
        session_id: str,
        colleagues: Mapping[str, str],
        keep: Callable[[ToolCall], Awaitable[bool]],
    ) -> None:
        self._served = served
        self._post = post
        self._session_id = session_id
        self._colleagues = dict(colleagues)
        self._keep = keep
        # Of each call its own: nobody else gets what is answered here.
        self._address = f"call:{uuid.uuid4().hex}"
        self._lifetime: AsyncExitStack | None = None
        self._job_id = ""
        self._offers: asyncio.Queue[str] = asyncio.Queue()
        self._came: asyncio.Queue[BusMessage] = asyncio.Queue()
        # Who was asked and has not told the end, and what is done about that.
        self._who: str | None = None
        self._parting: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        """Where it is reached."""
        return self._address

    def accepts_bus_message(self, message: BusMessage) -> bool:
        """Take what belongs to the answer that is waited for."""
        return message.target == self._address and getattr(message, "job_id", None) == self._job_id

    async def on_bus_message(self, message: BusMessage) -> None:
        """Have a message wait for whoever is asked next."""
        try:
            if isinstance(message, BusJobStreamStartMessage):
                self._offers.put_nowait(message.source)
            else:
                self._came.put_nowait(message)
        except asyncio.QueueFull:
            logger.warning("an answer over the bus is not taken fast enough")

    async def stream_response(
        self, message: str, history: Sequence[LLMStandardMessage]
    ) -> AsyncIterator[Chunk]:
        """Ask whoever is free; see `TextAgent`.

        Raises:
            AgentFailed: If nobody answers, or they fail in the midst of it.
            Exception: Of the bus, if it cannot be reached.
        """
        await self._parted()
        question = Question(self._session_id, message, [{**it} for it in history], self._colleagues)
        self._job_id, self._who = uuid.uuid4().hex, None
        self._offers, self._came = asyncio.Queue(MAX_WAITING), asyncio.Queue(MAX_WAITING)
        try:
            await self._listen()
            async with aclosing(self._answer(question)) as answer:
                async for chunk in answer:
                    yield chunk
        except BaseException as error:
            # A network that is dead takes long, and nobody is to wait for that: neither who has
            # interrupted, nor who is to be told of a failure. That may be of the bus.
            parting = self._part(begins_anew=isinstance(error, Exception))
            self._parting = asyncio.create_task(parting)
            raise

    async def aclose(self) -> None:
        """Listen no more."""
        await self._parted()
        await self._close()

    async def _part(self, *, begins_anew: bool) -> None:
        """Have who was asked stop, and the next question begin with a bus that is new."""
        if who := self._who:
            with suppress(Exception):
                await self._send(
                    BusJobCancelMessage(source=self._address, target=who, job_id=self._job_id)
                )
        if begins_anew:
            await self._close()

    async def _parted(self) -> None:
        if self._parting:
            await asyncio.wait({self._parting})

    async def _close(self) -> None:
        lifetime, self._lifetime = self._lifetime, None
        if lifetime:
            await lifetime.aclose()
        await self._post.aclose()

    async def _listen(self) -> None:
        if self._lifetime:
            return
        lifetime = AsyncExitStack()
        try:
            async with asyncio.timeout(FIND_SECS):
                await self._post.deliver(self, [self._address], lifetime)
        except TimeoutError:
            raise AgentFailed("the bus cannot be reached") from None
        self._lifetime = lifetime

    async def _answer(self, question: Question) -> AsyncGenerator[Chunk, None]:
        """Have the first one answer who offers to, and whom nobody else has asked meanwhile."""
        until = asyncio.get_running_loop().time() + FIND_SECS
        await self._send(
            BusJobRequestMessage(
                source=self._address, target=address_of(self._served), job_id=self._job_id
            )
        )
        asked: set[str] = set()
        while True:
            who = await self._offer(until)
            if who in asked:
                # An offer that has come twice.
                continue
            asked.add(who)
            with suppress(_Busy):
                async with aclosing(self._ask(who, question)) as answer:
                    async for chunk in answer:
                        yield chunk
                return

    async def _offer(self, until: float) -> str:
        """Return who offers to answer."""
        try:
            async with asyncio.timeout_at(until):
                return await self._offers.get()
        except TimeoutError:
            raise AgentFailed(f"nobody on the bus is free to answer as '{self._served}'") from None

    async def _ask(self, who: str, question: Question) -> AsyncGenerator[Chunk, None]:
        """Have one answer.

        Raises:
            _Busy: If they cannot.
            AgentFailed: If they fail.
        """
        self._who = who
        await self._send(
            BusJobRequestMessage(
                source=self._address, target=who, job_id=self._job_id, payload=packed(question)
            )
        )
        async with aclosing(self._told_by(who)) as told:
            async for it in told:
                if isinstance(it, ToolCall):
                    await self._put_on_record(who, it)
                else:
                    yield it
        self._who = None

    async def _told_by(self, who: str) -> AsyncGenerator[Told, None]:
        """Give what comes back, without a gap and each piece once, until the answer is over."""
        number = 0
        while True:
            try:
                async with asyncio.timeout(LOST_SECS):
                    message = await self._came.get()
            except TimeoutError:
                raise AgentFailed(f"'{self._served}' is lost in the midst of an answer") from None
            if message.source != who:
                continue
            match message:
                case BusJobStreamDataMessage(data={"number": n, "told": told}) if n == number:
                    number += 1
                    yield unpacked(told)
                case BusJobStreamEndMessage(data={"number": n}) if n == number:
                    return
                case BusJobStreamDataMessage(data={"number": n}) if n < number:
                    continue
                case BusJobStreamDataMessage() | BusJobStreamEndMessage():
                    raise AgentFailed(f"a piece of an answer of '{self._served}' is lost")
                case BusJobResponseMessage(response={"error": error}) if error == BUSY:
                    raise _Busy
                case BusJobResponseMessage(response=response):
                    raise AgentFailed(f"'{self._served}' has failed: {response}")

    async def _put_on_record(self, who: str, call: ToolCall) -> None:
        kept = await self._keep(call)
        update = {"call_id": call.call_id, "outcome": call.outcome.value, "kept": kept}
        await self._send(
            BusJobUpdateMessage(
                source=self._address, target=who, job_id=self._job_id, update=update
            )
        )

    async def _send(self, message: BusMessage) -> None:
        async with asyncio.timeout(SEND_SECS):
            await self._post.send(message)
