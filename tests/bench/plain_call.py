"""A call in this process that a plain Pipecat pipeline holds: stock services, with defaults."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.frames.frames import Frame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.cartesia.tts import CartesiaTTSService
from pipecat.services.elevenlabs.stt import ElevenLabsRealtimeSTTService
from pipecat.services.elevenlabs.tts import ElevenLabsTTSService
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.services.openai.realtime import events
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService
from pipecat.services.openai.stt import OpenAISTTService
from pipecat.services.openai.tts import OpenAITTSService
from pipecat.workers.runner import WorkerRunner

from tests.faulty_call import KEY
from tests.line import RATE_HZ, Line, speak
from tests.standins.cartesia import CartesiaVoice
from tests.standins.elevenlabs import ElevenLabsVoice

INSTRUCTIONS = "You answer the phone of a doctor's practice."
PATIENCE_SECS = 10.0
"""After so long a silence, nothing will come any more."""

HEARD_OUT_SECS = 3.0
"""Longer than any answer, from its first sound on."""


@dataclass(frozen=True)
class Heard:
    """What came of a question.

    Attributes:
        wait_secs: The longest silence from the last of the question to the last of the answer;
            None if nothing came.
        played_secs: How long something was heard.
        said: What the bot has said then, as the conversation has it.
    """

    wait_secs: float | None
    played_secs: float
    said: str


@dataclass(frozen=True)
class PlainCall:
    """A call that is under way."""

    line: Line
    context: LLMContext
    worker: PipelineWorker

    async def ask(self, question: Any) -> Heard:
        """Say something, and hear out what follows."""
        ear, secs = self.line.ear, len(question) / RATE_HZ
        before = len(self._said())
        ear.listen(time.monotonic() + secs)
        saying = asyncio.create_task(speak(self.line.mouth, question))
        try:
            await asyncio.wait_for(ear.heard.wait(), secs + PATIENCE_SECS)
            await asyncio.sleep(HEARD_OUT_SECS)
        except TimeoutError:
            return Heard(None, 0.0, self._said()[before:])
        finally:
            saying.cancel()
            await asyncio.gather(saying, return_exceptions=True)
        return Heard(ear.longest_pause_secs, ear.played_secs, self._said()[before:])

    async def greet(self, frame: Frame) -> Heard:
        """Have the bot speak first, and hear it out."""
        await self.worker.queue_frame(frame)
        return await self.ask(np.zeros(0, np.int16))

    def _said(self) -> str:
        messages = [it for it in self.context.get_messages() if isinstance(it, dict)]
        return " ".join(str(it["content"]) for it in messages if it["role"] == "assistant")


@asynccontextmanager
async def chained_call(
    *, stt: Mapping[str, str], llm: Mapping[str, str], tts: Mapping[str, str]
) -> AsyncIterator[PlainCall]:
    """Call a bot whose services are these: one address each, by its provider."""
    [(hears, stt_url)], [llm_url], [(speaks, tts_url)] = stt.items(), llm.values(), tts.items()
    model = OpenAILLMService(
        api_key=KEY,
        base_url=llm_url,
        settings=OpenAILLMService.Settings(system_instruction=INSTRUCTIONS),
    )
    context = LLMContext()
    user, assistant = LLMContextAggregatorPair(
        context, user_params=LLMUserAggregatorParams(vad_analyzer=SileroVADAnalyzer())
    )
    brain = [_hearing(hears, stt_url), user, model, _voice(speaks, tts_url)]
    async with _holding(brain, assistant, context) as call:
        yield call


@asynccontextmanager
async def realtime_call(url: str) -> AsyncIterator[PlainCall]:
    """Call a bot that is speech to speech."""
    audio = events.AudioInput(
        format=events.PCMAudioFormat(),
        transcription=events.InputAudioTranscription(),
        turn_detection=events.TurnDetection(),
    )
    service = OpenAIRealtimeLLMService(
        api_key=KEY,
        base_url=url,
        settings=OpenAIRealtimeLLMService.Settings(
            model="gpt-realtime",
            system_instruction=INSTRUCTIONS,
            session_properties=events.SessionProperties(
                audio=events.AudioConfiguration(input=audio)
            ),
        ),
    )
    context = LLMContext([{"role": "developer", "content": "Greet the caller."}])
    user, assistant = LLMContextAggregatorPair(context)
    async with _holding([user, service], assistant, context) as call:
        yield call


@asynccontextmanager
async def _holding(
    brain: Sequence[FrameProcessor], assistant: FrameProcessor, context: LLMContext
) -> AsyncIterator[PlainCall]:
    line = Line()
    worker = PipelineWorker(Pipeline([line.input(), *brain, line.output(), assistant]))
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())
    try:
        await line.mouth.ready.wait()
        yield PlainCall(line, context, worker)
    finally:
        await runner.cancel()
        await running


def _hearing(provider: str, url: str) -> FrameProcessor:
    match provider:
        case "elevenlabs":
            return ElevenLabsRealtimeSTTService(api_key=KEY, base_url=url)
        case "deepgram":
            from pipecat.services.deepgram.stt import DeepgramSTTService

            return DeepgramSTTService(api_key=KEY, base_url=url)
    return OpenAISTTService(api_key=KEY, base_url=url)


def _voice(provider: str, url: str) -> FrameProcessor:
    match provider:
        case "elevenlabs":
            voice = ElevenLabsTTSService.Settings(
                voice=ElevenLabsVoice.voice, model=ElevenLabsVoice.model
            )
            return ElevenLabsTTSService(api_key=KEY, url=url, settings=voice)
        case "cartesia":
            settings = CartesiaTTSService.Settings(voice=CartesiaVoice.voice)
            return CartesiaTTSService(api_key=KEY, url=url, settings=settings)
    return OpenAITTSService(api_key=KEY, base_url=url)
