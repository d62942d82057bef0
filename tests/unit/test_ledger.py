"""Tools run when their calls are on record."""

from typing import Any

import pytest
from pipecat.adapters.llm.schemas.direct_function import DirectFunctionWrapper
from pipecat.frames.frames import FunctionCallResultProperties
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.services.llm_service import FunctionCallParams

from bots.errors import DatabaseUnavailable
from bots.ledger import on_record
from processors.transcript import ToolCall, ToolOutcome


class Diary:
    """What happened, in its order; `away` is when nothing can be recorded."""

    def __init__(self) -> None:
        self.entries: list[object] = []
        self.away: set[ToolOutcome] = set()

    async def record(self, call: ToolCall) -> None:
        if call.outcome in self.away:
            raise DatabaseUnavailable("the database is away")
        self.entries.append((call.call_id, call.outcome.value, call.arguments, call.result))

    async def weigh(self, params: FunctionCallParams, thing: str, twice: bool = False) -> None:
        """Weigh a thing.

        Args:
            params: The call in progress.
            thing: What to weigh.
            twice: Whether to do it again.
        """
        self.entries.append(f"weighs {thing}")
        if twice:
            interim = FunctionCallResultProperties(is_final=False)
            await params.result_callback("1 kg?", properties=interim)
        await params.result_callback({"kg": 1})

    async def tell(
        self, result: Any, *, properties: FunctionCallResultProperties | None = None
    ) -> None:
        self.entries.append(f"tells {result}")

    def params(self, **arguments: Any) -> FunctionCallParams:
        nobody: Any = None
        return FunctionCallParams(
            function_name="weigh",
            tool_call_id="c1",
            arguments=arguments,
            llm=nobody,
            pipeline_worker=nobody,
            context=LLMContext(),
            result_callback=self.tell,
            app_resources=nobody,
            worker_runner=nobody,
        )


BEGUN = ("c1", "running", {"thing": "a parrot"}, None)
DONE = ("c1", "completed", None, {"kg": 1})


async def test_a_call_is_on_record_before_it_runs_and_its_result_before_it_is_told() -> None:
    diary = Diary()
    await on_record(diary.weigh, diary.record)(
        params=diary.params(thing="a parrot"), thing="a parrot"
    )
    assert diary.entries == [BEGUN, "weighs a parrot", DONE, "tells {'kg': 1}"]


async def test_what_cannot_be_recorded_does_not_run() -> None:
    diary = Diary()
    diary.away = {ToolOutcome.RUNNING}
    with pytest.raises(DatabaseUnavailable):
        await on_record(diary.weigh, diary.record)(
            params=diary.params(thing="a parrot"), thing="a parrot"
        )
    assert diary.entries == []


async def test_what_has_run_is_told_though_it_cannot_be_recorded_now() -> None:
    diary = Diary()
    diary.away = {ToolOutcome.COMPLETED}
    await on_record(diary.weigh, diary.record)(
        params=diary.params(thing="a parrot"), thing="a parrot"
    )
    assert diary.entries == [BEGUN, "weighs a parrot", "tells {'kg': 1}"]


async def test_only_the_last_word_of_a_tool_is_its_result() -> None:
    diary = Diary()
    await on_record(diary.weigh, diary.record)(
        params=diary.params(thing="a parrot"), thing="a parrot", twice=True
    )
    assert diary.entries[2:] == ["tells 1 kg?", DONE, "tells {'kg': 1}"]


def test_a_language_model_sees_the_tool_as_it_was_written() -> None:
    diary = Diary()
    plain, recorded = (
        DirectFunctionWrapper(tool).to_function_schema().to_default_dict()
        for tool in (diary.weigh, on_record(diary.weigh, diary.record))
    )
    assert recorded == plain
    assert set(plain["parameters"]["properties"]) == {"thing", "twice"}
