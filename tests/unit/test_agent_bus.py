"""Agents that answer in another process, over Pipecat's bus within this one."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from pipecat.bus import AsyncQueueBus
from pipecat.bus.messages import (
    BusJobCancelMessage,
    BusJobResponseMessage,
    BusJobStreamDataMessage,
    BusMessage,
)
from pipecat.bus.serializers import JSONMessageSerializer
from pipecat.bus.subscriber import BusSubscriber
from pipecat.utils.asyncio.task_manager import TaskManager

from processors import agent_bus, agent_server
from processors.agent_bus import Question, RemoteAgent
from processors.agent_server import AgentServer, Keep
from processors.text_agent import AgentFailed, Chunk, Handoff, ToolFinished, ToolStarted
from processors.transcript import ToolCall, ToolOutcome

WITHIN_SECS = 10
HISTORY: list[Any] = [
    {"role": "user", "content": "Hello."},
    {"role": "assistant", "content": "Hello, this is Robin."},
]
SAME_AS_A_TYPE = {"__type__": "pathlib.Path", "__data__": {"a": 1}}
"""What Pipecat's serializer would make an object of."""


class LocalPost:
    """Sends what arrives, as it would arrive over a network.

    Attributes:
        loses: Tells which messages are lost.
        times: How often all others arrive.
        sent: All that were not.
        is_up: Set while there is a network; messages wait for it.
    """

    def __init__(self) -> None:
        self.loses: Callable[[BusMessage], bool] = lambda _: False
        self.times = 1
        self.sent: list[BusMessage] = []
        self.is_up = asyncio.Event()
        self.is_up.set()
        self._bus = AsyncQueueBus()
        self._serializer = JSONMessageSerializer()

    async def start(self) -> None:
        await self._bus.setup(TaskManager(loop=asyncio.get_running_loop()))
        await self._bus.start()

    async def stop(self) -> None:
        await self._bus.stop()

    async def send(self, message: BusMessage) -> None:
        arrived = self._serializer.deserialize(self._serializer.serialize(message))
        assert arrived
        await self.is_up.wait()
        if not self.loses(arrived):
            self.sent.append(arrived)
            for _ in range(self.times):
                await self._bus.send(arrived)

    async def deliver(
        self, subscriber: BusSubscriber, _addresses: Sequence[str], lifetime: AsyncExitStack
    ) -> None:
        await self._bus.subscribe(subscriber)
        lifetime.push_async_callback(self._bus.unsubscribe, subscriber)
        lifetime.push_async_callback(self.is_up.wait)

    async def aclose(self) -> None:
        pass


Answer = Callable[[Question, Keep], AsyncIterator[Chunk]]


@dataclass
class Scripted:
    """A `TextAgent` that does what it is told to."""

    chunks: AsyncIterator[Chunk]
    may_close: asyncio.Event
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    def stream_response(self, _message: str, _history: Sequence[Any]) -> AsyncIterator[Chunk]:
        return self.chunks

    async def aclose(self) -> None:
        await self.may_close.wait()
        self.closed.set()


@dataclass
class Served:
    """Servers of one name, and the bus between them and calls.

    Attributes:
        post: The bus.
        servers: Those who serve.
        agents: What has answered, or does.
        kept: Calls of tools that were kept on record.
        keeps: Whether they are.
        may_close: Set while agents may be done with what they tidy up.
    """

    post: LocalPost
    servers: list[AgentServer] = field(default_factory=list)
    agents: list[Scripted] = field(default_factory=list)
    kept: list[ToolCall] = field(default_factory=list)
    keeps: bool = True
    may_close: asyncio.Event = field(default_factory=asyncio.Event)

    async def keep(self, call: ToolCall) -> bool:
        self.kept.append(call)
        return self.keeps

    def agent(self, session_id: str = "s") -> RemoteAgent:
        return RemoteAgent(
            "sales",
            self.post,
            session_id=session_id,
            colleagues={"switchboard": "All else."},
            keep=self.keep,
        )


@asynccontextmanager
async def serving(answer: Answer, *, max_answers: int = 2, servers: int = 1) -> Any:
    post = LocalPost()
    await post.start()
    served = Served(post)
    served.may_close.set()

    def make(question: Question, keep: Keep) -> Scripted:
        served.agents.append(Scripted(answer(question, keep), served.may_close))
        return served.agents[-1]

    for _ in range(servers):
        served.servers.append(AgentServer("sales", post, make, max_answers=max_answers))
        await served.servers[-1].open()
    try:
        async with asyncio.timeout(WITHIN_SECS):
            yield served
    finally:
        post.is_up.set()
        for server in served.servers:
            await server.close(0)
        await post.stop()


