"""The receptionist as one writes it after an hour with Pipecat's documentation.

Stock services with their defaults, started by Pipecat's own runner; latency.py compares with it.
Only what must be alike for a comparison is taken from Parlante: the files of the models, the
prompt, the greeting, temperature and the longest reply. The language model is behind
OPENAI_BASE_URL: see llm_server.py.

    OPENAI_API_KEY=none OPENAI_BASE_URL=... python tests/bench/vanilla_bot.py -t webrtc
"""

from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.frames.frames import TTSSpeakFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.runner.types import RunnerArguments
from pipecat.runner.utils import create_transport
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.services.piper.tts import PiperTTSService
from pipecat.services.whisper.stt import WhisperSTTService
from pipecat.transports.base_transport import BaseTransport, TransportParams
from pipecat.workers.runner import WorkerRunner

from bots.loopback import connect_over_loopback_when_alone
from bots.models import ModelStore, default_models_dir, load_manifest
from bots.receptionist import BOT

STORE = ModelStore(default_models_dir(), load_manifest())
VOICE = STORE.file("piper-joe")

# Otherwise there is no call at all on a machine without a network.
connect_over_loopback_when_alone()


async def run_bot(transport: BaseTransport, runner_args: RunnerArguments) -> None:
    stt = WhisperSTTService(
        settings=WhisperSTTService.Settings(model=str(STORE.path("whisper-tiny.en")))
    )
    llm = OpenAILLMService(
        settings=OpenAILLMService.Settings(
            model="local",
            system_instruction=BOT.system_instruction(small=True),
            temperature=0.0,
            max_tokens=BOT.max_tokens,
        )
    )
    tts = PiperTTSService(
        download_dir=VOICE.parent, settings=PiperTTSService.Settings(voice=VOICE.stem)
    )
    context = LLMContext()
    user_aggregator, assistant_aggregator = LLMContextAggregatorPair(
        context, user_params=LLMUserAggregatorParams(vad_analyzer=SileroVADAnalyzer())
    )
    pipeline = Pipeline(
        [
            transport.input(),
            stt,
            user_aggregator,
            llm,
            tts,
            transport.output(),
            assistant_aggregator,
        ]
    )
    worker = PipelineWorker(
        pipeline, params=PipelineParams(enable_metrics=True, enable_usage_metrics=True)
    )
    runner = WorkerRunner(handle_sigint=runner_args.handle_sigint)
    await runner.add_workers(worker)

    @worker.rtvi.event_handler("on_client_ready")
    async def on_client_ready(rtvi: object) -> None:
        await worker.queue_frames([TTSSpeakFrame(BOT.greeting, append_to_context=True)])

    @transport.event_handler("on_client_disconnected")
    async def on_client_disconnected(transport: BaseTransport, client: object) -> None:
        await runner.cancel()

    await runner.run()


async def bot(runner_args: RunnerArguments) -> None:
    def audio() -> TransportParams:
        return TransportParams(audio_in_enabled=True, audio_out_enabled=True)

    await run_bot(await create_transport(runner_args, {"webrtc": audio}), runner_args)


if __name__ == "__main__":
    from pipecat.runner.run import main

    main()
