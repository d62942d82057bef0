"""The one assembly of a pipeline that every bot uses.

microphone -> STT -> user turn -> knowledge -> LLM -> TTS -> loudspeaker -> assistant turn
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from pipecat.audio.turn.smart_turn.base_smart_turn import SmartTurnParams
from pipecat.audio.vad.vad_analyzer import VADParams
from pipecat.pipeline.pipeline import Pipeline
from pipecat.processors.aggregators.llm_context import LLMContext, LLMContextMessage
from pipecat.processors.aggregators.llm_response_universal import (
    LLMAssistantAggregator,
    LLMAssistantAggregatorParams,
    LLMContextAggregatorPair,
    LLMUserAggregator,
    LLMUserAggregatorParams,
)
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.transports.base_transport import BaseTransport
from pipecat.turns.user_mute import AlwaysUserMuteStrategy, BaseUserMuteStrategy
from pipecat.turns.user_start import BaseUserTurnStartStrategy, MinWordsUserTurnStartStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies
from pipecat.utils.context.llm_context_summarization import (
    LLMAutoContextSummarizationConfig,
    LLMContextSummaryConfig,
)

from bots import providers
from bots.config import InterruptionConfig, TurnConfig, VadConfig
from bots.facts import make_knowledge
from bots.failover import Report, Supervision, in_turn, speech_in_turn
from bots.ledger import on_record
from bots.registry import Bot
from bots.resources import Resources
from bots.spoken_text import text_transforms
from processors.barge_in import BargeInStartStrategy
from processors.eager_turn import HOLDS, WORTH_ASKING
from processors.local_llm import LocalLLM
from processors.microphone_sink import MicrophoneSinkProcessor
from processors.offline_knowledge import OfflineKnowledgeProcessor
from processors.output_pause import OutputPause
from processors.rehearsal import Rehearsal
from processors.shared_vad import SpeechModels
from processors.stray_speech import StraySpeechProcessor
from processors.transcript import ToolCall
from processors.turn_end import EagerTurnStopStrategy, ReadAlong

MESSAGES_NOT_SUMMARISED = 8
SUMMARY_SHARE = 0.2
"""Of what a language model is given of a conversation, the longest summary of what was before."""

SUMMARY_SECS = 30.0

TURN_STOP_MARGIN_SECS = 0.5
"""A turn in which nothing was understood is given up so long after `max_delay`."""


@dataclass(frozen=True)
class Assembly:
    """A pipeline and what a call needs of its parts.

    Attributes:
        pipeline: The whole.
        user: Tells of the user's turns.
        assistant: Tells of the bot's.
        prefill: Has a local model read its instructions ahead; None where there is none.
    """

    pipeline: Pipeline
    user: LLMUserAggregator
    assistant: LLMAssistantAggregator
    prefill: Callable[[], Awaitable[None]] | None


def assemble(
    bot: Bot,
    transport: BaseTransport,
    output: OutputPause,
    resources: Resources,
    *,
    messages: Sequence[LLMContextMessage],
    keep_tool_call: Callable[[ToolCall], Awaitable[None]],
    report_failure: Report,
    recorder: FrameProcessor | None = None,
) -> Assembly:
    """Build the pipeline of one call.

    Args:
        bot: What to build it for.
        transport: Where the user is.
        output: Pauses what the transport plays.
        resources: What calls share.
        messages: The conversation before this call.
        keep_tool_call: Called before a tool runs and when it has, and waited for.
        report_failure: Called when a service has failed.
        recorder: Takes the sound of the call, and stands where both come by; None for none.

    Raises:
        ServiceUnavailable: If a service cannot be made.
    """
    settings = resources.settings
    small = settings.has_small_llm
    supervision = Supervision(
        settings.voice.realtime.failover,
        settings.voice.realtime.announcements,
        resources.circuits,
        report_failure,
    )
    stts = []
    for provider, config in providers.services_for("stt", bot, settings):
        stt = providers.make_stt(provider, config, resources.local, clients=resources.cloud_clients)
        supervision.watch("stt", provider, stt)
        stts.append(stt)
    llm_choices = providers.services_for("llm", bot, settings)
    llms = []
    for provider, config in llm_choices:
        llm = providers.make_llm(
            provider,
            config,
            resources.local,
            clients=resources.cloud_clients,
            instructions=bot.system_instruction(small=small),
            temperature=bot.temperature,
            max_tokens=bot.max_tokens,
            retries=len(llm_choices) == 1,
        )
        supervision.watch("llm", provider, llm)
        llms.append(llm)
    llm = llms[0]
    voices = []
    for provider, config in providers.services_for("tts", bot, settings):
        voice = providers.make_tts(
            provider,
            config,
            resources.local,
            clients=resources.cloud_clients,
            speed=settings.speed(bot.voice_profile),
        )
        supervision.watch("tts", provider, voice)
        voices.append(voice)
    tts = voices[0]
    # What it is given to say, it hands on as it would say it.
    for transform in text_transforms(bot.lexicon):
        tts.add_text_transformer(transform)
    interruptions = settings.voice.realtime.interruptions
    if bot.allow_interruptions is not None:
        interruptions = interruptions.model_copy(update={"enabled": bot.allow_interruptions})

    # Small models call tools for a mere greeting: they get none.
    tools: list[Any] = [] if small else [on_record(tool, keep_tool_call) for tool in bot.tools]
    context = LLMContext(list(messages), tools=tools)
    knowledge = make_knowledge(bot, resources.encoder)
    read: Callable[[LLMContext], Awaitable[None]] | None = None
    if isinstance(llm, LocalLLM):
        read = llm.read
        if isinstance(knowledge, OfflineKnowledgeProcessor):
            knowledge.reader, read = llm, knowledge.read_along
    turns = LLMContextAggregatorPair(
        context,
        user_params=user_params(
            resources.speech,
            output,
            own_turns=stts[0].service_metadata_frame().user_turn_strategies,
            read_along=partial(_read_along, read, context) if read else None,
            ahead_from=0.0 if isinstance(llm, LocalLLM) else WORTH_ASKING,
            vad=settings.voice.realtime.vad,
            turn=settings.turn_detection,
            interruptions=interruptions,
            idle_secs=settings.voice.realtime.limits.idle_timeout,
        ),
        assistant_params=assistant_params(
            None
            if isinstance(llm, LocalLLM)
            else min(config.context_tokens for _, config in llm_choices)
        ),
    )
    # Only the local voice can: others are asked by the sentence, and paid for it.
    if prepare := getattr(tts, "prepare", None):
        rehearsal = Rehearsal(prepare)
        for holder in (llm, knowledge):
            if isinstance(holder, LocalLLM | OfflineKnowledgeProcessor):
                holder.rehearsal = rehearsal

    pipeline = Pipeline(
        [
            transport.input(),
            speech_in_turn(stts),
            turns.user(),
            *([] if recorder else [MicrophoneSinkProcessor()]),
            *([knowledge] if knowledge else []),
            in_turn(llms),
            speech_in_turn(voices),
            StraySpeechProcessor(),
            transport.output(),
            *([recorder] if recorder else []),
            turns.assistant(),
        ]
    )
    prefill = partial(read, context) if read else None
    return Assembly(pipeline, turns.user(), turns.assistant(), prefill)


async def _read_along(
    read: Callable[[LLMContext], Awaitable[None]], context: LLMContext, said: str
) -> None:
    """Have a conversation read that goes on with what the user has said so far."""
    message: LLMContextMessage = {"role": "user", "content": said}
    await read(LLMContext([*context.messages, message], context.tools, context.tool_choice))


def user_params(
    speech: SpeechModels,
    output: OutputPause,
    *,
    own_turns: UserTurnStrategies | None,
    read_along: ReadAlong | None,
    ahead_from: float,
    vad: VadConfig,
    turn: TurnConfig,
    interruptions: InterruptionConfig,
    idle_secs: float | None,
) -> LLMUserAggregatorParams:
    """Turn settings into Pipecat's rules of when a user's turn starts and ends.

    A speech recognition with rules of its own, such as Deepgram's Flux, is left to them: `vad` only
    measures then, and of all this nothing else counts but whether there may be interruptions, and
    after how long a silence a user is idle (None: never).
    """
    idle_timeout = idle_secs or 0
    analyzer = speech.vad(
        VADParams(confidence=vad.threshold, start_secs=vad.min_speech_duration),
        max_speech_secs=vad.max_speech_duration,
    )
    mute: list[BaseUserMuteStrategy] = [] if interruptions.enabled else [AlwaysUserMuteStrategy()]
    if own_turns:
        return LLMUserAggregatorParams(
            vad_analyzer=analyzer,
            user_turn_strategies=own_turns,
            user_mute_strategies=mute,
            user_idle_timeout=idle_timeout,
        )
    start: BaseUserTurnStartStrategy = BargeInStartStrategy(
        output, min_speech_secs=interruptions.min_speech_duration
    )
    if interruptions.min_words:
        start = MinWordsUserTurnStartStrategy(min_words=interruptions.min_words)
    smart_turn = speech.smart_turn(params=SmartTurnParams(stop_secs=turn.max_delay))
    return LLMUserAggregatorParams(
        vad_analyzer=analyzer,
        user_turn_strategies=UserTurnStrategies(
            start=[start],
            stop=[
                EagerTurnStopStrategy(
                    output,
                    judge=smart_turn,
                    read_along=read_along,
                    holds=HOLDS[turn.preset],
                    ahead_from=ahead_from,
                    min_delay_secs=turn.min_delay,
                    max_delay_secs=turn.max_delay,
                )
            ],
        ),
        user_mute_strategies=mute,
        user_turn_stop_timeout=turn.max_delay + TURN_STOP_MARGIN_SECS,
        user_idle_timeout=idle_timeout,
    )


def assistant_params(context_tokens: int | None) -> LLMAssistantAggregatorParams:
    """Turn a setting into Pipecat's rules of when a conversation is summarised.

    Args:
        context_tokens: Longest conversation, by Pipecat's estimate; None for one that nobody is to
            summarise.
    """
    if context_tokens is None:
        return LLMAssistantAggregatorParams()
    return LLMAssistantAggregatorParams(
        enable_auto_context_summarization=True,
        auto_context_summarization_config=LLMAutoContextSummarizationConfig(
            max_context_tokens=context_tokens,
            max_unsummarized_messages=None,
            summary_config=LLMContextSummaryConfig(
                target_context_tokens=int(SUMMARY_SHARE * context_tokens),
                min_messages_after_summary=MESSAGES_NOT_SUMMARISED,
                summarization_timeout=SUMMARY_SECS,
            ),
        ),
    )
