"""What speaks with a client at a WebSocket, and what the client may know and change of a bot."""

from contextlib import suppress
from dataclasses import replace

from pipecat.runner.types import RunnerArguments, WebSocketRunnerArguments

from bots import providers
from bots.agents.factory import agent_of
from bots.errors import ConfigError
from bots.pipeline import interruptions_of
from bots.protocols import (
    OPENAI_REALTIME,
    PROTOCOLS,
    JsonCall,
    make_openai_serializer,
    make_serializer,
)
from bots.registry import Bot
from bots.resources import Resources
from bots.settings import Settings
from processors.protocols.json_serializer import JsonSerializer
from processors.protocols.openai_session import Answerer


def serializer_for(
    bot: Bot, session_id: str, runner_args: RunnerArguments, resources: Resources
) -> JsonSerializer | None:
    """Make what speaks the protocol of a client in a call; None if that is RTVI, or a phone's.

    Args:
        bot: Who answers.
        session_id: Names the call.
        runner_args: How the client comes.
        resources: What calls share.
    """
    if not isinstance(runner_args, WebSocketRunnerArguments):
        return None
    kind, send = runner_args.transport_type, runner_args.websocket.send_text
    if kind not in (*PROTOCOLS, OPENAI_REALTIME):
        return None
    assert runner_args.body
    name = runner_args.body["bot"]
    if kind == OPENAI_REALTIME:
        return make_openai_serializer(send, answerer_of(bot, name, session_id, resources))
    return make_serializer(kind, JsonCall(send, session_id, name))


def answerer_of(bot: Bot, name: str, session_id: str, resources: Resources) -> Answerer:
    """Return what a client may know of a bot, and change about it.

    Args:
        bot: Which one.
        name: Its name.
        session_id: Names the conversation.
        resources: What calls share.
    """
    settings = resources.settings
    is_small, is_chained = settings.has_small_llm, bot.mode_in(settings) == "chained"
    has_model = is_chained and not agent_of(bot)

    def instruct(instructions: str) -> str:
        told = replace(bot, instructions=instructions) if instructions else bot
        return told.system_instruction(small=is_small)

    return Answerer(
        session_id,
        name,
        _voice_of(bot, settings),
        # Of several, each has its own.
        instruct=instruct if has_model and not bot.specialists else None,
        takes_tools=has_model and not is_small,
        is_chained=is_chained,
        is_interruptible=interruptions_of(bot, resources).enabled,
    )


def _voice_of(bot: Bot, settings: Settings) -> str:
    if bot.mode_in(settings) == "speech_to_speech":
        # Without a key for it the others do.
        with suppress(ConfigError):
            return providers.service_for("realtime", bot, settings)[1].voice or ""
    return providers.service_for("tts", bot, settings)[1].voice or ""
