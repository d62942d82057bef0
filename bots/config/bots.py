"""The bots on offer, and what may be different about one."""

from typing import Annotated

from pydantic import Field

from bots.config.section import Money, Section, Share, Speed
from bots.config.voice import Mode


class ServiceWishes(Section):
    """Which models and voices answer, of the providers that the profile has chosen, and how.

    Attributes:
        stt_model: For the speech recognition; None keeps that of voice.yaml.
        llm_model: For the language model; None keeps that of voice.yaml.
        tts_model: For the voice; None keeps that of voice.yaml.
        tts_voice: The voice; None keeps that of the bot's profile, or of voice.yaml.
        realtime_model: For speech to speech; None keeps that of voice.yaml.
        realtime_voice: The voice in that; None keeps that of voice.yaml.
        language: What is spoken, as Pipecat names it ("de", "en-GB"); None keeps that of the
            providers in voice.yaml.
        speed: How fast the voice speaks; None keeps that of the bot's profile. A voice that takes
            less of it goes as near as it can, and one that takes none is refused.
        allow_interruptions: Whether the user may stop the bot; None keeps that of voice.yaml.
        enable_thinking_sound: Whether it is heard that the bot thinks; None keeps that of
            voice.yaml.
        thinking_volume: How loud; None keeps that of voice.yaml.
    """

    stt_model: str | None = None
    llm_model: str | None = None
    tts_model: str | None = None
    tts_voice: str | None = None
    realtime_model: str | None = None
    realtime_voice: str | None = None
    language: str | None = None
    speed: Speed | None = None
    allow_interruptions: bool | None = None
    enable_thinking_sound: bool | None = None
    thinking_volume: Share | None = None


Word = Annotated[str, Field(min_length=1, max_length=50)]

Lexicon = Annotated[dict[Word, Word], Field(max_length=100)]
"""Words, and how to write them so that a voice speaks them right. Each text is searched for all."""


class BotChanges(ServiceWishes):
    """What is changed about a bot: by an installation, for a user, or for one session.

    Attributes:
        greeting: Its first words; "" for none; None keeps the bot's own.
        instructions: Replaces the bot's prompt; None keeps it.
        voice_profile: One of `voice.voice_profiles`; None keeps the bot's own.
        temperature: For the LLM, before that of its provider; None keeps the bot's own.
        max_tokens: Longest reply; None keeps the bot's own. Speech to speech, speech is counted,
            some 20 tokens for a second, and what is longer is cut off.
        lexicon: Words, and how to write them so that the voice speaks them right; None keeps the
            bot's own.
        mode: How the conversation is held; None keeps the bot's own, or that of voice.yaml.
    """

    greeting: str | None = None
    instructions: str | None = None
    voice_profile: str | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    lexicon: Lexicon | None = None
    mode: Mode | None = None


class BotEntry(BotChanges):
    """A bot that is offered, and what this installation changes about it.

    Attributes:
        module: Python module with the bot.
        agent: What makes the agent that answers in the place of the language model, as
            `package.module:factory`; None keeps the bot's own.
        remote: Whether it thinks in another process, over the bus (`python -m runner specialist`).
        specialists: Bots that it puts callers through to; None keeps the bot's own.
        own_voices: Whether each of them has its own voice; None keeps the bot's own choice.
        mcp: MCP servers whose tools it has; None keeps the bot's own.
        budget: What a session with it may cost; None keeps `limits.budget`.
    """

    module: str
    # Only whoever installs bots says which code runs, and what it may cost: none of `BotChanges`.
    agent: Annotated[str, Field(pattern=r"^[\w.]+:\w+$")] | None = None
    remote: bool = False
    specialists: list[str] | None = None
    own_voices: bool | None = None
    mcp: list[str] | None = None
    budget: Money | None = None
