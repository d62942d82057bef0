"""Serves an agent to calls of other processes, over Pipecat's bus; see `processors.agent_bus`."""

import asyncio
import uuid
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import Any, cast

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
from pipecat.pipeline.job_context import JobStatus

from processors.agent_bus import (
    BEAT_SECS,
    BUSY,
    SEND_SECS,
    Post,
    Question,
    Told,
    address_of,
    packed,
    unpacked,
)
from processors.text_agent import TextAgent
from processors.transcript import ToolCall

ANSWER_SECS = 120.0
"""How long an answer may take in all: nobody may be there to cancel it."""

REMEMBERED = 1000
"""Questions of which it is known that they were taken, so that none is answered twice."""

KEEP_SECS = 5.0
"""How long the call may take to keep a tool's call on record."""

Keep = Callable[[ToolCall], Awaitable[bool]]
"""Has the call keep a tool's call on record; returns whether it does."""


@dataclass
class _Answer:
    """An answer that is being given.

    Attributes:
        to: The call that has asked.
        job_id: Names it.
        task: Gives it.
        number: How many pieces have been sent.
        sending: Held while one is sent, so that they arrive in their order.
        records: What has become of records that the call is waited for, by call and outcome.
    """

    to: str
    job_id: str
    task: asyncio.Task[None] | None = None
    number: int = 0
    sending: asyncio.Lock = field(default_factory=asyncio.Lock)
    records: dict[tuple[str, str], asyncio.Future[bool]] = field(default_factory=dict)


class AgentServer(BusSubscriber):
    """Answers questions of many calls at once; knows of none of them what another has said.

    Args:
        served: By which name it is asked.
        post: The bus.
        make_agent: Makes what answers one question.
        max_answers: How many at once. Above, it does not say that it is free, so that others are
            asked, and where there are none the caller is told.
    """

    def __init__(
        self,
        served: str,
        post: Post,
        make_agent: Callable[[Question, Keep], TextAgent],
        *,
        max_answers: int,
    ) -> None:
        self._served = served
        self._post = post
        self._make_agent = make_agent
        self._max_answers = max_answers
        self._address = f"server:{uuid.uuid4().hex}"
        self._lifetime = AsyncExitStack()
        self._answers: dict[str, _Answer] = {}
        self._taken: deque[str] = deque(maxlen=REMEMBERED)
        self._is_closing = False

    @property
    def name(self) -> str:
        """Where it is reached, beside where all who serve the name are."""
        return self._address

    async def open(self) -> None:
        """Take questions from now on.

        Raises:
            Exception: Of the bus, if it cannot be reached.
        """
        addresses = [address_of(self._served), self._address]
        await self._post.deliver(self, addresses, self._lifetime)

    async def close(self, timeout_secs: float) -> None:
        """Take no more questions; give the answers that were begun, but not for ever."""
        self._is_closing = True
        tasks = [it.task for it in self._answers.values() if it.task]
        try:
            if tasks:
                await asyncio.wait(tasks, timeout=timeout_secs)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._lifetime.aclose()

    def accepts_bus_message(self, message: BusMessage) -> bool:
        """Take what is sent here."""
        return message.target in (self._address, address_of(self._served))

    async def on_bus_message(self, message: BusMessage) -> None:
        """Say that it is free, answer, or stop."""
        match message:
            case BusJobRequestMessage(payload=None):
                await self._offer(message)
            case BusJobRequestMessage() if message.job_id not in self._taken:
                await self._take(message)
            case BusJobUpdateMessage(
                update={"call_id": call_id, "outcome": outcome, "kept": kept}
            ) if answer := self._answers.get(message.job_id):
                record = answer.records.get((call_id, outcome))
                if record and not record.done():
                    record.set_result(kept)
            case BusJobCancelMessage() if answer := self._answers.get(message.job_id):
                assert answer.task
                answer.task.cancel()

    async def _offer(self, request: BusJobRequestMessage) -> None:
        if not self._is_free:
            logger.warning("a question is left to others")
            return
        await self._send(
            BusJobStreamStartMessage(
                source=self._address, target=request.source, job_id=request.job_id
            )
        )

    async def _take(self, request: BusJobRequestMessage) -> None:
        answer = _Answer(request.source, request.job_id)
        self._taken.append(request.job_id)
        if not self._is_free:
            # Since it said that it was.
            await self._refuse(answer, BUSY)
            return
        self._answers[request.job_id] = answer
        answer.task = asyncio.create_task(self._answer(answer, request))

    @property
    def _is_free(self) -> bool:
        return not self._is_closing and len(self._answers) < self._max_answers

    async def _answer(self, answer: _Answer, request: BusJobRequestMessage) -> None:
        beating = asyncio.create_task(self._beat(answer))
        try:
            async with asyncio.timeout(ANSWER_SECS):
                question = unpacked(request.payload or {})
                with logger.contextualize(session=question.session_id):
                    await self._think(answer, question)
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller is told
            logger.opt(exception=error).error("a question over the bus is not answered")
            await self._refuse(answer, type(error).__name__)
        finally:
            beating.cancel()
            del self._answers[answer.job_id]

    async def _think(self, answer: _Answer, question: Question) -> None:
        async def keep(call: ToolCall) -> bool:
            return await self._have_kept(answer, call)

        agent = self._make_agent(question, keep)
        chunks = agent.stream_response(question.message, cast(Any, question.history))
        try:
            async for chunk in chunks:
                await self._tell(answer, chunk)
            # The last words are not spoken before it.
            await self._send(
                BusJobStreamEndMessage(
                    source=self._address,
                    target=answer.to,
                    job_id=answer.job_id,
                    data={"number": answer.number},
                )
            )
        finally:
            # Not every iterator is a generator, and one is not closed by its reader's end.
            if aclose := getattr(chunks, "aclose", None):
                await aclose()
            await agent.aclose()

    async def _tell(self, answer: _Answer, it: Told) -> None:
        async with answer.sending:
            data = {"number": answer.number, "told": packed(it)}
            answer.number += 1
            await self._send(
                BusJobStreamDataMessage(
                    source=self._address, target=answer.to, job_id=answer.job_id, data=data
                )
            )

    async def _have_kept(self, answer: _Answer, call: ToolCall) -> bool:
        """Have a tool's call kept by the call that asked; one that is not there does not."""
        key = (call.call_id, call.outcome.value)
        record = answer.records[key] = asyncio.get_running_loop().create_future()
        try:
            await self._tell(answer, call)
            async with asyncio.timeout(KEEP_SECS):
                kept: bool = await record
            return kept
        except TimeoutError:
            return False
        finally:
            del answer.records[key]

    async def _beat(self, answer: _Answer) -> None:
        """Show that it is alive, for as long as it thinks."""
        message = BusJobUpdateMessage(source=self._address, target=answer.to, job_id=answer.job_id)
        while True:
            await asyncio.sleep(BEAT_SECS)
            # What the bus cannot take now, it may take at the next time.
            with suppress(Exception):
                await self._send(message)

    async def _refuse(self, answer: _Answer, why: str) -> None:
        with suppress(Exception):
            await self._send(
                BusJobResponseMessage(
                    source=self._address,
                    target=answer.to,
                    job_id=answer.job_id,
                    status=JobStatus.ERROR,
                    response={"error": why},
                )
            )

    async def _send(self, message: BusMessage) -> None:
        async with asyncio.timeout(SEND_SECS):
            await self._post.send(message)
