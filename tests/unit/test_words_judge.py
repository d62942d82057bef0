"""What a language model says of a caller's words, and when it is asked."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from openai import AsyncOpenAI
from pipecat.utils.asyncio.task_manager import TaskManager

from processors.words_judge import (
    GIVING_WAY_SECS,
    PRECEDENCE_SECS,
    LlamaWords,
    WordsJudge,
    end_probability,
    last_sentence,
)
from tests.caller import HOLDS, JUDGING_SECS, Caller, Linguist, play
from tests.standins.serving import serving


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("When do you open?", "When do you open"),
        ("I would like to...", "I would like to"),
        ("Hello. My name is", "My name is"),
        ("Is that right? I see. ", "I see"),
        ("What's Dr. Raman's first name?", "What's Dr. Raman's first name"),
        ("At 5.30 on Tuesday,", "At 5.30 on Tuesday"),
        ("...", ""),
        ("", ""),
    ],
)
def test_the_last_sentence_is_judged_without_the_mark_behind_it(said: str, words: str) -> None:
    assert last_sentence(said) == words


def test_a_sentence_ends_with_any_mark_but_an_ellipsis() -> None:
    likeliest = [
        {"token": token, "logprob": -2.0} for token in ("?", ".\n", " !", "...", " and", "", ",")
    ]
    assert end_probability(likeliest) == pytest.approx(3 * 0.1353, abs=1e-3)


@asynccontextmanager
async def llama(answer: Callable[[], Awaitable[web.Response]]) -> AsyncIterator[LlamaWords]:
    """Run a server that answers so, and yield what asks it."""

    async def complete(request: web.Request) -> web.Response:
        assert (await request.json())["prompt"] == "When do you open"
        return await answer()

    async with (
        serving(web.post("/completion", complete)) as at,
        AsyncOpenAI(base_url=f"http://{at}/v1", api_key="none", max_retries=0) as client,
    ):
        yield LlamaWords(client, slot=4)


def told(*likeliest: dict[str, Any]) -> web.Response:
    told_of = [{"top_logprobs": likeliest}] if likeliest else []
    return web.json_response({"completion_probabilities": told_of})


class TestAskingTheServer:
    async def test_it_is_asked_what_may_come_behind_the_words(self) -> None:
        async def answer() -> web.Response:
            return told({"token": "?", "logprob": 0.0})

        async with llama(answer) as words:
            assert await words.ask("When do you open?") == 1

    async def test_where_it_fails_or_tells_nothing_nothing_is_known(self) -> None:
        async def fail() -> web.Response:
            return web.json_response({}, status=500)

        async def tell_nothing() -> web.Response:
            return told()

        for answer in (fail, tell_nothing):
            async with llama(answer) as words:
                assert await words.ask("When do you open?") is None

    async def test_without_words_it_is_not_asked(self) -> None:
        async def answer() -> web.Response:
            raise AssertionError

        async with llama(answer) as words:
            assert await words.ask("...") is None

    async def test_others_let_it_pass_but_not_for_long(self) -> None:
        goes_on = asyncio.Event()

        async def answer() -> web.Response:
            await goes_on.wait()
            return told()

        async with llama(answer) as words:
            now = asyncio.get_running_loop().time
            began = now()
            await words.let_pass()
            assert now() - began < PRECEDENCE_SECS / 2
            asking = asyncio.create_task(words.ask("When do you open?"))
            await asyncio.sleep(0)
            await words.let_pass()
            assert not asking.done()
            assert now() - began >= PRECEDENCE_SECS
            goes_on.set()
            await asking
            began = now()
            await words.let_pass()
            assert now() - began < PRECEDENCE_SECS / 2


async def test_where_their_answer_waits_for_the_same_server_it_is_asked_for_first() -> None:
    linguist = Linguist()
    judge = WordsJudge(linguist.ask, gives_way=True)
    judge.setup(TaskManager(loop=asyncio.get_running_loop()))
    await judge.hear_out("When do you open?")
    await asyncio.sleep(GIVING_WAY_SECS / 2)
    assert not linguist.asked
    await judge.judged("When do you open?", timeout_secs=1)
    assert linguist.asked == ["When do you open?"]
    await judge.stop()


class TestInACall:
    @pytest.mark.parametrize(
        ("words", "hold"), [(0.9, HOLDS.sure), (0.01, HOLDS.likely), (None, HOLDS.sure)]
    )
    def test_the_end_of_a_turn_goes_by_the_words_too(
        self, words: float | None, hold: float
    ) -> None:
        silences: list[float] = []

        async def script(caller: Caller) -> None:
            caller.linguist.probability = words
            silent_since = await caller.say("When do you open?")
            await caller.settle()
            silences.append(caller.spoken.ends[0] - silent_since)

        play(script)
        assert silences == [pytest.approx(hold, abs=0.02)]

    def test_the_words_are_judged_as_soon_as_the_caller_pauses_and_once(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.start()
            await caller.eager("When do you open?")
            asked.extend(caller.linguist.asked)
            await caller.stop()
            await caller.final("When do you open?")

        asked: list[str] = []
        caller, _ = play(script)
        assert asked == caller.linguist.asked == ["When do you open?"]

    def test_they_are_judged_before_they_are_answered_also_where_they_come_as_final(self) -> None:
        answered: list[list[str]] = []

        async def script(caller: Caller) -> None:
            caller.linguist.on_asked = lambda: answered.append(list(caller.llm.asked))
            await caller.start()
            await caller.stop()
            await caller.final("When do you open?")
            await caller.settle()

        caller, _ = play(script)
        assert answered == [[]]
        assert caller.llm.asked

    def test_the_same_words_otherwise_written_are_not_judged_again(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.start()
            await caller.eager("when do you open")
            await caller.stop()
            await caller.final("When do you open?")
            await caller.settle()

        caller, _ = play(script)
        assert caller.linguist.asked == ["when do you open"]

    def test_words_that_may_not_be_the_last_are_judged_where_no_others_are(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.start()
            await caller.interim("When")
            await caller.interim("When do")
            await asyncio.sleep(2 * JUDGING_SECS)
            await caller.interim("When do you")

        caller, _ = play(script)
        assert caller.linguist.asked == ["When", "When do you"]

    def test_all_words_of_a_turn_are_judged_together(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.say("I would like to")
            await caller.say("come on Tuesday.")

        caller, _ = play(script)
        assert caller.linguist.asked[-1] == "I would like to come on Tuesday."

    def test_a_judgement_that_is_late_is_not_waited_for_beyond_a_doubtful_end(self) -> None:
        silences: list[float] = []

        async def script(caller: Caller) -> None:
            caller.linguist.secs = 10
            silent_since = await caller.say("When do you open?")
            await caller.settle()
            silences.append(caller.spoken.ends[0] - silent_since)

        play(script)
        assert silences == [pytest.approx(HOLDS.likely, abs=0.02)]
