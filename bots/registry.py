"""From a bot's name to the bot: the entries of voice.yaml, and the modules that they name."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pipecat.utils.text.transforms import TextTransform

from bots.config import BotChanges, Mode
from bots.errors import ParlanteError
from bots.heard_text import TranscriptFilter
from bots.settings import Settings

BOTS_DIR = Path(__file__).parent
PROMPTS_DIR = BOTS_DIR / "prompts"

REPLY_TOKENS = 150
"""The longest reply that a language model may write for a bot that says nothing about it."""


class UnknownBot(ParlanteError):
    """There is no bot of that name, or its module is broken."""

    code = "UNKNOWN_BOT"


@dataclass(frozen=True)
class Bot:
    """What makes a bot: the rest, every bot shares.

    Attributes:
        description: One line for people who choose a bot.
        prompt: File in bots/prompts: who the bot is, and how it talks; None if `instructions` say
            that.
        greeting: Its first words; "" for none.
        knowledge: File in bots/knowledge with its facts; None for none. A small model needs
            examples of answers, there or in `offline_knowledge`.
        tools: Async functions that the language model may call.
        voice_profile: One of `voice.voice_profiles`.
        temperature: For the language model; None for that of its provider in voice.yaml, or 0.7.
        max_tokens: Longest reply; None for `REPLY_TOKENS`, and speech to speech for the service's
            own.
        offline_prompt: File in bots/prompts, added where a small model cannot use tools.
        offline_knowledge: File in bots/knowledge, with facts and examples for small models.
        nothing_known: What a small model says where no fact answers the question.
        lexicon: Words, and how to write them so that the voice speaks them right.
        instructions: Replaces the prompt file; None for none.
        stt_model: Replaces that of voice.yaml; None keeps it, as below.
        llm_model: Replaces that of voice.yaml.
        tts_model: Replaces that of the profile and of voice.yaml.
        tts_voice: Replaces that of the profile and of voice.yaml.
        realtime_model: Replaces that of voice.yaml.
        realtime_voice: Replaces that of voice.yaml.
        language: What is heard and spoken; replaces that of the providers in voice.yaml.
        speed: How fast its voice speaks; replaces that of the profile.
        allow_interruptions: Replaces that of voice.yaml.
        enable_thinking_sound: Replaces that of voice.yaml.
        thinking_volume: Replaces that of voice.yaml.
        agent: What makes the agent that answers in the place of the language model,
            `package.module:factory`; None for the language model.
        remote: By which name another process thinks for it, over the bus; None for this process.
        mode: Replaces that of voice.yaml; speech to speech where its service can be used.
        specialists: Names of bots that it puts callers through to, and who put them back; none for
            a bot that answers alone. With them, the conversation is held by the chained pipeline.
        own_voices: Whether each specialist has its own voice; else all have this bot's.
        mcp: Names of MCP servers of voice.yaml whose tools it has as well; see docs/tools.md.
        budget: What a session with it may cost, in the currency of `voice.prices`; replaces that of
            `limits`.
        text_transforms: Change its words before they are spoken, in this order.
        transcript_filters: Change what users say before anybody is told of it, in this order. As
            those before, functions of a module: bots are sent to other processes.
    """

    description: str
    prompt: str | None = None
    greeting: str = ""
    knowledge: str | None = None
    tools: tuple[Any, ...] = ()
    voice_profile: str = "default"
    temperature: float | None = None
    max_tokens: int | None = None
    offline_prompt: str | None = None
    offline_knowledge: str | None = None
    nothing_known: str = "I am sorry, I do not know that."
    lexicon: Mapping[str, str] = field(default_factory=dict)
    instructions: str | None = None
    stt_model: str | None = None
    llm_model: str | None = None
    tts_model: str | None = None
    tts_voice: str | None = None
    realtime_model: str | None = None
    realtime_voice: str | None = None
    language: str | None = None
    speed: float | None = None
    allow_interruptions: bool | None = None
    enable_thinking_sound: bool | None = None
    thinking_volume: float | None = None
    agent: str | None = None
    remote: str | None = None
    mode: Mode | None = None
    specialists: tuple[str, ...] = ()
    own_voices: bool = False
    mcp: tuple[str, ...] = ()
    budget: float | None = None
    text_transforms: tuple[TextTransform, ...] = ()
    transcript_filters: tuple[TranscriptFilter, ...] = ()

    def budget_in(self, settings: Settings) -> float | None:
        """Return what a session may cost where these settings are in force; None for anything."""
        return self.budget or settings.voice.realtime.limits.budget

    def mode_in(self, settings: Settings) -> Mode:
        """Return how a conversation is held where these settings are in force."""
        if self.specialists or self.remote:
            return "chained"
        return self.mode or settings.voice.realtime.mode

    def modes_in(self, settings: Settings) -> list[Mode]:
        """Return how a conversation can be held, the usual way first."""
        usual = self.mode_in(settings)
        if self.specialists or self.remote or not settings.usable("realtime"):
            return ["chained"]
        other: Mode = "chained" if usual == "speech_to_speech" else "speech_to_speech"
        return [usual, other]

    def speed_in(self, settings: Settings) -> float:
        """Return how fast it speaks where these settings are in force; 1 is its voice's own."""
        profile = settings.voice.voice_profiles.get(self.voice_profile)
        return self.speed or (profile.speed if profile else 1.0)

    def system_instruction(self, *, small: bool) -> str:
        """Return who the bot is, as the language model is told.

        Args:
            small: Whether a small model reads it.

        Raises:
            OSError: If a prompt file cannot be read.
        """
        files = [None if self.instructions else self.prompt, self.offline_prompt if small else None]
        texts = [(PROMPTS_DIR / file).read_text("utf-8") for file in files if file]
        if self.instructions:
            texts.insert(0, self.instructions)
        return "\n\n".join(text.strip() for text in texts)


