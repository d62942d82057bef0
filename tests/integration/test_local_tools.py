"""Tools of a language model on this machine."""

import asyncio
from pathlib import Path

from pipecat.frames.frames import FunctionCallResultProperties, LLMRunFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.services.llm_service import FunctionCallParams
from pipecat.workers.runner import WorkerRunner

from bots.local import LocalServices
from bots.local_files import LocalFiles, find_local_files
from bots.local_models import LocalModels
from bots.settings import DEFAULT_CONFIG, load_settings

REPLY_SECS = 60


async def test_a_local_model_calls_a_tool_instead_of_saying_the_call(tmp_path: Path) -> None:
    asked: list[str] = []
    context = LLMContext([{"role": "user", "content": "Are you open on Sunday?"}])
    files = find_local_files(load_settings(DEFAULT_CONFIG, {"profile": "offline"}))
    only_llm = LocalFiles(llm=files.llm, chat_template=files.chat_template)
    models = LocalModels(kept=tmp_path)
    try:
        services = LocalServices(await models.load(only_llm, lambda _: None))
        turns = LLMContextAggregatorPair(context)
        llm = services.make_llm(
            system_instruction="You are a receptionist. Use the tools.",
            temperature=0.0,
            max_tokens=60,
        )
        worker = PipelineWorker(Pipeline([turns.user(), llm, turns.assistant()]))

        async def opening_hours(params: FunctionCallParams, day: str) -> None:
            """Say when the clinic is open on a day of the week.

            Args:
                params: The call in progress.
                day: The day of the week.
            """
            asked.append(day)
            # So small a model makes nothing of the result.
            properties = FunctionCallResultProperties(run_llm=False)
            await params.result_callback({"open": "seven to eleven"}, properties=properties)
            await worker.stop_when_done()

        context.set_tools([opening_hours])
        await worker.queue_frame(LLMRunFrame())
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(worker)
        await asyncio.wait_for(runner.run(), REPLY_SECS)
        await services.close()
    finally:
        await models.close()

    assert asked == ["Sunday"]
    *_, call, result = context.messages
    assert call["role"] == "assistant"
    assert not call.get("content")
    assert result["role"] == "tool"
    assert "seven to eleven" in str(result["content"])
