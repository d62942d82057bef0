"""LangGraph's agent over a real socket: its words, its tools, and its thread."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from bots.agents.checkpoints import Checkpoints
from bots.agents.factory import AgentCall, make_agent
from bots.agents.langgraph_agent import STEPS
from bots.cloud_clients import CloudClients
from bots.database import connect
from bots.errors import DatabaseUnavailable
from bots.local import LocalServices
from bots.local_models import loading_models
from bots.mcp_servers import McpServers
from bots.registry import Bot, load_bot
from bots.resources import Resources
from bots.settings import DEFAULT_CONFIG, load_settings
from bots.tools.desk import Desk
from processors.switchboard import TOOL
from processors.text_agent import Chunk, Handoff, TextAgent, TokensUsed, ToolFinished, ToolStarted
from processors.transcript import NOT_KNOWN, ToolCall
from tests.database import Postgres
from tests.slow_bot import BOT as SLOW_BOT
from tests.slow_bot import SECRET
from tests.standins.openai_server import OpenAIStandin, Reply, always, run_openai_standin

QUESTION = "What is Team for ten?"
QUOTE = ("quote", {"plan": "Team", "users": 10})
ANSWER = "That is one hundred and ninety dollars. For a month. Shall I write you down?"
WORD_SECS = 0.05
COLLEAGUES = {"callcenter": "What does not work.", "switchboard": "All else."}


def quote(messages: list[Any]) -> Reply:
    return ANSWER if messages[-1]["role"] == "tool" else QUOTE


@dataclass
class House:
    """Where agents are made, and what they are asked of.

    Attributes:
        openai: The language model.
        resources: What calls share.
        bot: Whose brains they are.
        recorded: What tools have done.
        is_away: Whether nothing can be recorded.
        has_recorded: Set when something was.
    """

    openai: OpenAIStandin
    resources: Resources
    bot: Bot
    recorded: list[ToolCall]
    is_away: bool = False
    has_recorded: asyncio.Event = field(default_factory=asyncio.Event)

    async def record(self, call: ToolCall) -> None:
        if self.is_away:
            raise DatabaseUnavailable("the database is away")
        self.recorded.append(call)
        self.has_recorded.set()

    @asynccontextmanager
    async def agent(
        self, thread: str = "a", colleagues: Mapping[str, str] | None = None
    ) -> AsyncIterator[TextAgent]:
        call = AgentCall(self.bot, thread, self.resources, self.record, colleagues or {})
        agent = make_agent(call)
        try:
            yield agent
        finally:
            await agent.aclose()

    async def kept(self, thread: str = "a") -> list[tuple[str, str]]:
        """Return what a thread holds: who, and what."""
        saver = await self.resources.checkpoints.saver()
        found = await saver.aget_tuple({"configurable": {"thread_id": thread}})
        assert found
        return [(m.type, m.text) for m in found.checkpoint["channel_values"]["messages"]]

    async def restart(self) -> None:
        """Close where threads are kept, and open it again."""
        await self.resources.checkpoints.close()
        checkpoints = Checkpoints(self.resources.settings)
        self.resources = replace(self.resources, checkpoints=checkpoints)

    @property
    def told(self) -> list[tuple[str, Any]]:
        """What the language model was told last, without its instructions."""
        return [(m["role"], m["content"]) for m in self.openai.chats[-1]["messages"][1:]]


@pytest.fixture
async def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    openai = OpenAIStandin(key="sk-standin", heard="", reply=quote)
    async with run_openai_standin(openai):
        monkeypatch.setenv("OPENAI_API_KEY", openai.key)
        monkeypatch.setenv("OPENAI_BASE_URL", openai.url)
        settings = load_settings(DEFAULT_CONFIG, {"data_dir": tmp_path})
        database, clients = connect(None, tmp_path), CloudClients()
        desk = Desk(database)
        await desk.open()
        nothing = dict.fromkeys(("speech", "local", "encoder"))
        resources = Resources(
            settings,
            cloud_clients=clients,
            database=database,
            desk=desk,
            checkpoints=Checkpoints(settings),
            mcp_servers=McpServers({}),
            **nothing,  # type: ignore[arg-type]
        )
        house = House(openai, resources, load_bot("sandwich", settings), [])
        yield house
        await house.resources.checkpoints.close()
        await clients.close()
        await database.dispose()


async def answer(agent: TextAgent, message: str, history: Sequence[Any] = ()) -> list[Chunk]:
    chunks = [chunk async for chunk in agent.stream_response(message, history)]
    return [chunk for chunk in chunks if not isinstance(chunk, TokensUsed)]


async def stopped(
    agent: TextAgent,
    message: str,
    at: Callable[[Chunk], bool],
    behind: asyncio.Event | None = None,
) -> None:
    """Have an answer begun, and stop it at a piece, and behind something else, if there is that."""
    reached = asyncio.Event()

    async def read() -> None:
        async for chunk in agent.stream_response(message, ()):
            if at(chunk):
                reached.set()

    reading = asyncio.create_task(read())
    await reached.wait()
    if behind:
        await behind.wait()
    await asyncio.sleep(WORD_SECS / 2)
    reading.cancel()
    await asyncio.wait({reading})


def said(role: str, words: str) -> Any:
    return {"role": role, "content": words}


def words_of(chunks: Sequence[Chunk]) -> list[str]:
    return [chunk for chunk in chunks if isinstance(chunk, str)]


async def test_words_come_one_by_one_and_tools_when_they_begin_and_end(house: House) -> None:
    house.openai.word_secs = WORD_SECS
    loop, times = asyncio.get_running_loop(), []
    chunks: list[Chunk] = []
    async with house.agent() as agent:
        async for chunk in agent.stream_response(QUESTION, ()):
            chunks.append(chunk)
            times.append(loop.time())
    used = [chunk for chunk in chunks if isinstance(chunk, TokensUsed)]
    whose = "openai", "gpt-4.1-mini"
    each = TokensUsed(1000, 50, 600, *whose, cache_write=300)
    assert used == [each] * 2, "for each time that the model was asked"
    started, finished = (it for it in chunks if isinstance(it, ToolStarted | ToolFinished))
    assert isinstance(started, ToolStarted)
    assert (started.tool, started.arguments) == QUOTE
    cost = {"plan": "Team", "users": 10, "dollars_a_month": 190}
    assert finished == ToolFinished(started.call_id, cost)
    assert "".join(words_of(chunks)).strip() == ANSWER
    assert len(words_of(chunks)) == len(ANSWER.split())
    assert times[-1] - times[3] > WORD_SECS * (len(ANSWER.split()) - 2)
    # Recorded before it ran, and after.
    assert [(call.call_id, call.outcome.value) for call in house.recorded] == [
        (started.call_id, "running"),
        (started.call_id, "completed"),
    ]
    [asked, told] = house.openai.chats
    assert asked["model"] == "gpt-4.1-mini"
    assert "You are Max" in asked["messages"][0]["content"]
    offered = {tool["function"]["name"] for tool in asked["tools"]}
    assert offered == {"plans", "quote", "save_lead", "look_up"}
    assert (
        told["messages"][-1]["content"] == '{"plan": "Team", "users": 10, "dollars_a_month": 190}'
    )


async def test_facts_are_looked_up(house: House) -> None:
    def reply(messages: list[Any]) -> Reply:
        question = {"question": "Is my data safe?"}
        return "It is." if messages[-1]["role"] == "tool" else ("look_up", question)

    house.openai.reply = reply
    async with house.agent() as agent:
        _, finished, *_ = await answer(agent, "Is my data safe?")
    assert isinstance(finished, ToolFinished)
    assert finished.result["facts"] != "none"


async def test_a_caller_is_put_through_and_nothing_more_is_said(house: House) -> None:
    to = {"to": "callcenter", "why": "cannot log in", "say": "Support knows that."}
    house.openai.reply = lambda _: (TOOL, to)
    async with house.agent(colleagues=COLLEAGUES) as agent:
        chunks = await answer(agent, "I cannot log in.")
    assert chunks == ["Support knows that.", Handoff("callcenter", "cannot log in")]
    [asked] = house.openai.chats
    assert "You share this line with colleagues" in asked["messages"][0]["content"]
    [offered] = [it["function"] for it in asked["tools"] if it["function"]["name"] == TOOL]
    assert offered["parameters"]["properties"]["to"]["enum"] == list(COLLEAGUES)
    assert house.recorded == [], "it is on record where it can be done"


async def test_who_puts_a_caller_through_says_nothing_of_what_other_tools_gave(
    house: House,
) -> None:
    to = {"to": "callcenter", "why": "", "say": "Support knows that."}
    house.openai.reply = lambda m: ANSWER if m[-1]["role"] == "tool" else [QUOTE, (TOOL, to)]
    async with house.agent(colleagues=COLLEAGUES) as agent:
        started, *rest = await answer(agent, QUESTION)
    assert isinstance(started, ToolStarted)
    assert [type(it) for it in rest] == [str, ToolFinished, Handoff]


async def test_who_is_put_through_often_enough_is_answered(house: House) -> None:
    history = [said("user", "I cannot log in.")]
    for number, to in enumerate(("callcenter", "sandwich")):
        call = {"id": f"t{number}", "type": "function", "function": {"name": TOOL}}
        call["function"]["arguments"] = f'{{"to": "{to}"}}'  # type: ignore[index]
        history.append({"role": "assistant", "tool_calls": [call]})
        result = f'{{"{TOOL}": "{to}"}}'
        history.append({"role": "tool", "tool_call_id": f"t{number}", "content": result})
    house.openai.reply = always("Then it is me.")
    async with house.agent(colleagues=COLLEAGUES) as agent:
        assert "".join(words_of(await answer(agent, "", history))).strip() == "Then it is me."
    assert TOOL not in {it["function"]["name"] for it in house.openai.chats[-1]["tools"]}


async def test_what_was_not_heard_is_cut_from_the_thread(house: House) -> None:
    async with house.agent() as agent:
        await answer(agent, QUESTION)
        assert (await house.kept())[-1] == ("ai", f"{ANSWER} ")
        heard = "That is one hundred"
        house.openai.reply = always("Goodbye.")
        await answer(agent, "Wait.", [said("user", QUESTION), said("assistant", heard)])
    assert [role for role, _ in house.told] == ["user", "assistant", "tool", "assistant", "user"]
    assert house.told[-2:] == [("assistant", heard), ("user", "Wait.")]
    kept = await house.kept()
    assert kept[-3:] == [("ai", heard), ("human", "Wait."), ("ai", "Goodbye. ")]
    assert ANSWER not in str(kept)


async def test_an_answer_that_was_stopped_while_it_came_is_remembered_as_it_was_heard(
    house: House,
) -> None:
    house.openai.reply, house.openai.word_secs = always("One two three four five."), WORD_SECS
    async with house.agent() as agent:
        await stopped(agent, "Count.", lambda chunk: chunk == "two ")
        await answer(agent, "Wait.", [said("user", "Count."), said("assistant", "One")])
    assert house.told == [("user", "Count."), ("assistant", "One"), ("user", "Wait.")]


async def test_a_tool_that_was_stopped_has_one_result(house: House) -> None:
    house.bot = replace(SLOW_BOT, agent=house.bot.agent)
    house.openai.reply = lambda _: ("wait_for_ever", {})
    async with house.agent() as agent:
        begins = house.has_recorded
        await stopped(agent, "Do it.", lambda chunk: isinstance(chunk, ToolStarted), begins)
        [begun] = house.recorded
        house.openai.reply = always("All right.")
        await answer(agent, "Stop that.", [said("user", "Do it.")])
        await answer(agent, "Good.", [*map(said, ("user", "user"), ("Do it.", "Stop that."))])
    first, second = (chat["messages"][1:] for chat in house.openai.chats[1:])
    assert [m["role"] for m in first] == ["user", "assistant", "tool", "user"]
    assert (first[2]["tool_call_id"], first[2]["content"]) == (begun.call_id, NOT_KNOWN)
    # What was not heard of the answer, which is all of it, is gone.
    assert [m["role"] for m in second] == ["user", "assistant", "tool", "user", "user"]


@pytest.mark.parametrize("tool", ["wait_for_ever", "break_down"])
async def test_a_tool_that_fails_is_told_so(house: House, tool: str) -> None:
    house.bot = replace(SLOW_BOT, agent=house.bot.agent)
    house.openai.reply = lambda m: "Sorry." if m[-1]["role"] == "tool" else (tool, {})
    async with house.agent() as agent:
        chunks = await answer(agent, "Do it.")
    assert isinstance(chunks[1], ToolFinished)
    assert chunks[1].error == f"The function `{tool}` failed and returned no result."
    assert words_of(chunks) == ["Sorry. "]
    assert house.told[-1] == ("tool", chunks[1].error)
    assert SECRET not in str(house.openai.chats)


async def test_a_tool_whose_call_cannot_be_recorded_does_not_run(house: House) -> None:
    house.is_away = True
    async with house.agent() as agent:
        chunks = await answer(agent, QUESTION)
    assert isinstance(chunks[1], ToolFinished)
    assert chunks[1].error


async def test_an_answer_does_not_go_round_for_ever(house: House) -> None:
    house.openai.reply = lambda _: QUOTE
    async with house.agent() as agent:
        with pytest.raises(Exception, match="Recursion limit"):
            await answer(agent, QUESTION)
    assert len(house.openai.chats) <= STEPS


async def test_threads_know_nothing_of_each_other(house: House) -> None:
    house.openai.reply = always("Hello.")
    async with house.agent("a") as a, house.agent("b") as b:
        await asyncio.gather(answer(a, "I am Ann."), answer(b, "I am Bob."))
        await answer(b, "Who am I?", [said("user", "I am Bob."), said("assistant", "Hello.")])
    assert [words for _, words in house.told] == ["I am Bob.", "Hello. ", "Who am I?"]
    assert await house.kept("a") == [("human", "I am Ann."), ("ai", "Hello. ")]


async def test_a_new_thread_begins_with_what_was_said_before(house: House) -> None:
    house.openai.reply = always("Gladly.")
    before = [said("assistant", "This is Max."), said("user", "Hello."), said("assistant", "Hi.")]
    async with house.agent() as agent:
        await answer(agent, "A quote, please.", before)
        before += [said("user", "A quote, please."), said("assistant", "Gladly.")]
        await answer(agent, "For ten.", before)
    assert [words.strip() for _, words in house.told] == [
        *("This is Max.", "Hello.", "Hi.", "A quote, please.", "Gladly.", "For ten.")
    ]


@pytest.mark.parametrize("knows_history", [True, False])
async def test_another_process_goes_on_with_the_thread(house: House, knows_history: bool) -> None:
    async with house.agent() as agent:
        await answer(agent, QUESTION)
    await house.restart()
    house.openai.reply = always("You are welcome.")
    history = [said("user", QUESTION), said("assistant", ANSWER)] if knows_history else []
    async with house.agent() as agent:
        await answer(agent, "Thank you.", history)
    assert [role for role, _ in house.told] == ["user", "assistant", "tool", "assistant", "user"]
    assert house.told[-2:] == [("assistant", f"{ANSWER} "), ("user", "Thank you.")]


async def test_what_is_asked_again_is_answered_anew(house: House) -> None:
    async with house.agent() as agent:
        await answer(agent, QUESTION)
    house.openai.reply = always("A moment.")
    async with house.agent() as agent:
        await answer(agent, QUESTION)
    assert house.told == [("user", QUESTION)]


async def test_a_tool_that_has_run_is_not_called_again_after_a_restart(house: House) -> None:
    call = {"id": "call_1", "type": "function"}
    call["function"] = {"name": "quote", "arguments": '{"plan": "Team", "users": 10}'}  # type: ignore[assignment]
    history = [
        said("user", QUESTION),
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": '{"dollars_a_month": 190}'},
    ]
    async with house.agent() as agent:
        await stopped(agent, QUESTION, lambda chunk: isinstance(chunk, ToolFinished))
    await house.restart()
    house.openai.chats.clear()
    async with house.agent() as agent:
        chunks = await answer(agent, "", history)
    assert "".join(words_of(chunks)).strip() == ANSWER
    assert [role for role, _ in house.told] == ["user", "assistant", "tool"]


async def test_a_long_thread_is_summarised_and_nobody_hears_it(house: House) -> None:
    short = {"providers": {"openai": {"llm": {"context_tokens": 500}}}}
    settings = load_settings(
        DEFAULT_CONFIG, {"voice": short, "data_dir": house.resources.settings.data_dir}
    )
    house.resources = replace(house.resources, settings=settings)
    long = "I do not know. " * 20

    def reply(messages: list[Any]) -> Reply:
        return long if messages[0]["role"] == "system" else "They asked."

    house.openai.reply = reply
    history: list[Any] = []
    heard: list[str] = []
    counted = 0
    async with house.agent() as agent:
        for number in range(9):
            question = f"Question {number}?"
            chunks = [chunk async for chunk in agent.stream_response(question, history)]
            heard += words_of(chunks)
            counted += sum(isinstance(chunk, TokensUsed) for chunk in chunks)
            history += [said("user", question), said("assistant", long.strip())]
    assert "They asked." in house.told[0][1]
    assert [words for role, words in house.told if role == "user"][-1] == "Question 8?"
    assert len(house.told) < len(history)
    assert "".join(heard) == long * 9
    assert counted == len(house.openai.chats) > 9, "summaries, too"


@pytest.mark.models
async def test_the_offline_server_answers_an_agent(house: House) -> None:
    local = {"providers": {"local": {"llm": {"small": False}}}}
    profile = {"mixed": {"stt": ["openai"], "llm": ["local"], "tts": ["openai"]}}
    settings = load_settings(
        DEFAULT_CONFIG,
        {
            "voice": local,
            "profiles": profile,
            "profile": "mixed",
            "data_dir": house.resources.settings.data_dir,
        },
    )
    async with loading_models(settings) as models:
        services = LocalServices(await models)
        house.resources = replace(house.resources, settings=settings, local=services)
        # With tools, a model of this size goes round and round.
        house.bot = replace(house.bot, instructions="Be brief.", tools=(), knowledge=None)
        async with house.agent() as agent:
            chunks = await answer(agent, "Say hello.")
        await services.close()
    assert len(words_of(chunks)) > 1
    assert "hello" in "".join(words_of(chunks)).lower()
    assert house.openai.chats == []


async def test_threads_are_kept_in_postgresql(house: House, postgres: Postgres) -> None:
    settings = house.resources.settings.model_copy(update={"database_url": SecretStr(postgres.url)})
    house.resources = replace(house.resources, settings=settings)
    await house.restart()
    async with house.agent("on-the-server") as agent:
        await answer(agent, QUESTION)
    assert [who for who, _ in await house.kept("on-the-server")] == ["human", "ai", "tool", "ai"]
    assert not list(house.resources.settings.data_dir.glob("threads.db*"))