async def ask(agent: RemoteAgent, message: str = "What does it cost?") -> list[Chunk]:
    return [chunk async for chunk in agent.stream_response(message, HISTORY)]


async def say(words: str) -> AsyncIterator[Chunk]:
    for word in words.split():
        yield f"{word} "


async def never(_question: Question, _keep: Keep) -> AsyncIterator[Chunk]:
    yield "Well, "
    await asyncio.Event().wait()


async def test_all_that_an_agent_gives_out_comes_back_in_its_order() -> None:
    asked = []
    everything: list[Chunk] = [
        "One moment. ",
        ToolStarted("c1", "note_order", {"units": 3, "odd": SAME_AS_A_TYPE}),
        ToolFinished("c1", {"order": "Q-1", "at": [1.5, None], "odd": SAME_AS_A_TYPE}),
        ToolStarted("c2", "note_order", {}),
        ToolFinished("c2", "CANCELLED", "it was given up"),
        "Höchstens 20 €. ",
        Handoff("switchboard", "all is said"),
    ]

    async def answer(question: Question, _keep: Keep) -> AsyncIterator[Chunk]:
        asked.append(question)
        for chunk in everything:
            yield chunk

    async with serving(answer) as served:
        agent = served.agent()
        assert await ask(agent) == everything
        assert await ask(agent, "") == everything
        await agent.aclose()
        for it in served.agents:
            await it.closed.wait()
    colleagues = {"switchboard": "All else."}
    assert asked == [
        Question("s", "What does it cost?", HISTORY, colleagues),
        Question("s", "", HISTORY, colleagues),
    ]


async def test_an_answer_is_over_before_its_agent_has_tidied_up() -> None:
    async with serving(lambda *_: say("20 euros.")) as served:
        served.may_close.clear()
        assert await ask(served.agent()) == ["20 ", "euros. "]
        [answering] = served.agents
        assert not answering.closed.is_set()
        served.may_close.set()


async def test_what_arrives_twice_is_taken_once() -> None:
    async with serving(lambda *_: say("It costs 20 euros.")) as served:
        served.post.times = 2
        agent = served.agent()
        for _ in range(2):
            assert await ask(agent) == ["It ", "costs ", "20 ", "euros. "]
        assert len(served.agents) == 2


async def test_calls_at_once_hear_each_only_its_own_answer() -> None:
    both = asyncio.Barrier(2)

    async def answer(question: Question, _keep: Keep) -> AsyncIterator[Chunk]:
        for _ in range(20):
            await both.wait()
            yield question.session_id

    async with serving(answer) as served:
        one, other = await asyncio.gather(ask(served.agent("a")), ask(served.agent("b")))
    assert (one, other) == (["a"] * 20, ["b"] * 20)


async def test_a_question_is_put_to_one_of_those_who_serve() -> None:
    async with serving(lambda *_: say("20 euros."), servers=3) as served:
        assert await ask(served.agent()) == ["20 ", "euros. "]
        assert len(served.agents) == 1


async def test_who_has_enough_to_do_leaves_a_question_to_others() -> None:
    async with serving(never, max_answers=1, servers=2) as served:
        agents = [served.agent() for _ in range(2)]
        busy = [agent.stream_response("?", []) for agent in agents]
        assert [await anext(it) for it in busy] == ["Well, ", "Well, "]
        assert len(served.agents) == 2
        with pytest.raises(AgentFailed, match="nobody on the bus is free"):
            await ask(served.agent())
        for it in busy:
            await it.aclose()
        for agent in agents:
            await agent.aclose()


async def test_who_was_asked_by_others_meanwhile_is_not_the_only_one_who_has_offered() -> None:
    both = asyncio.Barrier(2)

    async def answer(question: Question, _keep: Keep) -> AsyncIterator[Chunk]:
        await both.wait()
        yield question.session_id

    async with serving(answer, max_answers=1, servers=2) as served:
        # All are offered both of those who serve, and take the first.
        answers = await asyncio.gather(ask(served.agent("a")), ask(served.agent("b")))
        refused = [it for it in served.post.sent if isinstance(it, BusJobResponseMessage)]
    assert answers == [["a"], ["b"]]
    assert len(refused) == 1


async def test_who_is_interrupted_has_the_other_side_stop() -> None:
    async with serving(never) as served:
        agent = served.agent()
        chunks = agent.stream_response("?", [])
        assert await anext(chunks) == "Well, "
        await chunks.aclose()
        await agent.aclose()
        await served.agents[0].closed.wait()
        [cancel] = [it for it in served.post.sent if isinstance(it, BusJobCancelMessage)]
        assert cancel.target == served.servers[0].name


