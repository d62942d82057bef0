"""The one assembly of a pipeline that every bot uses.

microphone -> STT -> user turn -> knowledge -> LLM -> TTS -> loudspeaker -> assistant turn
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from loguru import logger
from openai import OpenAIError
from pipecat.audio.turn.smart_turn.base_smart_turn import SmartTurnParams
from pipecat.audio.vad.vad_analyzer import VADParams
from pipecat.pipeline.pipeline import Pipeline
from pipecat.processors.aggregators.llm_context import LLMContext, LLMContextMessage
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregator,
    LLMUserAggregatorParams,
)
from pipecat.transports.base_transport import BaseTransport
from pipecat.turns.user_mute import AlwaysUserMuteStrategy
from pipecat.turns.user_start import BaseUserTurnStartStrategy, MinWordsUserTurnStartStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies

from bots import providers
from bots.config import InterruptionConfig, TurnConfig, VadConfig
from bots.facts import make_knowledge
from bots.local import LocalLLM
from bots.registry import Bot
from bots.resources import Resources
from processors.barge_in import BargeInStartStrategy
from processors.eager_turn import HOLDS
from processors.offline_knowledge import OfflineKnowledgeProcessor
from processors.rehearsal import Rehearsal
from processors.shared_vad import SpeechModels
from processors.turn_end import EagerTurnStopStrategy, ReadAlong

TURN_STOP_MARGIN_SECS = 0.5
"""A turn in which nothing was understood is given up so long after `max_delay`."""


@dataclass(frozen=True)
class Assembly:
    """A pipeline and what a call needs of its parts.

    Attributes:
        pipeline: The whole.
        user: Tells of the user's turns.
        prefill: Has a local model read its instructions ahead; None where there is none.
    """

    pipeline: Pipeline
    user: LLMUserAggregator
    prefill: Callable[[], Awaitable[None]] | None


def assemble(bot: Bot, transport: BaseTransport, resources: Resources) -> Assembly:
    """Build the pipeline of one call.

    Args:
        bot: What to build it for.
        transport: Where the user is.
        resources: What calls share.

    Raises:
        ServiceUnavailable: If a service cannot be made.
    """
    settings = resources.settings
    small = settings.has_small_llm
    profile = settings.voice.voice_profiles.get(bot.voice_profile)
    stt = providers.make_stt(*settings.service("stt"), resources.local)
    llm = providers.make_llm(
        *settings.service("llm"),
        resources.local,
        instructions=bot.system_instruction(small=small),
        temperature=bot.temperature,
        max_tokens=bot.max_tokens,
    )
    tts = providers.make_tts(*settings.service("tts"), resources.local, profile=profile)

    # Small models call tools for a mere greeting: they get none.
    context = LLMContext(tools=[] if small else list(bot.tools))
    knowledge = make_knowledge(bot, resources.encoder)
    if isinstance(knowledge, OfflineKnowledgeProcessor):
        opening, listening = knowledge.opening, knowledge.listening
    else:
        opening, listening = context, None
    turns = LLMContextAggregatorPair(
        context,
        user_params=user_params(
            resources.speech,
            read_along=(
                _reading_along(llm, context, listening) if isinstance(llm, LocalLLM) else None
            ),
            vad=settings.voice.realtime.vad,
            turn=settings.turn_detection,
            interruptions=settings.voice.realtime.interruptions,
        ),
    )
    # Only the local voice can: others are asked by the sentence, and paid for it.
    if prepare := getattr(tts, "prepare", None):
        for holder in (llm, knowledge):
            if isinstance(holder, LocalLLM | OfflineKnowledgeProcessor):
                holder.rehearsal = Rehearsal(prepare)

    pipeline = Pipeline(
        [
            transport.input(),
            stt,
            turns.user(),
            *([knowledge] if knowledge else []),
            llm,
            tts,
            transport.output(),
            turns.assistant(),
        ]
    )
    prefill = partial(llm.prefill, opening) if isinstance(llm, LocalLLM) else None
    return Assembly(pipeline, turns.user(), prefill)


def _reading_along(
    llm: LocalLLM, context: LLMContext, listening: Callable[[LLMContext], LLMContext] | None
) -> ReadAlong:
    """Have the LLM read what the user says, while they say it.

    Args:
        llm: Reads it.
        context: The conversation before these words.
        listening: Turns a conversation into what the LLM is shown of it; None if that is all.
    """

    async def read(said: str) -> None:
        message: LLMContextMessage = {"role": "user", "content": said}
        heard = LLMContext([*context.messages, message], context.tools, context.tool_choice)
        if listening:
            heard = await asyncio.to_thread(listening, heard)
        try:
            await llm.prefill(heard)
        except OpenAIError as error:
            logger.warning("the language model cannot read along: {}", error)

    return read


def user_params(
    speech: SpeechModels,
    *,
    read_along: ReadAlong | None,
    vad: VadConfig,
    turn: TurnConfig,
    interruptions: InterruptionConfig,
) -> LLMUserAggregatorParams:
    """Turn settings into Pipecat's rules of when a user's turn starts and ends."""
    start: BaseUserTurnStartStrategy = BargeInStartStrategy(
        min_speech_secs=interruptions.min_speech_duration
    )
    if interruptions.min_words:
        start = MinWordsUserTurnStartStrategy(min_words=interruptions.min_words)
    smart_turn = speech.smart_turn(params=SmartTurnParams(stop_secs=turn.max_delay))
    return LLMUserAggregatorParams(
        vad_analyzer=speech.vad(
            VADParams(
                confidence=vad.threshold,
                start_secs=vad.min_speech_duration,
            )
        ),
        user_turn_strategies=UserTurnStrategies(
            start=[start],
            stop=[
                EagerTurnStopStrategy(
                    judge=smart_turn,
                    read_along=read_along,
                    holds=HOLDS[turn.preset],
                    min_delay_secs=turn.min_delay,
                    max_delay_secs=turn.max_delay,
                )
            ],
        ),
        user_mute_strategies=[] if interruptions.enabled else [AlwaysUserMuteStrategy()],
        user_turn_stop_timeout=turn.max_delay + TURN_STOP_MARGIN_SECS,
    )
