"""Several bots in one call: the bot that finds out what the caller wants, and its specialists."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from pipecat.processors.aggregators.llm_context import LLMContext, LLMContextMessage
from pipecat.services.settings import TTSSettings

from bots import providers
from bots.agents.factory import AgentCall
from bots.facts import read_directory
from bots.failover import Supervision
from bots.ledger import on_record
from bots.mind import Mind, make_mind
from bots.registry import PROMPTS_DIR, Bot, specialists_of
from bots.settings import Settings
from processors.switchboard import TOOL as TRANSFER
from processors.switchboard import Line, Switchboard, transfers_in

ROUTER = "switchboard"
"""By this name callers are put through to the bot that had them first."""


def make_team(
    call: AgentCall, supervision: Supervision, messages: Sequence[LLMContextMessage]
) -> tuple[Mind, Bot]:
    """Make what thinks for a bot and its specialists, one of whom has the caller at a time.

    Args:
        call: The call, and the bot that has the caller first.
        supervision: How services are watched.
        messages: The conversation before: who had the caller, has them.

    Returns:
        That, and the bot whose voice is heard first.

    Raises:
        ServiceUnavailable: If a service or an agent cannot be made.
        UnknownBot: If there is no such specialist.
    """
    bot, resources = call.bot, call.resources
    settings = resources.settings
    # One of them thinks at a time, and all in the same place.
    local = resources.local.for_one_call()
    members = {ROUTER: bot, **_as_wished(bot, settings)}
    minds = {
        name: make_mind(
            replace(call, bot=member, colleagues=_descriptions(members, but=name)),
            supervision,
            local,
            instructions=instructions_among_colleagues(member, settings),
        )
        for name, member in members.items()
    }
    first = next((to for to in reversed(transfers_in(messages)) if to in members), ROUTER)
    directory = read_directory(bot, settings, resources.encoder)
    switchboard = Switchboard(
        {
            name: Line(
                members[name].description,
                mind.processors,
                mind.tools,
                _voice(members[name], settings) if bot.own_voices else None,
            )
            for name, mind in minds.items()
        },
        first=first,
        announcement=supervision.announcements.putting_through,
        on_record=partial(on_record, record=call.keep_tool_call),
        find=directory.find if directory else None,
    )
    for name, mind in minds.items():
        if mind.agent:
            mind.agent.on_handoff = partial(switchboard.hand_over, name)
            # Who has failed is not asked again, unless the caller wants it.
            mind.agent.on_failure = partial(switchboard.give_back, name, ROUTER)

    async def read(context: LLMContext) -> None:
        if active := minds[switchboard.active].read:
            await active(context)

    lengths = [mind.context_tokens for mind in minds.values() if mind.context_tokens]
    return (
        Mind(
            [switchboard],
            [],
            {TRANSFER}.union(*(mind.tool_names for mind in minds.values())),
            min(mind.ahead_from for mind in minds.values()),
            min(lengths, default=None),
            read if any(mind.read for mind in minds.values()) else None,
            [holder for mind in minds.values() for holder in mind.holders],
        ),
        members[first] if bot.own_voices else bot,
    )


def _as_wished(bot: Bot, settings: Settings) -> dict[str, Bot]:
    """Return the specialists, with the language model, the language and the speed of the bot."""
    return {
        name: replace(
            it,
            llm_model=bot.llm_model or it.llm_model,
            language=bot.language or it.language,
            speed=bot.speed or it.speed,
        )
        for name, it in specialists_of(bot, settings).items()
    }


def _descriptions(members: Mapping[str, Bot], *, but: str) -> dict[str, str]:
    return {name: member.description for name, member in members.items() if name != but}


def instructions_among_colleagues(member: Bot, settings: Settings) -> str:
    """Return who a bot is, and what it does with its colleagues; a small model does nothing."""
    instructions = member.system_instruction(small=settings.has_small_llm)
    if settings.has_small_llm:
        return instructions
    return f"{instructions}\n\n{(PROMPTS_DIR / 'colleagues.md').read_text('utf-8').strip()}"


def _voice(member: Bot, settings: Settings) -> TTSSettings | None:
    """Return what makes a voice that of a bot; None on this machine, where there is one voice."""
    provider, config = providers.service_for("tts", member, settings)
    if provider == "local":
        return None
    voice = TTSSettings(voice=config.voice)
    if config.model:
        voice.model = config.model
    return voice
