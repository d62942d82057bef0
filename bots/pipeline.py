"""The one assembly of a pipeline that every bot uses.

microphone -> STT -> user turn -> knowledge -> LLM -> TTS -> loudspeaker -> assistant turn

Speech to speech, one service is in the place of three (see `bots.speech_to_speech`):

microphone -> user turn -> realtime service -> loudspeaker -> assistant turn
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

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
from bots.agents.factory import AgentCall
from bots.config import AnnouncementConfig, InterruptionConfig, TurnConfig, VadConfig
from bots.failover import Report, Supervision, hearing_by, voice_by, with_help
from bots.heard_text import filter_transcripts
from bots.ledger import on_record
from bots.meter import Meter
from bots.mind import Read, make_mind
from bots.registry import Bot
from bots.resources import Resources
from bots.spoken_text import text_transforms
from bots.team import make_team
from bots.tools.desk import Transfer
from processors.barge_in import BargeInStartStrategy
from processors.client_control import ClientControl
from processors.eager_turn import HOLDS
from processors.filler import Filler
from processors.microphone_sink import MicrophoneSinkProcessor
from processors.output_pause import OutputPause
from processors.rehearsal import Rehearsal
from processors.shared_vad import SpeechModels
from processors.stray_speech import StraySpeechProcessor
from processors.transcript import ToolCall
from processors.turn_end import EagerTurnStopStrategy, ReadAlong
from processors.words_judge import WordsJudge

MESSAGES_NOT_SUMMARISED = 8
SUMMARY_SHARE = 0.2
"""Of what a language model is given of a conversation, the longest summary of what was before."""

SUMMARY_SECS = 30.0

TURN_STOP_MARGIN_SECS = 0.5
"""A turn in which nothing was understood is given up so long after `max_delay`."""


KeepToolCall = Callable[[ToolCall], Awaitable[None]]
"""Called before a tool runs and when it has, and waited for."""


@dataclass(frozen=True)
class Brain:
    """What hears, thinks and speaks in a call.

    Attributes:
        processors: What stands between the microphone and the loudspeaker, in its order.
        user: That of them which tells of the user's turns.
        assistant: Tells of the bot's turns; stands behind the loudspeaker.
        prefill: Has the language model ready for the first question: a local one reads its
            instructions, another has its connection opened. None where there is no such model.
    """

    processors: Sequence[FrameProcessor]
    user: LLMUserAggregator
    assistant: LLMAssistantAggregator
    prefill: Callable[[], Awaitable[None]] | None = None


def assemble(
    transport: BaseTransport,
    brain: Sequence[FrameProcessor],
    assistant: FrameProcessor,
    behind: Sequence[FrameProcessor] = (),
) -> Pipeline:
    """Build the pipeline of one call.

    Args:
        transport: Where the user is.
        brain: What stands between the microphone and the loudspeaker.
        assistant: What tells of the bot's turns.
        behind: What else stands behind the loudspeaker, where the sound of both comes by.
    """
    return Pipeline(
        [
            transport.input(),
            *brain,
            StraySpeechProcessor(),
            transport.output(),
            *behind,
            assistant,
        ]
    )


def make_chained(
    bot: Bot,
    output: OutputPause,
    resources: Resources,
    *,
    session_id: str,
    messages: Sequence[LLMContextMessage],
    keep_tool_call: KeepToolCall,
    report_failure: Report,
    meter: Meter,
    is_recorded: bool,
    transfer: Transfer | None,
) -> Brain:
    """Make speech recognition, language model and voice of one call.

    Args:
        bot: What to make them for.
        output: Pauses what the transport plays.
        resources: What calls share.
        session_id: Names the conversation.
        messages: The conversation before.
        keep_tool_call: Called before a tool runs and when it has, and waited for.
        report_failure: Called when a service has failed.
        meter: Told whose services they are.
        is_recorded: Whether somebody behind them takes the sound of the microphone.
        transfer: Puts the caller through to a person; None where that cannot be done.

    Raises:
        ServiceUnavailable: If a service cannot be made.
    """
    settings = resources.settings
    assert resources.speech
    realtime = settings.voice.realtime
    supervision = Supervision(
        realtime.failover, realtime.announcements, resources.circuits, report_failure, meter
    )
    call = AgentCall(bot, session_id, resources, keep_tool_call, transfer=transfer)
    if bot.specialists:
        mind, voiced = make_team(call, supervision, messages)
    else:
        instructions = bot.system_instruction(small=settings.has_small_llm)
        mind = make_mind(call, supervision, resources.local, instructions=instructions)
        voiced = bot
    local, clients = resources.local, resources.cloud_clients
    heard_by = providers.services_for("stt", bot, settings)
    stts = supervision.in_order(
        "stt",
        heard_by,
        partial(providers.make_stt, local=local, clients=clients),
    )
    spoken_by = providers.services_for("tts", voiced, settings)
    voices = supervision.in_order(
        "tts",
        spoken_by,
        partial(
            providers.make_tts,
            local=local,
            clients=clients,
            speed=voiced.speed_in(settings),
        ),
    )
    stt, tts = hearing_by(stts), voice_by(voices)
    language = heard_by[0][1].language
    filter_transcripts(stt, realtime.transcripts, bot.transcript_filters, language=language)
    # What it is given to say, it hands on as it would say it.
    spoken = text_transforms(bot.lexicon, providers.spoken_language(*spoken_by[0], settings))
    for transform in (*bot.text_transforms, *spoken):
        tts.add_text_transformer(transform)

    context = LLMContext(list(messages), tools=list(mind.tools))
    turns = LLMContextAggregatorPair(
        context,
        user_params=user_params(
            resources.speech,
            output,
            own_turns=stt.service_metadata_frame().user_turn_strategies,
            # What reads along is what the answer waits for.
            words_judge=local.make_words_judge(gives_way=mind.read is not None),
            read_along=partial(_read_along, mind.read, context) if mind.read else None,
            ahead_from=mind.ahead_from,
            vad=realtime.vad,
            turn=settings.turn_detection,
            interruptions=interruptions_of(bot, resources),
            idle_secs=realtime.limits.idle_timeout,
        ),
        assistant_params=assistant_params(mind.context_tokens),
    )
    control = ClientControl(
        context,
        mind.tools,
        taken=mind.tool_names,
        on_record=partial(on_record, record=keep_tool_call),
    )
    # Only the local voice can: others are asked by the sentence, and paid for it.
    if prepare := getattr(tts, "prepare", None):
        rehearsal = Rehearsal(prepare)
        for holder in mind.holders:
            holder.rehearsal = rehearsal

    processors = [
        with_help(stt, stts),
        turns.user(),
        control,
        *([] if is_recorded else [MicrophoneSinkProcessor()]),
        *mind.processors,
        *_filler(realtime.announcements),
        with_help(tts, voices),
    ]
    prefill = partial(mind.read, context) if mind.read else clients.open_connections
    return Brain(processors, turns.user(), turns.assistant(), prefill)


def _filler(announcements: AnnouncementConfig) -> list[Filler]:
    words = announcements.one_moment
    return [Filler(words, after_secs=announcements.one_moment_after)] if words else []


def interruptions_of(bot: Bot, resources: Resources) -> InterruptionConfig:
    """Return when the user may stop a bot."""
    interruptions = resources.settings.voice.realtime.interruptions
    if bot.allow_interruptions is None:
        return interruptions
    return interruptions.model_copy(update={"enabled": bot.allow_interruptions})


async def _read_along(read: Read, context: LLMContext, said: str) -> None:
    """Have a conversation read that goes on with what the user has said so far."""
    message: LLMContextMessage = {"role": "user", "content": said}
    await read(LLMContext([*context.messages, message], context.tools, context.tool_choice))


def user_params(
    speech: SpeechModels,
    output: OutputPause,
    *,
    own_turns: UserTurnStrategies | None,
    words_judge: WordsJudge | None,
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
                    words_judge=words_judge,
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