def load_bot(name: str, settings: Settings) -> Bot:
    """Return the bot called `name`, with the changes that voice.yaml makes to all and to this one.

    Raises:
        UnknownBot: If voice.yaml has no such bot, its module has no `BOT`, or it names bots or MCP
            servers that are not there.
    """
    if name not in settings.bots:
        raise UnknownBot(f"there is no bot '{name}'; voice.yaml has {sorted(settings.bots)}")
    entry = settings.bots[name]
    try:
        module = importlib.import_module(entry.module)
    except ModuleNotFoundError as error:
        raise UnknownBot(f"bots.{name}.module: {error}") from error
    bot = getattr(module, "BOT", None)
    if not isinstance(bot, Bot):
        raise UnknownBot(f"bots.{name}.module: {entry.module} has no BOT = Bot(...)")
    bot = with_changes(with_changes(bot, _of_all(settings)), entry)
    own_voices = bot.own_voices if entry.own_voices is None else entry.own_voices
    bot = replace(
        bot,
        agent=entry.agent or bot.agent,
        remote=name if entry.remote else None,
        specialists=bot.specialists if entry.specialists is None else (*entry.specialists,),
        own_voices=own_voices,
        mcp=bot.mcp if entry.mcp is None else (*entry.mcp,),
        budget=entry.budget or bot.budget,
    )
    for specialist in bot.specialists:
        if specialist == name or specialist not in settings.bots:
            raise UnknownBot(f"bots.{name}.specialists: '{specialist}' is no other bot")
    for server in bot.mcp:
        if server not in settings.mcp:
            raise UnknownBot(f"bots.{name}.mcp: '{server}' is none of {sorted(settings.mcp)}")
    return bot


def specialists_of(bot: Bot, settings: Settings) -> dict[str, Bot]:
    """Return the bots that a bot puts callers through to, by name. They have no specialists.

    Raises:
        UnknownBot: If one cannot be loaded.
    """
    return {name: replace(load_bot(name, settings), specialists=()) for name in bot.specialists}


def mcp_of(bot: Bot, settings: Settings) -> set[str]:
    """Return the MCP servers whose tools calls of a bot have in this process.

    Raises:
        UnknownBot: If a specialist cannot be loaded.
    """
    members = [bot, *specialists_of(bot, settings).values()]
    return {server for it in members if not it.remote for server in it.mcp}


def _of_all(settings: Settings) -> BotChanges:
    agent = settings.voice.realtime.agent
    greeting = None if agent.initial_greeting else ""
    return BotChanges(greeting=greeting, temperature=agent.temperature, max_tokens=agent.max_tokens)


def with_changes(bot: Bot, changes: BotChanges) -> Bot:
    """Return `bot` with what is changed about it."""
    wanted = changes.model_dump(include=set(BotChanges.model_fields), exclude_none=True)
    return replace(bot, **wanted)