@pytest.mark.parametrize("kept", [True, False])
async def test_a_tool_waits_until_the_call_has_it_on_record(kept: bool) -> None:
    record = ToolCall(
        "c1", "note_order", ToolOutcome.RUNNING, datetime.now(UTC), arguments={"units": 3}
    )

    async def answer(_question: Question, keep: Keep) -> AsyncIterator[Chunk]:
        yield str(await keep(record))

    async with serving(answer) as served:
        served.keeps = kept
        assert await ask(served.agent()) == [str(kept)]
        assert served.kept == [record]


async def test_what_a_call_that_is_gone_was_asked_to_keep_is_not_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(agent_server, "KEEP_SECS", 0.05)
    record = ToolCall("c1", "note_order", ToolOutcome.RUNNING, datetime.now(UTC))
    results = asyncio.Queue[bool]()

    async def answer(_question: Question, keep: Keep) -> AsyncIterator[Chunk]:
        yield "Well, "
        results.put_nowait(await keep(record))

    async with serving(answer) as served:
        agent = served.agent()
        chunks = agent.stream_response("?", [])
        await anext(chunks)
        assert await results.get() is False
        await chunks.aclose()
        await agent.aclose()


async def test_a_failure_there_is_one_here() -> None:
    async def answer(_question: Question, _keep: Keep) -> AsyncIterator[Chunk]:
        yield "Well, "
        raise ValueError("secret")

    async with serving(answer) as served:
        with pytest.raises(AgentFailed, match=r"'sales' has failed.*ValueError") as failed:
            await ask(served.agent())
    assert "secret" not in str(failed.value)


async def test_a_lost_piece_is_a_failure_and_the_next_answer_is_whole() -> None:
    async with serving(lambda *_: say("20 euros.")) as served:
        agent = served.agent()
        served.post.loses = lambda it: (
            isinstance(it, BusJobStreamDataMessage) and bool(it.data) and it.data["number"] == 0
        )
        with pytest.raises(AgentFailed, match="a piece of an answer"):
            await ask(agent)
        served.post.loses = lambda _: False
        assert await ask(agent) == ["20 ", "euros. "]


async def test_who_falls_silent_is_given_up_and_who_thinks_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(agent_bus, "LOST_SECS", 0.6)
    monkeypatch.setattr(agent_server, "BEAT_SECS", 0.02)

    async def answer(_question: Question, _keep: Keep) -> AsyncIterator[Chunk]:
        await asyncio.sleep(1.2)
        yield "Yes."

    async with serving(answer) as served:
        assert await ask(served.agent()) == ["Yes."]
        served.post.loses = lambda it: (
            it.source == served.servers[0].name and bool(getattr(it, "update", {}) is None)
        )
        with pytest.raises(AgentFailed, match="'sales' is lost"):
            await ask(served.agent())


async def test_nobody_waits_for_a_bus_that_has_gone_in_the_midst_of_an_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(agent_bus, "LOST_SECS", 0.2)
    monkeypatch.setattr(agent_bus, "SEND_SECS", 2.0)
    async with serving(never) as served:
        agent = served.agent()
        chunks = agent.stream_response("?", [])
        assert await anext(chunks) == "Well, "
        served.post.is_up.clear()
        with pytest.raises(AgentFailed, match="'sales' is lost"):
            async with asyncio.timeout(1.0):
                await anext(chunks)
        # The next question begins when what was left behind is tidied up.
        chunks = agent.stream_response("?", [])
        asking = asyncio.create_task(anext(chunks))
        await asyncio.sleep(0)
        served.post.is_up.set()
        assert await asking == "Well, "
        await served.agents[0].closed.wait()
        await chunks.aclose()
        await agent.aclose()


async def test_who_ends_gives_the_answers_that_were_begun_and_takes_no_more() -> None:
    go_on = asyncio.Event()

    async def answer(_question: Question, _keep: Keep) -> AsyncIterator[Chunk]:
        yield "20 "
        await go_on.wait()
        yield "euros."

    async with serving(answer) as served:
        chunks = served.agent().stream_response("?", [])
        assert await anext(chunks) == "20 "
        closing = asyncio.create_task(served.servers[0].close(WITHIN_SECS))
        with pytest.raises(AgentFailed, match="nobody on the bus is free"):
            await ask(served.agent())
        go_on.set()
        assert [it async for it in chunks] == ["euros."]
        await closing
