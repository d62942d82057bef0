"""What a client may know of who answers it, and change about that."""

from contextlib import suppress
from dataclasses import replace

from bots import providers
from bots.agents.factory import agent_of
from bots.errors import ConfigError
from bots.pipeline import interruptions_of
from bots.registry import Bot
from bots.resources import Resources
from bots.settings import Settings
from processors.protocols.openai_session import Answerer


def answerer_of(bot: Bot, session_id: str, resources: Resources) -> Answerer:
    """Return what a client may know of a bot, and change about it.

    Args:
        bot: Which one.
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
        bot.name,
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
