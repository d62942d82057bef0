"""What a language model on this machine has read, and remembers."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.utils.asyncio.task_manager import TaskManager

from bots.local import LocalServices
from bots.local_files import LocalFiles, find_local_files
from bots.local_models import LocalModels
from bots.settings import DEFAULT_CONFIG, load_settings
from engines import llama
from processors.local_llm import LocalLLM

pytestmark = pytest.mark.long

FACTS = " ".join(f"Room {number} is on floor {number // 10}." for number in range(10, 40))
QUESTION = "On which floor is room twenty-five?"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kept")


@pytest.fixture
def kept(folder: Path) -> Path:
    """Where models are kept; nothing has been read with them yet."""
    for file in folder.glob("*-read-*/*"):
        file.unlink()
    return folder


@asynccontextmanager
async def started(kept: Path) -> AsyncIterator[LocalServices]:
    """Offline services, as after a start."""
    files = find_local_files(load_settings(DEFAULT_CONFIG, {"profile": "offline"}))
    models = LocalModels(kept=kept)
    try:
        only_llm = LocalFiles(llm=files.llm, chat_template=files.chat_template)
        services = LocalServices(await models.load(only_llm, lambda _: None))
        yield services
        await services.close()
    finally:
        await models.close()


def list_read(kept: Path) -> list[Path]:
    """Return the files of what was read."""
    return list(kept.glob("*-read-*/*"))


def read_file(kept: Path) -> Path:
    [file] = list_read(kept)
    return file


def opening() -> LLMContext:
    return LLMContext([{"role": "user", "content": FACTS}])


def question() -> LLMContext:
    return LLMContext([{"role": "user", "content": f"{FACTS} {QUESTION}"}])


def make_llm(services: LocalServices) -> LocalLLM:
    return services.make_llm(system_instruction="Answer.", temperature=0.0, max_tokens=40)


async def until_busy(llm: LocalLLM) -> None:
    """Wait until the slot of a session is read into."""
    client = llm.create_client()
    root = client.with_options(base_url=client.base_url.join("/"))
    async with asyncio.timeout(10):
        while not (await root.get("/slots", cast_to=object))[llm._slot.number]["is_processing"]:  # noqa: ASYNC110
            await asyncio.sleep(0)


async def tokens_read(llm: LocalLLM, context: LLMContext) -> int:
    """Return how much of a conversation had to be read to answer it."""
    params = llm.build_chat_completion_params(await llm._request(context))
    answer = await llm.create_client().chat.completions.create(**{**params, "stream": False})
    usage = answer.usage
    return usage.prompt_tokens - usage.prompt_tokens_details.cached_tokens


async def test_it_tells_a_whole_sentence_from_one_that_is_cut(kept: Path) -> None:
    async with started(kept) as services:
        judge = services.make_words_judge(gives_way=False)
        assert judge
        judge.setup(TaskManager(loop=asyncio.get_running_loop()))
        whole, cut = [
            await judge.judged(said, timeout_secs=10)
            for said in ("When do you open on Saturday?", "When do you open on")
        ]
        await judge.stop()
    assert whole
    assert cut is not None
    assert cut < 0.05 < 0.3 < whole


async def test_a_conversation_is_read_with_the_tools_that_its_answer_is_given(kept: Path) -> None:
    find = FunctionSchema("find", "Find a room.", {"room": {"type": "string"}}, ["room"])
    asked = LLMContext([{"role": "user", "content": QUESTION}], ToolsSchema([find]))
    async with started(kept) as services:
        llm = make_llm(services)
        await llm.read(asked)
        assert await tokens_read(llm, asked) < 5


async def test_a_server_with_other_slots_reads_anew_and_leaves_alone_what_it_cannot_load(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for sessions in (4, 2, 4):
        monkeypatch.setattr(llama, "PARALLEL_SESSIONS", sessions)
        async with started(kept) as services:
            llm = make_llm(services)
            await llm.recall(opening())
            assert await tokens_read(llm, question()) < 20
    assert len(list_read(kept)) == 2


async def test_the_words_of_a_caller_are_judged_before_an_answer_that_goes_by_a_fact(
    kept: Path,
) -> None:
    async with started(kept) as services:
        llm = make_llm(services)
        judge = services._words
        assert judge
        done: list[str] = []
        await llm.recall(opening())
        await llm.begin_with("", opening())

        async def judge_words() -> None:
            await judge.ask("When do you open on Saturday?")
            done.append("words")

        async def answer() -> None:
            async for _ in await llm.get_chat_completions(question()):
                done.append("answer")
                break

        await asyncio.gather(judge_words(), answer())
    assert done == ["words", "answer"]


async def test_what_was_read_once_is_remembered_by_all_sessions_and_after_a_restart(
    kept: Path,
) -> None:
    saved: set[int] = set()
    for _start in range(2):
        async with started(kept) as services:
            for _session in range(2):
                llm = make_llm(services)
                await llm.recall(opening())
                assert await tokens_read(llm, question()) < 20
                saved.add(read_file(kept).stat().st_mtime_ns)
    assert len(saved) == 1


async def test_what_cannot_be_loaded_is_read_again(kept: Path) -> None:
    async with started(kept) as services:
        await make_llm(services).recall(opening())
        file = read_file(kept)
        file.write_bytes(b"of another version")
        llm = make_llm(services)
        await llm.recall(opening())
        assert await tokens_read(llm, question()) < 20
    assert file.stat().st_size > 1_000_000


async def test_what_is_kept_is_not_studied_again(kept: Path) -> None:
    async with started(kept) as services:
        await make_llm(services).study(opening())
        saved_at = read_file(kept).stat().st_mtime_ns
        other = make_llm(services)
        await other.study(opening())
        assert await tokens_read(other, question()) > 100
    assert read_file(kept).stat().st_mtime_ns == saved_at


async def test_the_words_of_another_session_in_the_same_slot_are_not_kept(kept: Path) -> None:
    async with started(kept) as services:
        session, *_, in_the_same_slot = [make_llm(services) for _ in range(5)]
        assert session._slot == in_the_same_slot._slot

        recalling = asyncio.create_task(session.recall(opening()))
        await until_busy(session)
        # This waits for the slot, and has it before what was read can be saved.
        await asyncio.gather(in_the_same_slot.read(question()), recalling)
    assert not list_read(kept)


def test_what_nobody_has_used_for_a_month_is_deleted(kept: Path) -> None:
    used, unused = kept / "other-read-1" / "used", kept / "other-read-1" / "unused"
    used.parent.mkdir(exist_ok=True)
    for file, days in ((used, 29), (unused, 31)):
        file.touch()
        os.utime(file, (time.time() - days * 24 * 3600,) * 2)
    asyncio.run(start_and_stop(kept))
    assert used.exists()
    assert not unused.exists()


async def start_and_stop(kept: Path) -> None:
    async with started(kept):
        pass


async def test_a_conversation_that_is_too_long_goes_on_with_its_end(kept: Path) -> None:
    exchanges = [
        message
        for number in range(400)
        for message in (
            {"role": "user", "content": f"Is room {number} on floor {number // 10}?"},
            {"role": "assistant", "content": f"Yes, room {number} is on floor {number // 10}."},
        )
    ]
    async with started(kept) as services:
        llm = make_llm(services)
        for turn in range(2):
            context = LLMContext([*exchanges, {"role": "user", "content": QUESTION}])
            chunks = await llm.get_chat_completions(context)
            deltas = [choice.delta async for chunk in chunks for choice in chunk.choices]
            said = "".join(delta.content or "" for delta in deltas)
            assert "floor" in said
            exchanges += [context.messages[-1], {"role": "assistant", "content": said}]
            if turn == 0:
                # What it has been given begins as before: it reads the new words alone.
                again = LLMContext([*exchanges, {"role": "user", "content": QUESTION}])
                assert await tokens_read(llm, again) < 50


async def test_a_reply_may_be_of_any_length(kept: Path) -> None:
    async with started(kept) as services:
        await services.make_llm(system_instruction="Answer.").read(question())


async def test_sessions_do_not_disturb_what_others_have_had_read(kept: Path) -> None:
    async with started(kept) as services:
        one, other = make_llm(services), make_llm(services)
        await one.read(question())
        await other.read(LLMContext([{"role": "user", "content": "What is the weather like?"}]))
        assert await tokens_read(one, question()) < 5


async def test_a_session_takes_the_slot_that_the_fewest_others_have(kept: Path) -> None:
    async with started(kept) as services:
        llms = [make_llm(services) for _ in range(4)]
        assert sorted(llm._slot.number for llm in llms) == [0, 1, 2, 3]
        await llms[2].cleanup()
        assert make_llm(services)._slot == llms[2]._slot


async def test_those_of_one_call_share_a_slot_and_what_one_has_recalled_the_next_recalls_again(
    kept: Path,
) -> None:
    async with started(kept) as services:
        local = services.for_one_call()
        one, other = make_llm(local), make_llm(local)
        assert one._slot is other._slot
        assert make_llm(services)._slot is not one._slot
        for llm in (one, other, one):
            await llm.recall(opening())
            assert llm._slot.last is llm
            assert llm._slot.recalled
        await other.read(question())
        assert not other._slot.recalled, "what the one has recalled may be gone"
