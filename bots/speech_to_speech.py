"""Conversations held by one service that hears and speaks, and what becomes of them without it.

microphone -> user turn -> realtime service -> loudspeaker -> assistant turn

Where it does not start, or fails in the midst of a call, the chained pipeline takes its place, and
is told what was said.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

from loguru import logger
from pipecat.audio.vad.vad_analyzer import VADParams
from pipecat.processors.aggregators.llm_context import LLMContext, LLMContextMessage
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.turns.user_mute import AlwaysUserMuteStrategy
from pipecat.turns.user_start import ExternalUserTurnStartStrategy
from pipecat.turns.user_stop import ExternalUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies

from bots import providers
from bots.errors import ConfigError, ParlanteError, ServiceUnavailable
from bots.facts import read_knowledge
from bots.heard_text import filter_transcripts
from bots.meter import Meter
from bots.pipeline import Brain, KeepToolCall, interruptions_of
from bots.registry import Bot
from bots.resources import Resources
from bots.toolbox import tools_of
from bots.trust import Hearsay
from processors.directions import DirectionGiver, DirectionWriter
from processors.microphone_sink import MicrophoneSinkProcessor
from processors.realtime_session import RealtimeSession
from processors.spoken_words import SpokenWords
from processors.stage import Stage

Messages = Sequence[LLMContextMessage]

BREAK_SECS = 1.0
"""How long it may take to break off what a service was saying that has failed."""


def make_speech_to_speech(
    bot: Bot,
    resources: Resources,
    *,
    messages: Messages,
    keep_tool_call: KeepToolCall,
    meter: Meter,
    is_recorded: bool,
    listens_first: bool,
) -> tuple[Brain, RealtimeSession]:
    """Make what holds one call speech to speech, and return the service in it as well.

    Args:
        bot: What to make it for.
        resources: What calls share.
        messages: The conversation before.
        keep_tool_call: Called before a tool runs and when it has, and waited for.
        meter: Told whose service it is.
        is_recorded: Whether somebody behind it takes the sound of the microphone.
        listens_first: Whether the user is to speak first.

    Raises:
        ConfigError: If no provider can be used.
        ServiceUnavailable: If the service cannot be made.
    """
    realtime = resources.settings.voice.realtime
    hearsay = Hearsay(messages)
    tools: list[Any] = [*tools_of(bot, resources, keep_tool_call, hearsay)]
    provider, config = providers.service_for("realtime", bot, resources.settings)
    session = providers.make_realtime(
        provider,
        config,
        realtime.speech_to_speech,
        instructions=_instructions(bot),
        tools=tools,
        max_tokens=bot.max_tokens,
        speed=bot.speed_in(resources.settings),
    )
    meter.watch("realtime", provider, config, session)
    filters = bot.transcript_filters
    filter_transcripts(session, realtime.transcripts, filters, language=config.language)
    assert resources.speech
    context = LLMContext(list(messages), tools=tools)
    if listens_first:
        session.listen_first(context)
    may_interrupt = interruptions_of(bot, resources).enabled
    turns = LLMContextAggregatorPair(
        context,
        user_params=LLMUserAggregatorParams(
            # The service knows when turns begin and end: this only measures how long they wait.
            vad_analyzer=resources.speech.vad(
                VADParams(
                    confidence=realtime.vad.threshold, start_secs=realtime.vad.min_speech_duration
                ),
                max_speech_secs=realtime.vad.max_speech_duration,
            ),
            user_turn_strategies=UserTurnStrategies(
                start=[ExternalUserTurnStartStrategy()],
                stop=[ExternalUserTurnStopStrategy(wait_for_transcript=False)],
            ),
            user_mute_strategies=[] if may_interrupt else [AlwaysUserMuteStrategy()],
            user_idle_timeout=realtime.limits.idle_timeout or 0,
        ),
        realtime_service_mode=True,
    )
    processors = [
        DirectionWriter(),
        turns.user(),
        DirectionGiver(hearsay.caller_speaks),
        session,
        *([] if is_recorded else [MicrophoneSinkProcessor()]),
        SpokenWords(),
    ]
    return Brain(processors, turns.user(), turns.assistant()), session


def _instructions(bot: Bot) -> str:
    """Return who the bot is and all that it knows: nothing can be looked up before it answers."""
    who = bot.system_instruction(small=False)
    knowledge = read_knowledge(bot, None)
    if not knowledge:
        return who
    facts = [f"- {': '.join((*fact.about, fact.text))}" for fact in knowledge.facts]
    return "\n".join([who, "", "What you know:", *facts])


class SpeechToSpeech:
    """Has a call held speech to speech while that can be done, and by the chained pipeline else.

    Args:
        bot: Who speaks.
        resources: What calls share.
        keep_tool_call: Called before a tool runs and when it has, and waited for.
        meter: Told whose service it is.
        is_recorded: Whether the sound of the call is.
        listens_first: Whether the user is to speak first.
        make_chained: Makes the chained pipeline's brain, which goes on with messages.
        follow: Called with each brain before it begins, and whether it is speech to speech.

    Attributes:
        brain: Where the brain is to stand in the pipeline.
        assistant: Where what tells of the bot's turns is to stand.
    """

    def __init__(
        self,
        bot: Bot,
        resources: Resources,
        *,
        keep_tool_call: KeepToolCall,
        meter: Meter,
        is_recorded: bool,
        listens_first: bool,
        make_chained: Callable[[Messages], Brain],
        follow: Callable[[Brain, bool], None],
    ) -> None:
        self.brain = Stage()
        self.assistant = Stage()
        self._bot = bot
        self._resources = resources
        self._keep_tool_call = keep_tool_call
        self._meter = meter
        self._is_recorded = is_recorded
        self._listens_first = listens_first
        self._make_chained = make_chained
        self._follow = follow
        self._session: RealtimeSession | None = None

    @property
    def has_service(self) -> bool:
        """Whether the call is held by the speech-to-speech service now."""
        return self._session is not None

    async def begin(self, messages: Messages) -> None:
        """Take the call up; returns when the one or the other can be spoken to.

        Raises:
            ServiceUnavailable: If the chained pipeline is needed and cannot be made.
        """
        for stage in (self.brain, self.assistant):
            await stage.until_started()
        try:
            await self._begin(messages)
        except (ServiceUnavailable, ConfigError, TimeoutError) as error:
            why = error.message if isinstance(error, ParlanteError) else "no answer in time"
            logger.warning("not speech to speech, but by the chained pipeline: {}", why)
            self._session = None
            await self._take_out()
            await self._put_in(self._make_chained(messages), False)

    async def until_failed(self) -> None:
        """Wait until the speech-to-speech service fails, by which the call has to be held."""
        assert self._session
        await self._session.failed.wait()

    async def give_up(
        self, break_off: Callable[[], Awaitable[Any]], recall: Callable[[], Awaitable[Messages]]
    ) -> None:
        """Put the chained pipeline in the place of the service.

        Args:
            break_off: Breaks off what the bot is saying, and waits until it has.
            recall: Returns the conversation, when it is known what of the last words was heard.

        Raises:
            ServiceUnavailable: If it cannot be made.
        """
        logger.warning("speech to speech has failed: the chained pipeline goes on")
        self._session = None
        # A service that does not answer may take its time to be closed.
        self.brain.empty()
        with suppress(TimeoutError):
            await asyncio.wait_for(break_off(), BREAK_SECS)
        await self.assistant.empty()
        await self._put_in(self._make_chained(await recall()), False)

    async def _begin(self, messages: Messages) -> None:
        brain, session = make_speech_to_speech(
            self._bot,
            self._resources,
            messages=messages,
            keep_tool_call=self._keep_tool_call,
            meter=self._meter,
            is_recorded=self._is_recorded,
            listens_first=self._listens_first,
        )
        self._session = session
        async with asyncio.timeout(
            self._resources.settings.voice.realtime.speech_to_speech.start_timeout
        ):
            await self._put_in(brain, True)
            answers = [asyncio.create_task(it.wait()) for it in (session.started, session.failed)]
            try:
                await asyncio.wait(answers, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in answers:
                    task.cancel()
                await asyncio.gather(*answers, return_exceptions=True)
        if session.failed.is_set():
            raise ServiceUnavailable("the service refuses, or cannot be reached")

    async def _put_in(self, brain: Brain, is_speech_to_speech: bool) -> None:
        self._follow(brain, is_speech_to_speech)
        # Services tell the assistant's side about themselves when they start.
        await self.assistant.fill([brain.assistant])
        await self.brain.fill(brain.processors)

    async def _take_out(self) -> None:
        self.brain.empty()
        await self.assistant.empty()
